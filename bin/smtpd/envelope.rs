//! The transaction as the envelope of a queue entry.

use crate::mail::{Mail, Recipient};
use crate::session::Session;
use penny_addr::{Body, MailParams};
use penny_base::Failure;
use penny_queue::envelope::{Address, Param};
use penny_queue::{Envelope, Line};
use penny_smtp::server::{Role, with_keyword};

impl Session {
    /// The envelope; sizes are set by who writes the entry.
    pub fn envelope(&self, mail: &Mail, eight_bit: bool, junk: Option<&str>) -> Result<Envelope, Failure> {
        let now = penny_sys::time::now();
        let protocol = with_keyword(
            self.role == Role::Lmtp,
            self.client.extended,
            mail.params.smtputf8,
            self.peer.tls.is_some(),
            self.client.login.is_some(),
        );
        let tls = self.peer.tls.as_ref().map(|t| format!("{} {}", t.protocol, t.cipher));
        let text = |text: &str| if text.is_empty() { None } else { Some(Line::clean(text.as_bytes())) };
        let mut envelope = Envelope {
            arrival: (now.as_secs(), now.subsec_micros()),
            client_ip: text(&self.peer.ip),
            client_name: text(&self.client.name),
            helo: text(&self.client.helo),
            protocol: text(&protocol),
            tls: tls.and_then(|t| text(&t)),
            login: self.client.login.as_deref().and_then(text),
            junk: junk.and_then(text),
            hold: mail.hold.as_deref().and_then(text),
            ..Envelope::default()
        };
        envelope.sender.address = address(&mail.sender_text())?;
        envelope.sender.params = params(&sender_params(&mail.params, eight_bit).to_string())?;
        for recipient in &mail.recipients {
            envelope.recipients.push(queued(recipient)?);
        }
        Ok(envelope)
    }
}

/// One recipient in the queue's form.
pub fn queued(recipient: &Recipient) -> Result<penny_queue::envelope::Recipient, Failure> {
    let params = params(&recipient.params.to_string())?;
    Ok(penny_queue::envelope::Recipient { address: address(&recipient.address)?, params })
}

/// SIZE was a claim and BODY is what came: the queue gets the truth.
fn sender_params(params: &MailParams, eight_bit: bool) -> MailParams {
    let body = if eight_bit { Some(Body::EightBit) } else { params.body.filter(|b| *b != Body::Binary) };
    MailParams { size: None, body, ..params.clone() }
}

fn address(text: &str) -> Result<Address, Failure> {
    Address::new(text).ok_or_else(|| Failure::temporary("4.3.0", "address cannot be queued"))
}

fn params(text: &str) -> Result<Vec<Param>, Failure> {
    let words = text.split_whitespace().map(Param::parse).collect::<Option<Vec<Param>>>();
    words.ok_or_else(|| Failure::temporary("4.3.0", "parameter cannot be queued"))
}
