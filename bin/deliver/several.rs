//! One message for several mailboxes of one uid whose owners have no rules: one process, one reading of the message.
//!
//! Contract    a result line a mailbox, in their order, each written as soon as it holds; `alone` for a mailbox with rules
//! Order       all files written, then all synced and named, then each directory synced: the journal of the file system commits them together
//! Invariants  1. a mailbox that fails (quota, a full disk, a missing directory) fails alone   2. a line says 2.x.x only after file and name are
//!             on stable storage   3. no user's instructions are read or run here, for the process can write all of these homes
//!             4. one file with many names only where no field differs (deliver.delivered_to)

use std::io::Write;

use penny_base::services::delivery::ALONE;
use penny_base::{Failure, Outcome};
use penny_maildir::{Delivery, Place, Placed, Prepared, Quota, sync_placed};

use crate::context::Context;
use crate::folder::{self, Filing, Target};
use crate::{fields, outcome, rules, safe};

/// Why a mailbox did not get it here.
enum Not {
    /// It has rules.
    Alone,
    Failed(Failure),
}

impl From<Failure> for Not {
    fn from(failure: Failure) -> Not {
        Not::Failed(failure)
    }
}

/// A message on its way into one mailbox.
struct Letter {
    target: Target,
    quota: Quota,
    /// Being written; `None` where it shall be another name of a file that another mailbox gets.
    file: Option<Delivery>,
}

/// With its name, not yet synced.
struct Named {
    folder: String,
    quota: Quota,
    placed: Placed,
}

/// Delivers and says what became of each.
pub fn deliver(mut context: Context) -> Result<Outcome, Failure> {
    let mailboxes = std::mem::take(&mut context.several);
    let turn = |context: &mut Context, at: usize| {
        if let Some((owner, recipient)) = mailboxes.get(at) {
            context.owner.clone_from(owner);
            context.envelope.recipients = vec![recipient.clone()];
        }
    };
    let mut shared = if context.config.deliver.delivered_to { Shared::Never } else { Shared::Wanted };
    let mut letters = Vec::with_capacity(mailboxes.len());
    for at in 0..mailboxes.len() {
        turn(&mut context, at);
        letters.push(begin(&context, &mut shared));
    }
    let mut named = Vec::with_capacity(letters.len());
    for (at, letter) in letters.into_iter().enumerate() {
        turn(&mut context, at);
        named.push(letter.and_then(|letter| name(&context, letter, &mut shared)));
    }
    let mut stored = Vec::new();
    for (at, one) in named.into_iter().enumerate() {
        turn(&mut context, at);
        match one.and_then(|one| settle(&context, one)) {
            Ok((quota, octets)) => stored.push((at, quota, octets)),
            Err(Not::Alone) => outcome::say(ALONE),
            Err(Not::Failed(failure)) => drop(outcome::fail(failure)),
        }
    }
    for (at, quota, octets) in stored {
        turn(&mut context, at);
        folder::tell(&context, &quota, octets);
    }
    Ok(Outcome::Done)
}

/// The file whose names all mailboxes get.
enum Shared {
    /// Each gets one of its own.
    Never,
    Wanted,
    /// A letter is writing it.
    Written,
    Complete(Prepared),
}

fn begin(context: &Context, shared: &mut Shared) -> Result<Letter, Not> {
    safe::check_home(&context.owner.home)?;
    if rules::exist(context) {
        return Err(Not::Alone);
    }
    fields::check_loop(context)?;
    let (name, create) = rules::default_folder(context);
    let target = folder::target(context, &name, create)?;
    let filing = Filing::default();
    let quota = folder::admit(context, &target.root, &filing)?;
    if matches!(shared, Shared::Written) {
        return Ok(Letter { target, quota, file: None });
    }
    let mut file = Delivery::begin(&target.dir).map_err(|e| folder::failure(context, &e))?;
    folder::write_message(context, &mut file, &filing)?;
    file.flush().map_err(|e| Failure::io("write message", &e))?;
    if matches!(shared, Shared::Wanted) {
        *shared = Shared::Written;
    }
    Ok(Letter { target, quota, file: Some(file) })
}

/// Completes the file, or takes the shared one, and names it.
fn name(context: &Context, letter: Letter, shared: &mut Shared) -> Result<Named, Not> {
    let Letter { target, quota, file } = letter;
    let fail = |e: penny_maildir::Error| folder::failure(context, &e);
    let placed = match (file.map(Delivery::finish).transpose().map_err(fail)?, &mut *shared) {
        (Some(own), Shared::Never) => own.place(&Place::New),
        (Some(own), _) => {
            let placed = own.place_copy(&target.dir, &Place::New);
            *shared = Shared::Complete(own);
            placed
        }
        (None, Shared::Complete(file)) => file.place_copy(&target.dir, &Place::New),
        (None, _) => return Err(Failure::temporary("4.3.0", "the message was not written").into()),
    };
    Ok(Named { folder: target.name, quota, placed: placed.map_err(fail)? })
}

/// Makes the name safe, and says so.
fn settle(context: &Context, named: Named) -> Result<(Quota, u64), Not> {
    let Named { folder, quota, placed } = named;
    let done = sync_placed(vec![placed]).map_err(|e| folder::failure(context, &e))?;
    let mut octets = 0;
    for one in &done {
        folder::note(context, one);
        octets += one.size;
    }
    folder::count(context, &quota, octets);
    outcome::say(&format!("2.0.0 delivered to {folder}"));
    Ok((quota, octets))
}
