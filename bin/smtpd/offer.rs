//! What is announced, by role, TLS and login.
//!
//! Standards   RFC 8314 3.3 (no AUTH in the clear), RFC 8689 2 (REQUIRETLS only within TLS), RFC 4865 (submission only)

use crate::content::unix_now;
use crate::session::Session;
use crate::xclient::{XCLIENT, XFORWARD};
use penny_addr::Hold;
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
            binarymime: true,
            requiretls: tls && self.role != Role::Lmtp,
            rcpt_max: self.config.smtpd.max_recipients as usize,
            mail_max: self.config.smtpd.max_messages as usize,
            hold_max: self.hold_max(),
            hold_until: self.hold_until(),
            deliverby: (self.role != Role::Lmtp).then_some(0),
            mt_priority: self.role != Role::Lmtp,
            xclient: if self.may_xclient() { XCLIENT.to_vec() } else { Vec::new() },
            xforward: if self.may_xclient() { XFORWARD.to_vec() } else { Vec::new() },
        };
        let offer = self.without_hidden(offer);
        self.machine.set_offer(offer);
    }

    /// Longest hold of FUTURERELEASE, seconds: for users only (RFC 4865 4).
    fn hold_max(&self) -> u32 {
        let most = if self.role == Role::Submission { self.config.smtpd.hold_max.0 } else { 0 };
        u32::try_from(most.min(999_999_999)).unwrap_or(0)
    }

    /// The latest date of FUTURERELEASE, as the value of HOLDUNTIL.
    fn hold_until(&self) -> String {
        let until = Hold::Until(unix_now() + i64::from(self.hold_max())).to_string();
        until.trim_start_matches("HOLDUNTIL=").to_owned()
    }

    /// Leaves out what the administrator hides.
    fn without_hidden(&self, mut offer: Offer) -> Offer {
        for keyword in &self.config.smtpd.hide {
            match keyword.to_ascii_uppercase().as_str() {
                "SMTPUTF8" => offer.smtputf8 = false,
                "DSN" => offer.dsn = false,
                "CHUNKING" => offer.chunking = false,
                "BINARYMIME" => offer.binarymime = false,
                "STARTTLS" => offer.starttls = false,
                "REQUIRETLS" => offer.requiretls = false,
                "LIMITS" => (offer.rcpt_max, offer.mail_max) = (0, 0),
                "FUTURERELEASE" => offer.hold_max = 0,
                "DELIVERBY" => offer.deliverby = None,
                "MT-PRIORITY" => offer.mt_priority = false,
                "AUTH" => offer.auth.clear(),
                _ => {}
            }
        }
        offer
    }

    /// Whether a password may be given on this connection.
    pub fn auth_allowed(&self) -> bool {
        let clear = self.config.smtpd.plain_auth_loopback && self.peer.is_loopback();
        self.role == Role::Submission && (self.peer.tls.is_some() || clear)
    }
}
