//! MAIL: the sender and the start of a transaction.
//!
//! Standards   RFC 5321 3.3, 4.1.1.2; RFC 6409 (submission); RFC 4954 5 (AUTH= is believed from authenticated clients only)

use crate::session::Session;
use penny_addr::{MailParams, RcptParams, ReversePath, SenderAuth};
use penny_base::services::lookup::Answer;
use penny_smtp::server::{Reply, Role};

/// A recipient that was accepted.
pub struct Recipient {
    /// As given, without brackets.
    pub address: String,
    /// DSN parameters.
    pub params: RcptParams,
    /// The mailbox to deliver to at once (LMTP).
    pub local: Option<String>,
    /// Indices of the filters that judge mail to it.
    pub filters: Vec<usize>,
}

/// A mail transaction.
pub struct Mail {
    /// Name of the transaction in logs and Received.
    pub id: String,
    /// The reverse path.
    pub sender: ReversePath,
    /// Its parameters.
    pub params: MailParams,
    /// Accepted recipients.
    pub recipients: Vec<Recipient>,
}

impl Mail {
    /// The sender without brackets.
    pub fn sender_text(&self) -> String {
        self.sender.address()
    }
}

/// Time, process and chance in base 36.
fn transaction_id() -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let mut n = (now.as_secs() as u128) << 44 | u128::from(penny_sys::random::u64() >> 20);
    let mut out = Vec::new();
    while n > 0 {
        out.push(std::char::from_digit((n % 36) as u32, 36).unwrap_or('0').to_ascii_uppercase());
        n /= 36;
    }
    out.iter().rev().collect()
}

impl Session {
    /// MAIL FROM.
    pub fn mail_from(&mut self, sender: ReversePath, mut params: MailParams) {
        if params.auth.is_some() && self.client.login.is_none() {
            params.auth = Some(SenderAuth::Unknown);
        }
        self.mail = Some(Mail { id: transaction_id(), sender, params, recipients: Vec::new() });
        match self.judge_sender() {
            Ok(()) => self.answer(Reply::new(250, "2.1.0", "sender OK")),
            Err((rule, reply)) => {
                self.refuse(rule, reply);
                self.mail = None;
            }
        }
    }

    fn judge_sender(&mut self) -> Result<(), (&'static str, Reply)> {
        if self.role != Role::Submission {
            return Ok(());
        }
        let trusted = self.config.smtpd.submission_loopback && self.peer.is_loopback();
        match self.client.login.clone() {
            Some(login) => self.sender_belongs(&login),
            None if trusted => Ok(()),
            // RFC 4954 6
            None => Err(("auth-required", Reply::new(530, "5.7.0", "authentication required"))),
        }
    }

    fn sender_belongs(&mut self, login: &str) -> Result<(), (&'static str, Reply)> {
        let sender = self.mail.as_ref().map(Mail::sender_text).unwrap_or_default();
        if sender.is_empty() || !self.config.smtpd.sender_login {
            return Ok(());
        }
        self.may_send(login, &sender)
    }

    /// Whether a login may use an address.
    pub fn may_send(&mut self, login: &str, address: &str) -> Result<(), (&'static str, Reply)> {
        match self.services.lookup.ask(&["maysend", login, address]) {
            Ok(Answer::Ok(_)) => Ok(()),
            Ok(Answer::No(_)) => {
                let text = format!("{login} may not send as <{address}>");
                Err(("sender-login", Reply::new(553, "5.7.1", text)))
            }
            Ok(Answer::Temp(_)) | Err(_) => Err(("lookup", Reply::new(451, "4.3.0", "try again later"))),
        }
    }
}
