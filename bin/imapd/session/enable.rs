//! ENABLE, and what is different once something is enabled.
//!
//! Standards   RFC 5161; RFC 7162 3.1 and 3.2 (CONDSTORE, QRESYNC), 9051 6.3.1 (IMAP4rev2), 6855 3 (UTF8=ACCEPT), 5464 4.1
//!             (METADATA), 9586 (UIDONLY)
//! Invariants  what is enabled stays so to the end of the session
use super::Session;
use super::answer::Answer;
use penny_imap::{Code, write};

/// What ENABLE switched on.
#[derive(Debug, Default, Clone, Copy)]
pub struct Enabled {
    pub condstore: bool,
    pub qresync: bool,
    /// IMAP4rev2: no `\Recent`, ESEARCH, names in UTF-8.
    pub rev2: bool,
    /// UTF8=ACCEPT: names in UTF-8, APPEND with UTF8.
    pub utf8: bool,
    /// UIDONLY: no message numbers.
    pub uidonly: bool,
}

impl Enabled {
    /// RFC 9051 5.1, RFC 6855 3: names are UTF-8 instead of modified UTF-7.
    pub fn has_utf8_names(self) -> bool {
        self.rev2 || self.utf8
    }
}

impl Session {
    pub(super) fn enable(&mut self, words: &[String]) -> Answer {
        let hidden = |word: &String| self.config.imapd.hide.iter().any(|h| h.eq_ignore_ascii_case(word));
        let words: Vec<String> = words.iter().filter(|w| !hidden(w)).cloned().collect();
        let mut on: Vec<&str> = words.iter().filter_map(|word| self.enable_one(word)).collect();
        on.dedup();
        if let Some(selected) = &mut self.selected {
            selected.enabled = self.enabled;
        }
        let line = format!("ENABLED {}", on.join(" "));
        self.untagged(line.trim_end());
        Answer::ok("ENABLE completed")
    }

    /// The name of what is on now; `None` for what cannot be enabled.
    fn enable_one(&mut self, word: &str) -> Option<&'static str> {
        match word {
            "CONDSTORE" => {
                self.condstore();
                return Some("CONDSTORE");
            }
            "QRESYNC" => {
                self.condstore();
                self.enabled.qresync = true;
                return Some("QRESYNC");
            }
            "IMAP4REV2" => self.enabled.rev2 = true,
            "UTF8=ACCEPT" => self.enabled.utf8 = true,
            "UIDONLY" => self.enabled.uidonly = true,
            // they allow unasked METADATA answers, which are never owed (RFC 5464 4.1)
            "METADATA" | "METADATA-SERVER" => {}
            _ => return None,
        }
        let names = ["IMAP4rev2", "UTF8=ACCEPT", "UIDONLY", "METADATA", "METADATA-SERVER"];
        names.into_iter().find(|n| n.eq_ignore_ascii_case(word))
    }

    /// A CONDSTORE-enabling command was given (RFC 7162 3.1): the client learns where it starts from.
    pub(super) fn condstore(&mut self) {
        if std::mem::replace(&mut self.enabled.condstore, true) {
            return;
        }
        if let Some(selected) = &mut self.selected {
            selected.enabled.condstore = true;
            let code = Code::HighestModSeq(selected.mailbox.status().highest_modseq);
            write::status(&mut self.conn.out, "*", "OK", Some(&code), "CONDSTORE enabled");
        }
    }
}
