//! Rates: messages and recipients an hour of one login, else of one client address. lookup counts, across restarts.

use super::Refusal;
use crate::session::Session;
use penny_base::services::lookup::Answer;
use penny_smtp::server::Reply;
use penny_tables::cidr::client_key;

/// The window, seconds.
const WINDOW: &str = "3600";

impl Session {
    /// One more message.
    pub fn check_message_rate(&mut self) -> Result<(), Refusal> {
        self.count("messages", self.config.smtpd.rate_messages)
    }

    /// One more recipient.
    pub fn check_recipient_rate(&mut self) -> Result<(), Refusal> {
        self.count("recipients", self.config.smtpd.rate_recipients)
    }

    fn count(&mut self, what: &'static str, limit: u32) -> Result<(), Refusal> {
        // the domain of a login may have a limit of its own, which lookup knows
        if self.client.login.is_none() && (limit == 0 || self.peer.ip == "unknown") {
            return Ok(());
        }
        let who = match &self.client.login {
            Some(login) => format!("login/{login}"),
            None => format!("client/{}", client_key(&self.peer.ip)),
        };
        let key = format!("{what}/{who}");
        if self.unlimited.contains(&key) {
            return Ok(());
        }
        match self.services.lookup.ask(&["rate", &key, &limit.to_string(), WINDOW, "1"]) {
            Ok(Answer::Ok(count)) if count.first().is_some_and(|n| n == "0") => {
                self.unlimited.insert(key);
                Ok(())
            }
            Ok(Answer::No(_)) => {
                let rule = if what == "messages" { "rate-messages" } else { "rate-recipients" };
                Err((rule, Reply::new(450, "4.7.1", format!("too many {what}, try again later"))))
            }
            // a counter that cannot be asked holds nobody up
            _ => Ok(()),
        }
    }
}
