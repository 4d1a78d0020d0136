//! The request for a local delivery, the same from qrun and from smtpd (LMTP); for one mailbox or several of one uid.
//!
//! Contract    descriptors: 0 = file positioned at the first octet of the message, 1 = pipe that gets the result line,
//!             2 = log, 3 = pipe with a one-recipient envelope block; exit code by sysexits; deliver(8)
//! Several     the environment names no user; descriptor 3 begins with a line for each mailbox (`mailbox`, then the fields of a `user` answer,
//!             parted by tabs), before an envelope block with that many recipients; a result line for each comes back in their order,
//!             [`ALONE`] for one that needs a job of its own

use super::Request;
use super::escape::{join, split};
use super::lookup::User;
use crate::Config;

/// Result of a mailbox whose owner has rules: nothing was done for it.
pub const ALONE: &str = "alone";

/// First field of the line of a mailbox.
const MAILBOX: &str = "mailbox";

/// Asks for `deliver --job` into the mailbox of `user`.
pub fn delivery(config: &Config, user: &User, recipient: &str) -> Request {
    let mut request = request(config, user);
    request.user.clone_from(&user.name);
    request
        .env("USER", &user.name)
        .env("LOGNAME", &user.name)
        .env("HOME", &user.home.to_string_lossy())
        .env("MAILDIR", &user.maildir.to_string_lossy())
        .env("RECIPIENT", recipient)
        .env("PENNYPOST_SHELL_OK", if user.shell_ok { "1" } else { "0" })
        .env("PENNYPOST_QUOTA_KB", &user.quota_kb.to_string())
        .env("PENNYPOST_QUOTA_MESSAGES", &user.quota_messages.to_string())
}

/// Asks for `deliver --job` into several mailboxes of the uid of `first`.
pub fn shared_delivery(config: &Config, first: &User) -> Request {
    request(config, first)
}

fn request(config: &Config, user: &User) -> Request {
    let mut request = Request::new("deliver");
    request.id = Some(user.id);
    request.time_limit = u32::try_from(config.queue.delivery_timeout.0).unwrap_or(u32::MAX);
    request.args = vec!["-c".into(), config.file.to_string_lossy().into_owned(), "--job".into()];
    request
}

/// The lines of the mailboxes, to stand before the envelope.
pub fn mailbox_lines<'a>(users: impl Iterator<Item = &'a User>) -> String {
    let line = |user: &User| {
        let fields = user.fields();
        let all: Vec<&str> = std::iter::once(MAILBOX).chain(fields.iter().map(String::as_str)).collect();
        join(&all) + "\n"
    };
    users.map(line).collect()
}

/// The mailboxes a block begins with, and the envelope behind them; `None` where a line is odd.
pub fn take_mailboxes(block: &[u8]) -> Option<(Vec<User>, &[u8])> {
    let (mut users, mut rest) = (Vec::new(), block);
    while rest.starts_with(MAILBOX.as_bytes()) {
        let end = rest.iter().position(|b| *b == b'\n')?;
        let (line, after) = rest.split_at_checked(end)?;
        users.push(User::from_fields(split(std::str::from_utf8(line).ok()?).get(1..)?)?);
        rest = after.get(1..)?;
    }
    Some((users, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mailboxes_come_back_before_the_envelope() {
        let user = |name: &str| User {
            name: name.into(),
            id: penny_sys::ids::Id { uid: 5000, gid: 5000 },
            home: format!("/srv/a\tb/{name}").into(),
            maildir: format!("/srv/a\tb/{name}/Maildir").into(),
            shell_ok: false,
            quota_kb: 7,
            quota_messages: 0,
        };
        let users = [user("ann@x"), user("bob@x")];
        let block = mailbox_lines(users.iter()) + "pennypost-queue: 1\n";
        let (taken, rest) = take_mailboxes(block.as_bytes()).expect("understood");
        assert_eq!((taken.as_slice(), rest), (users.as_slice(), &b"pennypost-queue: 1\n"[..]));
        assert_eq!(take_mailboxes(b"pennypost-queue: 1\n").map(|(u, _)| u.len()), Some(0));
        assert!(take_mailboxes(b"mailbox\tann\n").is_none());
        assert!(take_mailboxes(b"mailbox\tann").is_none());
    }
}
