//! MAIL: the sender and the start of a transaction.
//!
//! Standards   RFC 5321 3.3, 4.1.1.2; RFC 6409 (submission); RFC 4954 5 (AUTH= is believed from authenticated clients only)

use crate::content::unix_now;
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
    /// Largest message its domain takes, octets with CRLF; 0 is no limit but the server's.
    pub max_size: u64,
}

impl Recipient {
    /// The refusal of a message that its domain does not take for its size (RFC 1870 6.2).
    pub fn too_large(&self, octets: u64) -> Option<Reply> {
        let over = self.max_size > 0 && octets > self.max_size;
        over.then(|| Reply::new(552, "5.3.4", "the message is too large for this domain"))
    }
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
    /// Fields of policy servers, LF line ends.
    pub prepend: String,
    /// Why the queue shall hold it.
    pub hold: Option<String>,
    /// It is accepted and dropped.
    pub discard: bool,
}

impl Mail {
    /// A transaction without recipients.
    pub fn new(id: String, sender: ReversePath, params: MailParams) -> Mail {
        Mail { id, sender, params, recipients: Vec::new(), prepend: String::new(), hold: None, discard: false }
    }
}

impl Mail {
    /// The sender without brackets.
    pub fn sender_text(&self) -> String {
        self.sender.address()
    }
}

/// Time, process and chance in base 36.
fn transaction_id() -> String {
    let now = penny_sys::time::now();
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
        self.mail = Some(Mail::new(transaction_id(), sender, params));
        let lowered = self.lower_priority();
        match self.judge_sender() {
            // RFC 6710 5: the client is told when its wish was changed
            Ok(()) if lowered => self.answer(Reply::new(250, "2.3.6", "sender OK, priority changed to 0")),
            Ok(()) => self.answer(Reply::new(250, "2.1.0", "sender OK")),
            Err((rule, reply)) => {
                self.refuse(rule, reply);
                self.forget_mail();
            }
        }
    }

    /// Only who has logged in may ask to be served before others (RFC 6710 4.1).
    fn lower_priority(&mut self) -> bool {
        let trusted = self.client.login.is_some() || self.may_relay();
        let Some(priority) = self.mail.as_mut().and_then(|m| m.params.mt_priority.as_mut()) else { return false };
        let lower = !trusted && *priority > 0;
        if lower {
            *priority = 0;
        }
        lower
    }

    fn judge_sender(&mut self) -> Result<(), (&'static str, Reply)> {
        self.judge_submitter()?;
        self.judge_hold()?;
        self.check_message_rate()?;
        self.milters_mail().map_or(Ok(()), |reply| Err(("milter-mail", reply)))
    }

    /// RFC 4865 5: a hold beyond what was announced, or in the past, is refused.
    fn judge_hold(&self) -> Result<(), (&'static str, Reply)> {
        let Some(hold) = self.mail.as_ref().and_then(|m| m.params.hold) else { return Ok(()) };
        let now = unix_now();
        let most = i64::try_from(self.config.smtpd.hold_max.0).unwrap_or(i64::MAX);
        let at = hold.release_at(now);
        if at < now || at > now.saturating_add(most) {
            return Err(("hold", Reply::new(501, "5.5.4", "the hold is longer than offered, or over")));
        }
        Ok(())
    }

    fn judge_submitter(&mut self) -> Result<(), (&'static str, Reply)> {
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
