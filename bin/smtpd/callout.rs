//! Call-outs: whether the host behind a relay domain would take mail for a recipient.
//!
//! Standards   RFC 5321 3.3, 6.1 (who accepts owes a bounce: better not to accept what the next host will refuse)
//! Invariants  1. asked only where lookup does not know already; `remote --verify` asks and tells lookup
//!             2. a host that cannot be asked lets mail in (a backup MX is there for that), or says 4xx by configuration

use crate::door::Refusal;
use crate::session::Session;
use penny_base::log;
use penny_base::services::Request;
use penny_base::services::lookup::Answer;
use penny_smtp::server::Reply;
use std::io;
use std::os::fd::AsFd;

/// Seconds beyond the time for one answer after which a call-out is killed: it makes several.
const GRACE: u64 = 5;

impl Session {
    /// Judges a recipient that is passed on as it is.
    pub fn check_callout(&mut self, address: &str) -> Result<(), Refusal> {
        let mut answer = self.services.lookup.ask(&["callout", address]);
        if matches!(&answer, Ok(Answer::Ok(fields)) if fields.first().is_some_and(|word| word == "ask")) {
            if let Err(e) = self.call_out(address) {
                log::warning("callout-failed", None, &[("to", &address), ("why", &e)]);
            }
            answer = self.services.lookup.ask(&["callout", address]);
        }
        match answer {
            Ok(Answer::Ok(fields)) if fields.first().is_some_and(|word| word == "good") => Ok(()),
            Ok(Answer::No(fields)) => Err(("callout", refused(&fields.join(" ")))),
            _ if self.config.smtpd.callout_defer => {
                Err(("callout", Reply::new(450, "4.4.1", "the recipient's host cannot be asked now, try again later")))
            }
            _ => Ok(()),
        }
    }

    /// Runs one call-out to its end; what it learned is with lookup.
    fn call_out(&mut self, address: &str) -> io::Result<()> {
        let mut request = Request::new("callout");
        request.args.push(address.to_owned());
        let limit = self.config.smtpd.callout_timeout.0.saturating_mul(2).saturating_add(GRACE);
        request.time_limit = u32::try_from(limit).unwrap_or(300);
        let output = penny_sys::fs::memory_file("callout")?;
        let errors = io::stderr().as_fd().try_clone_to_owned()?;
        // descriptor 0 has nothing to say either
        let input = penny_sys::fs::memory_file("nothing")?;
        let id = self.services.spawn.start(&request, &[input.as_fd(), output.as_fd(), errors.as_fd()])?;
        let ended = self.services.spawn.wait(id)?;
        log::debug("callout", None, &[("to", &address), ("ended", &format_args!("{ended:?}"))]);
        // one that ran out of time could not tell by itself: the next client need not wait for the same
        if !matches!(ended, penny_sys::process::Ended::Code(_)) {
            let _ = self.services.lookup.ask(&["callout", address, "down", "timed out"]);
        }
        Ok(())
    }
}

/// The host's own words, as a permanent refusal with a status of its class.
fn refused(text: &str) -> Reply {
    let reply = Reply::from_text(text, 550, 450);
    if reply.code() == 550 { reply } else { Reply::new(550, "5.1.1", text) }
}
