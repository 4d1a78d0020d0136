//! Commands.
//!
//! Standards   RFC 5804 2

use std::fmt;

use crate::input::Arg;

/// A ManageSieve command.
#[derive(Clone, PartialEq, Eq)]
pub enum Command {
    /// 2.1: mechanism and initial response (base64 as sent).
    Authenticate(String, Option<String>),
    /// 2.2.
    StartTls,
    /// 2.3.
    Logout,
    /// 2.4.
    Capability,
    /// 2.5.
    HaveSpace(String, u64),
    /// 2.6.
    PutScript(String, Vec<u8>),
    /// 2.7.
    ListScripts,
    /// 2.8; empty: none.
    SetActive(String),
    /// 2.9.
    GetScript(String),
    /// 2.10.
    DeleteScript(String),
    /// 2.11.
    RenameScript(String, String),
    /// 2.12.
    CheckScript(Vec<u8>),
    /// 2.13.
    Noop(Option<Vec<u8>>),
    /// 2.14.
    Unauthenticate,
}

/// Shows no response of an AUTHENTICATE.
impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Authenticate(mechanism, _) => write!(f, "AUTHENTICATE {mechanism:?}"),
            Self::PutScript(name, text) => write!(f, "PUTSCRIPT {name:?} ({} octets)", text.len()),
            Self::CheckScript(text) => write!(f, "CHECKSCRIPT ({} octets)", text.len()),
            Self::HaveSpace(name, size) => write!(f, "HAVESPACE {name:?} {size}"),
            Self::SetActive(name) => write!(f, "SETACTIVE {name:?}"),
            Self::GetScript(name) => write!(f, "GETSCRIPT {name:?}"),
            Self::DeleteScript(name) => write!(f, "DELETESCRIPT {name:?}"),
            Self::RenameScript(a, b) => write!(f, "RENAMESCRIPT {a:?} {b:?}"),
            Self::StartTls => f.write_str("STARTTLS"),
            Self::Logout => f.write_str("LOGOUT"),
            Self::Capability => f.write_str("CAPABILITY"),
            Self::ListScripts => f.write_str("LISTSCRIPTS"),
            Self::Noop(_) => f.write_str("NOOP"),
            Self::Unauthenticate => f.write_str("UNAUTHENTICATE"),
        }
    }
}

/// Why it is no command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bad {
    /// No such command.
    Unknown,
    /// Wrong arguments.
    Arguments,
    /// A name that is not UTF-8.
    Encoding,
}

impl Bad {
    /// The text of the reply.
    pub fn text(self) -> &'static str {
        match self {
            Self::Unknown => "unknown command",
            Self::Arguments => "wrong arguments",
            Self::Encoding => "names are UTF-8",
        }
    }
}

fn name(text: &[u8]) -> Result<String, Bad> {
    String::from_utf8(text.to_vec()).map_err(|_| Bad::Encoding)
}

impl Command {
    /// Reads a command from its pieces.
    ///
    /// # Errors
    /// [`Bad`] when it is none.
    pub fn parse(args: &[Arg]) -> Result<Self, Bad> {
        use Arg::{Text, Word};
        let Some((Word(verb), rest)) = args.split_first() else { return Err(Bad::Unknown) };
        match (verb.to_ascii_uppercase().as_str(), rest) {
            ("AUTHENTICATE", [Text(mechanism)]) => Ok(Self::Authenticate(name(mechanism)?.to_ascii_uppercase(), None)),
            ("AUTHENTICATE", [Text(mechanism), Text(initial)]) => {
                // RFC 5804 2.1: an empty string is an empty response; "=" says the same in SASL's own form
                let initial = if initial.is_empty() { "=".into() } else { name(initial)? };
                Ok(Self::Authenticate(name(mechanism)?.to_ascii_uppercase(), Some(initial)))
            }
            ("STARTTLS", []) => Ok(Self::StartTls),
            ("LOGOUT", []) => Ok(Self::Logout),
            ("CAPABILITY", []) => Ok(Self::Capability),
            ("HAVESPACE", [Text(script), Word(size)]) => {
                let size = size.parse().map_err(|_| Bad::Arguments)?;
                Ok(Self::HaveSpace(name(script)?, size))
            }
            ("PUTSCRIPT", [Text(script), Text(text)]) => Ok(Self::PutScript(name(script)?, text.clone())),
            ("LISTSCRIPTS", []) => Ok(Self::ListScripts),
            ("SETACTIVE", [Text(script)]) => Ok(Self::SetActive(name(script)?)),
            ("GETSCRIPT", [Text(script)]) => Ok(Self::GetScript(name(script)?)),
            ("DELETESCRIPT", [Text(script)]) => Ok(Self::DeleteScript(name(script)?)),
            ("RENAMESCRIPT", [Text(old), Text(new)]) => Ok(Self::RenameScript(name(old)?, name(new)?)),
            ("CHECKSCRIPT", [Text(text)]) => Ok(Self::CheckScript(text.clone())),
            ("NOOP", []) => Ok(Self::Noop(None)),
            ("NOOP", [Text(tag)]) => Ok(Self::Noop(Some(tag.clone()))),
            ("UNAUTHENTICATE", []) => Ok(Self::Unauthenticate),
            (
                "AUTHENTICATE" | "STARTTLS" | "LOGOUT" | "CAPABILITY" | "HAVESPACE" | "PUTSCRIPT" | "LISTSCRIPTS"
                | "SETACTIVE" | "GETSCRIPT" | "DELETESCRIPT" | "RENAMESCRIPT" | "CHECKSCRIPT" | "NOOP"
                | "UNAUTHENTICATE",
                _,
            ) => Err(Bad::Arguments),
            _ => Err(Bad::Unknown),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(w: &str) -> Arg {
        Arg::Word(w.into())
    }
    fn text(t: &str) -> Arg {
        Arg::Text(t.as_bytes().to_vec())
    }

    #[test]
    fn commands() {
        assert_eq!(Command::parse(&[word("noop"), text("x")]), Ok(Command::Noop(Some(b"x".to_vec()))));
        assert_eq!(
            Command::parse(&[word("Authenticate"), text("plain"), text("")]),
            Ok(Command::Authenticate("PLAIN".into(), Some("=".into())))
        );
        assert_eq!(Command::parse(&[word("HAVESPACE"), text("a"), word("12")]), Ok(Command::HaveSpace("a".into(), 12)));
        for (args, bad) in [
            (vec![], Bad::Unknown),
            (vec![word("XYZZY")], Bad::Unknown),
            (vec![text("NOOP")], Bad::Unknown),
            (vec![word("LOGOUT"), word("x")], Bad::Arguments),
            (vec![word("HAVESPACE"), text("a"), word("x")], Bad::Arguments),
            (vec![word("GETSCRIPT"), word("a")], Bad::Arguments),
            (vec![word("GETSCRIPT"), Arg::Text(vec![0xff])], Bad::Encoding),
        ] {
            assert_eq!(Command::parse(&args), Err(bad), "{args:?}");
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        let c = Command::Authenticate("PLAIN".into(), Some("c2VjcmV0".into()));
        assert!(!format!("{c:?}").contains("c2VjcmV0"));
    }
}
