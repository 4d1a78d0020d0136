//! The access table, asked of lookup: client, helo, sender, recipient. The first answer that is not `dunno` decides, but
//! `hold` only says what becomes of the message if the others let it in.

use super::{Access, Refusal};
use crate::session::Session;
use penny_base::services::lookup::Answer;
use penny_smtp::server::Reply;

impl Session {
    /// Asks for all four.
    pub fn check_access(&mut self, recipient: &str) -> Result<Access, Refusal> {
        if !self.has_access_rules() {
            return Ok(Access::Dunno);
        }
        let sender = self.mail.as_ref().map(|m| m.sender_text()).unwrap_or_default();
        let sender = if sender.is_empty() { "<>".to_owned() } else { sender };
        let questions = [
            ("client", "access-client", self.peer.ip.clone()),
            ("client", "access-client", self.client.name.clone()),
            ("helo", "access-helo", self.client.helo.clone()),
            ("sender", "access-sender", sender),
            ("recipient", "access-recipient", recipient.to_owned()),
        ];
        for (kind, rule, value) in questions {
            if value.is_empty() {
                continue;
            }
            match self.access_of(kind, rule, &value)? {
                Access::Dunno => {}
                Access::Hold(why) => self.hold(&why),
                verdict => return Ok(verdict),
            }
        }
        Ok(Access::Dunno)
    }

    /// The message goes into the queue and stays there until the admin releases it; the first reason is kept.
    fn hold(&mut self, why: &str) {
        if let Some(mail) = self.mail.as_mut() {
            mail.hold.get_or_insert_with(|| why.to_owned());
        }
    }

    /// Whether there is anything to ask; asked once a conversation.
    fn has_access_rules(&mut self) -> bool {
        if !self.config.smtpd.access {
            return false;
        }
        if self.access_rules.is_none() {
            let answer = self.services.lookup.ask(&["access"]);
            let empty = matches!(&answer, Ok(Answer::Ok(fields)) if fields.first().is_some_and(|n| n == "0"));
            self.access_rules = Some(!empty);
        }
        self.access_rules == Some(true)
    }

    fn access_of(&mut self, kind: &str, rule: &'static str, value: &str) -> Result<Access, Refusal> {
        let action = match self.services.lookup.ask(&["access", kind, value]) {
            Ok(Answer::Ok(fields)) => fields.join(" "),
            Ok(Answer::No(_)) => return Ok(Access::Dunno),
            Ok(Answer::Temp(_)) | Err(_) => {
                return Err(("lookup", Reply::new(451, "4.3.0", "access lookup failed, try again later")));
            }
        };
        let (verb, text) = action.split_once(' ').unwrap_or((&action, ""));
        match verb {
            "ok" => Ok(Access::Ok),
            "discard" => Ok(Access::Discard),
            "hold" => Ok(Access::Hold(if text.is_empty() { rule } else { text }.to_owned())),
            "reject" => Err((rule, said(text, "5.7.1 access denied", 550))),
            "defer" => Err((rule, said(text, "4.7.1 access denied for now", 450))),
            _ => Ok(Access::Dunno),
        }
    }
}

/// The table's text, with its own status if it has one of the right class.
fn said(text: &str, default: &str, code: u16) -> Reply {
    let class = if code >= 500 { "5." } else { "4." };
    let (status, rest) = default.split_once(' ').unwrap_or((default, ""));
    match text.split_once(' ') {
        Some((own, _)) if own.starts_with(class) && own.matches('.').count() == 2 => Reply::from_text(text, code, code),
        _ if text.is_empty() => Reply::new(code, status, rest),
        _ => Reply::new(code, status, text),
    }
}
