//! Where a password comes from: a person at a terminal, standard input, or chance.

use super::Scheme;
use crate::table::say;
use nix::sys::termios::{LocalFlags, SetArg, tcgetattr, tcsetattr};
use penny_base::Failure;
use std::io::{BufRead, IsTerminal, Write};

/// The source.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// Asked for twice at a terminal, else one line of standard input.
    Person,
    /// One line of standard input, hashed already.
    Hash,
    /// Made here, to be told once it is kept.
    Generated,
}

/// Letters and digits that are not taken for one another.
const LETTERS: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz23456789A";
const SALT: usize = 16;

/// A new password.
pub struct New {
    /// The field of the users table.
    pub field: String,
    made: Option<String>,
}

impl New {
    /// Takes it from where it comes from.
    pub fn take(login: &str, from: From, scheme: Scheme) -> Result<New, Failure> {
        let made = (from == From::Generated).then(generate);
        let field = match (&made, from) {
            (Some(made), _) => hash(made, scheme)?,
            (None, From::Hash) => hashed(line()?)?,
            (None, _) => hash(&person(login)?, scheme)?,
        };
        Ok(New { field, made })
    }

    /// Prints one that was made here: call it when it is in the table.
    pub fn tell(&self, login: &str) -> Result<(), Failure> {
        self.made.as_ref().map_or(Ok(()), |made| say(&format!("password of {login}: {made}")).map(drop))
    }
}

fn hashed(hash: String) -> Result<String, Failure> {
    match penny_sasl::Password::parse(&hash) {
        Some(_) => Ok(hash),
        None => Err(Failure::usage("that is no {SCHEME}hash we understand")),
    }
}

/// The stored form.
pub fn hash(password: &str, scheme: Scheme) -> Result<String, Failure> {
    let mut salt = [0; SALT];
    penny_sys::random::fill(&mut salt);
    let made = match scheme {
        Scheme::Argon2id => penny_sasl::argon2id(password, &salt),
        Scheme::ScramSha256 => penny_sasl::scram_sha256(password, &salt, 10_000),
    };
    made.ok_or_else(|| Failure::usage("an empty password lets nobody in"))
}

/// 100 random bits, in groups a person can read from one screen and type on another.
pub fn generate() -> String {
    let mut bytes = [0u8; 20];
    penny_sys::random::fill(&mut bytes);
    let letters: Vec<u8> = bytes.iter().map(|b| LETTERS[usize::from(b & 31)]).collect();
    letters.chunks(5).map(|c| String::from_utf8_lossy(c).into_owned()).collect::<Vec<_>>().join("-")
}

fn person(login: &str) -> Result<String, Failure> {
    if !std::io::stdin().is_terminal() {
        return line();
    }
    twice(login)
}

/// Typed twice at a terminal, without showing it.
pub fn twice(login: &str) -> Result<String, Failure> {
    let first = hidden(&format!("New password of {login}: "))?;
    let second = hidden("Once more: ")?;
    if first == second { Ok(first) } else { Err(Failure::usage("the two are not the same")) }
}

fn line() -> Result<String, Failure> {
    let mut text = String::new();
    std::io::stdin().lock().read_line(&mut text).map_err(|e| Failure::io("standard input", &e))?;
    Ok(text.trim_end_matches(['\n', '\r']).to_string())
}

/// Asks without showing what is typed.
fn hidden(question: &str) -> Result<String, Failure> {
    let stdin = std::io::stdin();
    let failed = |e: nix::errno::Errno| Failure::io("terminal", &e.into());
    let before = tcgetattr(&stdin).map_err(failed)?;
    let mut quiet = before.clone();
    quiet.local_flags.remove(LocalFlags::ECHO);
    // before the question: what is typed at it is neither shown nor thrown away
    tcsetattr(&stdin, SetArg::TCSAFLUSH, &quiet).map_err(failed)?;
    let mut err = std::io::stderr();
    write!(err, "{question}").map_err(|e| Failure::io("terminal", &e))?;
    let text = line();
    tcsetattr(&stdin, SetArg::TCSAFLUSH, &before).map_err(failed)?;
    writeln!(err).map_err(|e| Failure::io("terminal", &e))?;
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn generated_passwords_are_long_and_differ() {
        let (a, b) = (super::generate(), super::generate());
        assert_ne!(a, b);
        assert_eq!(a.len(), 23);
    }
}
