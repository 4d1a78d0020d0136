//! UIDONLY: what a client that does without message numbers may not send.
//!
//! Standards   RFC 9586 3.1 (UIDREQUIRED), 3.4, 3.5
//! Not here    UIDFETCH and VANISHED answers: selected.rs, fetch.rs
use super::answer::Answer;
use penny_imap::command::{Command, Key, SearchArgs};
use penny_imap::{Code, SequenceSet};

/// RFC 9586 3.1
pub fn refusal() -> Answer {
    Answer::bad_with(Code::UidRequired, "Message numbers are not used once UIDONLY is enabled")
}

/// Whether a command uses message numbers, or would be answered with them.
pub fn has_numbers(command: &Command) -> bool {
    let search = |args: &SearchArgs| !args.uid || key_has_numbers(&args.key);
    match command {
        Command::Fetch(args) => !args.uid,
        Command::Store(args) => !args.uid,
        Command::Copy { uid, .. } | Command::Move { uid, .. } | Command::Replace { uid, .. } => !uid,
        Command::Search(args) => search(args),
        Command::Sort(args) => search(&args.search),
        Command::Thread(args) => search(&args.search),
        Command::MultiSearch { search: args, .. } => search(args),
        Command::Select(args) => args.qresync.as_ref().is_some_and(|q| q.seq_match.is_some()),
        _ => false,
    }
}

/// A saved result (`$`) is no set of numbers.
pub fn key_has_numbers(key: &Key) -> bool {
    key.any(|k| matches!(k, Key::Set(SequenceSet::Ranges(_))))
}
