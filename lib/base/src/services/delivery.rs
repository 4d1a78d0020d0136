//! The request for one local delivery, the same from qrun and from smtpd (LMTP).
//!
//! Contract    descriptors: 0 = file positioned at the first octet of the message, 1 = pipe that gets the result line,
//!             2 = log, 3 = pipe with a one-recipient envelope block; exit code by sysexits; deliver(8)

use super::Request;
use super::lookup::User;
use crate::Config;

/// Asks for `deliver --job` into the mailbox of `user`.
pub fn delivery(config: &Config, user: &User, recipient: &str) -> Request {
    let mut request = Request::new("deliver");
    request.id = Some(user.id);
    request.user.clone_from(&user.name);
    request.time_limit = u32::try_from(config.queue.delivery_timeout.0).unwrap_or(u32::MAX);
    request.args = vec!["-c".into(), config.file.to_string_lossy().into_owned(), "--job".into()];
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
