//! What keeps abuse out: every check that is neither protocol nor recipient table, in one order.
//!
//! Order       access table (client, helo, sender, recipient), rates, then for strangers: HELO, reverse name, DNS lists,
//!             sender domain, greylist; last the policy servers
//! Invariants  1. all is decided at RCPT, so that postmaster can be reached whatever the client is (RFC 5321 4.5.1)
//!             2. each refusal names its rule   3. a check that cannot be made lets mail in or says 4xx, never 5xx
//! Notes       strangers are clients of the MX role that neither logged in nor are listed in smtpd.relay_clients

mod access;
mod policy;
mod rates;
mod stranger;

use penny_dns::dnsbl::List;
use penny_tables::cidr::in_any;
pub use policy::{PolicyServer, connect};
pub use stranger::Background;

use crate::session::Session;
use penny_addr::ForwardPath;
use penny_smtp::server::{Reply, Role};

/// A refusal: the rule's name and the reply.
pub type Refusal = (&'static str, Reply);

/// What the access table says of something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// Nothing.
    Dunno,
    /// Let it in, ask nothing more.
    Ok,
    /// Accept the message and drop it.
    Discard,
    /// Accept it and keep it in the queue, for this reason.
    Hold(String),
}

impl Session {
    /// A client of the MX role nobody vouches for.
    pub fn is_stranger(&self) -> bool {
        let trusted = self.peer.ip == "unknown" || in_any(&self.peer.ip, &self.config.smtpd.relay_clients);
        self.role == Role::Mx && self.client.login.is_none() && !trusted
    }

    /// All checks for one recipient.
    pub fn guard(&mut self, path: &ForwardPath, address: &str) -> Result<(), Refusal> {
        if path.is_postmaster() {
            return Ok(());
        }
        let open = self.check_access(address)?;
        if open == Access::Discard
            && let Some(mail) = self.mail.as_mut()
        {
            mail.discard = true;
        }
        if open != Access::Dunno {
            return Ok(());
        }
        self.check_recipient_rate()?;
        if self.is_stranger() {
            self.check_stranger(address)?;
        }
        self.ask_policy(address)
    }
}
