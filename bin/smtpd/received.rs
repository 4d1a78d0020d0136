//! The Received field.
//!
//! Standards   RFC 5321 4.4 (trace), 4.1.3; RFC 3848 and 6531 4.3 (`with` keywords); RFC 8314 4.3 (TLS in a comment)
//! Invariants  every foreign word in it is a checked domain, an address or visible ASCII without comment characters

use crate::mail::Mail;
use crate::session::Session;
use penny_addr::{Charset, Domain};
use penny_mime::DateTime;
use penny_smtp::server::{Role, with_keyword};

impl Session {
    /// The field for this transaction, ended by LF.
    pub fn received(&self, mail: &Mail, now: i64) -> String {
        let keyword = with_keyword(
            self.role == Role::Lmtp,
            self.client.extended,
            mail.params.smtputf8,
            self.peer.tls.is_some(),
            self.client.login.is_some(),
        );
        let tls = self.peer.tls.as_ref().map(|t| format!(" ({} {})", word(&t.protocol), word(&t.cipher)));
        let only = match mail.recipients.as_slice() {
            [one] => format!("\n\tfor <{}>", one.address),
            _ => String::new(),
        };
        format!(
            "Received: from {}\n\tby {} with {keyword}{}\n\tid {}{only};\n\t{}\n",
            self.client_clause(),
            self.hostname,
            tls.unwrap_or_default(),
            mail.id,
            DateTime::from_unix(now, 0).rfc5322()
        )
    }

    /// `helo (name [address])`; a helo that is no domain stands in the comment.
    fn client_clause(&self) -> String {
        if self.role == Role::Submission && self.config.smtpd.hide_client {
            return format!("{} (authenticated user)", self.hostname);
        }
        // what the host in front told about the client it had wins
        let told = self.forwarded.as_ref();
        let ip = told.and_then(|t| t.ip.as_deref()).unwrap_or(&self.peer.ip);
        let own = told.is_none_or(|t| t.ip.is_none()).then_some(self.client.name.as_str());
        let name = told.and_then(|t| t.name.as_deref()).or(own).filter(|n| !n.is_empty()).unwrap_or("unknown");
        let helo = told.and_then(|t| t.helo.as_deref()).unwrap_or(&self.client.helo);
        let address = match ip.parse::<std::net::IpAddr>() {
            Ok(ip) => Domain::from_ip(ip).to_string(),
            Err(_) => "[local]".to_owned(),
        };
        match Domain::parse(helo, Charset::Ascii) {
            Ok(helo) => format!("{helo} ({name} {address})"),
            Err(_) => format!("{address} ({name}; helo={})", word(helo)),
        }
    }
}

/// Visible ASCII that cannot end a comment or begin an escape.
fn word(text: &str) -> String {
    let safe = |c: char| if c.is_ascii_graphic() && !"()\\\"".contains(c) { c } else { '?' };
    text.chars().take(100).map(safe).collect()
}
