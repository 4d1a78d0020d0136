//! What is announced, by role, TLS and login.
//!
//! Standards   RFC 8314 3.3 (no AUTH in the clear), RFC 8689 2 (REQUIRETLS only within TLS), RFC 4865 (submission only)

use crate::session::Session;
use penny_smtp::server::{Offer, Role};

impl Session {
    /// Tells the machine what to announce now.
    pub fn refresh_offer(&mut self) {
        let auth = self.auth_mechanisms();
        let tls = self.peer.tls.is_some();
        let offer = Offer {
            size: self.config.smtpd.max_size.0,
            starttls: self.starttls.is_some() && !tls,
            auth,
            smtputf8: true,
            dsn: true,
            chunking: true,
            binarymime: false,
            requiretls: tls && self.role != Role::Lmtp,
            rcpt_max: self.config.smtpd.max_recipients as usize,
            ..Offer::default()
        };
        self.machine.set_offer(offer);
    }

    /// Whether a password may be given on this connection.
    pub fn auth_allowed(&self) -> bool {
        let clear = self.config.smtpd.plain_auth_loopback && self.peer.is_loopback();
        self.role == Role::Submission && (self.peer.tls.is_some() || clear)
    }
}
