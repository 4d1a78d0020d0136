//! An entry in memory: what lib/queue knows of it, and what runs for it.

use crate::terms::Terms;
use penny_base::services::lookup::User;
use penny_queue::active::Active;
use penny_queue::envelope::Address;
use penny_queue::job::Route;
use penny_queue::journal::Target;
use penny_queue::schedule::DestKey;
use std::collections::HashMap;
use std::fs::File;

/// What lookup said about an address or a domain.
#[derive(Debug, Clone)]
pub enum Fact {
    /// A mailbox.
    User(User),
    /// No mailbox.
    NoUser,
    /// Where a domain's mail goes.
    Route(Route),
    /// The sender to forward with.
    Sender(Address),
    /// Not now.
    Temporary(String),
}

/// What an admin wants of an entry whose jobs still run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// Nothing.
    Nothing,
    /// Hold it when they have ended.
    Hold,
    /// Remove it.
    Remove,
    /// Fail what is left.
    Bounce,
    /// Look aliases and routes up again.
    Requeue,
}

/// An entry in memory.
#[derive(Debug)]
pub struct Entry {
    /// Envelope and journal.
    pub active: Active,
    /// Offset of the message in the file.
    pub body: u64,
    /// Answers of lookup still missing.
    pub awaiting: usize,
    /// Answers so far, for this round.
    pub facts: HashMap<String, Fact>,
    /// What filters put on top of the message where it leaves, once they were asked.
    pub on_top: Option<String>,
    /// Jobs queued or running.
    pub jobs: usize,
    /// The journal, once there is one.
    pub journal: Option<File>,
    /// A report is being made.
    pub reporting: bool,
    /// Turn-taking within a destination: who sent it.
    pub sender: String,
    /// MT-PRIORITY.
    pub priority: i8,
    /// Not to be tried again before, for its destination is left alone.
    pub not_before: u64,
    /// Something was really tried in this round.
    pub tried: bool,
    /// What routes say of the time of single targets.
    pub terms: HashMap<Target, Terms>,
    /// An admin wants it tried now, whatever the routes say of waiting.
    pub forced: bool,
    /// What an admin wants when the running jobs have ended.
    pub wanted: Wanted,
}

/// Mail for one destination of one entry.
#[derive(Debug, Clone)]
pub struct Job {
    /// The entry.
    pub slot: u64,
    /// What it covers.
    pub targets: Vec<Target>,
    /// How.
    pub how: How,
    /// Another sender than the entry's, where it is forwarded.
    pub sender: Option<Address>,
}

/// How a job is done.
#[derive(Debug, Clone)]
pub enum How {
    /// Into a mailbox.
    Mailbox(Box<User>),
    /// Into mailboxes of one uid, one for each target, as far as their owners have no rules.
    Mailboxes(Vec<User>),
    /// Into a command of an alias.
    Command(String),
    /// Onto a file of an alias.
    File(String),
    /// To another host; the text is the destination before any roll-up.
    Remote(Route, String),
}

/// A job under way.
#[derive(Debug)]
pub struct Running {
    /// The job.
    pub job: Job,
    /// Where it counts.
    pub dest: DestKey,
}
