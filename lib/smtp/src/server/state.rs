//! Settings of a conversation and what the machine keeps between commands.

use super::chunk::ChunkDecoder;
use super::command::HelloVerb;
use super::data::{DataDecoder, Policy};
use super::reply::Reply;

/// What kind of server this is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// Mail from other hosts.
    #[default]
    Mx,
    /// Mail from users (RFC 6409).
    Submission,
    /// Local delivery with a reply per recipient (RFC 2033).
    Lmtp,
}

/// Fixed for a conversation.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Role.
    pub role: Role,
    /// Our name, in greetings.
    pub hostname: String,
    /// Content limits and policy.
    pub policy: Policy,
    /// Most recipients of a transaction; RFC 5321 4.5.3.1.8 asks for at least 100.
    pub rcpt_max: usize,
    /// Most transactions of a conversation; 0 for no limit.
    pub mail_max: usize,
    /// Errors after which the conversation ends.
    pub errors_max: usize,
    /// NOOP, RSET, VRFY, HELP and the like that are free; each further one counts as an error.
    pub junk_max: usize,
    /// `quirk_bare_lf`: command lines may end in LF alone.
    pub quirk_bare_lf: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            role: Role::Mx,
            hostname: "localhost".to_owned(),
            policy: Policy::default(),
            rcpt_max: 1000,
            mail_max: 0,
            errors_max: 20,
            junk_max: 100,
            quirk_bare_lf: false,
        }
    }
}

/// Where the input goes.
#[derive(Debug)]
pub(super) enum Mode {
    /// Command lines.
    Command,
    /// Lines of a SASL exchange.
    Auth,
    /// DATA content.
    Data(DataDecoder),
    /// A chunk of BDAT with the octets left.
    Chunk { left: u64, last: bool },
    /// Octets of a refused chunk, then the reply.
    Discard { left: u64, reply: Reply },
    /// Nothing is read any more.
    Closed,
}

/// What the caller has been asked and not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pending {
    Nothing,
    Hello(HelloVerb),
    Mail { utf8: bool, binary: bool },
    Rcpt,
    Data,
    Chunk { size: u64, last: bool },
    Content,
    StartTls,
    Auth,
    Xclient,
    Other,
}

/// A mail transaction.
#[derive(Debug, Default)]
pub(super) struct Transaction {
    pub utf8: bool,
    pub binary: bool,
    pub accepted: usize,
    pub attempts: usize,
    pub chunks: Option<ChunkDecoder>,
}
