//! What is done about each class of content and each kind of trouble, and the limits of a walk.
//!
//! Config      `class=action` words, `policy` of `[virusscan]` in pennypost.toml, `--policy` on the command line
//! Invariants  troubles are never "clean": by hand they are exit 3 unless the administrator accepts them by name

use crate::sink::{Class, Trouble};
use std::time::Duration;

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// Nothing.
    Accept,
    /// Say so in a header field.
    Tag,
    /// Deliver to Junk.
    Junk,
    /// Take the part out of the message.
    Strip,
    /// Refuse the message.
    Reject,
}

impl Action {
    /// By its word.
    pub fn parse(text: &str) -> Option<Action> {
        Some(match text {
            "accept" => Action::Accept,
            "tag" => Action::Tag,
            "junk" => Action::Junk,
            "strip" => Action::Strip,
            "reject" => Action::Reject,
            _ => return None,
        })
    }

    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Action::Accept => "accept",
            Action::Tag => "tag",
            Action::Junk => "junk",
            Action::Strip => "strip",
            Action::Reject => "reject",
        }
    }
}

/// The table of actions.
#[derive(Clone, Debug)]
pub struct Policy {
    classes: [Action; Class::ALL.len()],
    troubles: [Action; Trouble::ALL.len()],
    /// Whether classes are looked at all.
    pub enabled: bool,
}

impl Default for Policy {
    fn default() -> Policy {
        let mut p = Policy { classes: [Action::Reject; 10], troubles: [Action::Tag; 6], enabled: true };
        p.classes[Class::Macro as usize] = Action::Tag;
        p.classes[Class::Active as usize] = Action::Tag;
        p.troubles[Trouble::Limit as usize] = Action::Reject;
        p.troubles[Trouble::Partial as usize] = Action::Reject;
        p
    }
}

impl Policy {
    /// What a class calls for.
    pub fn class(&self, class: Class) -> Action {
        if self.enabled { self.classes[class as usize] } else { Action::Accept }
    }

    /// What a trouble calls for.
    pub fn trouble(&self, trouble: Trouble) -> Action {
        self.troubles[trouble as usize]
    }

    /// Sets what one `word=action` says.
    pub fn set_word(&mut self, text: &str) -> Result<(), String> {
        let (class, action) = text.split_once('=').ok_or_else(|| format!("`{text}` is not class=action"))?;
        self.set(class.trim(), action.trim())
    }

    /// Sets the action of a class or a trouble.
    pub fn set(&mut self, word: &str, action: &str) -> Result<(), String> {
        let action =
            Action::parse(action).ok_or_else(|| format!("`{action}` is not accept, tag, junk, strip or reject"))?;
        if let Some(class) = Class::ALL.into_iter().find(|c| c.word() == word) {
            self.classes[class as usize] = action;
        } else if let Some(trouble) = Trouble::ALL.into_iter().find(|t| t.word() == word) {
            self.troubles[trouble as usize] = action;
        } else {
            return Err(format!("`{word}` is not a class of content or a kind of trouble"));
        }
        Ok(())
    }
}

/// Bounds of one walk. Reaching one is a trouble, never a silent end.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Containers inside each other.
    pub depth: usize,
    /// Objects.
    pub files: u64,
    /// Pieces of documents, which are cheap and many.
    pub pieces: u64,
    /// Octets of one unpacked object.
    pub object: u64,
    /// Octets unpacked in all.
    pub total: u64,
    /// Unpacked to packed, looked at beyond `ratio_from` octets.
    pub ratio: u64,
    /// See `ratio`.
    pub ratio_from: u64,
    /// Time for one message.
    pub time: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            depth: 32,
            files: 10_000,
            pieces: 100_000,
            object: 100 << 20,
            total: 400 << 20,
            ratio: 300,
            ratio_from: 8 << 20,
            time: Duration::from_secs(60),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_set_actions() {
        let mut p = Policy::default();
        assert_eq!(p.class(Class::Executable), Action::Reject);
        p.set("executable", "tag").unwrap();
        p.set("encrypted", "reject").unwrap();
        assert_eq!(p.class(Class::Executable), Action::Tag);
        assert_eq!(p.trouble(Trouble::Encrypted), Action::Reject);
        assert!(p.set("executable", "eat").is_err() && p.set("colour", "tag").is_err());
        p.enabled = false;
        assert_eq!(p.class(Class::Name), Action::Accept);
    }
}
