//! One command line, parsed.
//!
//! Standards   RFC 1939 3 and 9, RFC 2449 4, RFC 5034 4, RFC 6856 2 and 3
//! Invariants  message numbers are never 0; USER keeps inner spaces out, PASS keeps all its spaces (RFC 1939 7)

use std::fmt;

/// A POP3 command.
#[derive(Clone, PartialEq, Eq)]
pub enum Command {
    /// RFC 1939 7.
    User(String),
    /// RFC 1939 7; the rest of the line, spaces included.
    Pass(Vec<u8>),
    /// RFC 1939 7.
    Apop,
    /// RFC 5034 4; without a mechanism it lists them (RFC 1734 clients).
    Auth(Option<(String, Option<Vec<u8>>)>),
    /// RFC 2595 4.
    Stls,
    /// RFC 2449 5.
    Capa,
    /// RFC 1939 4 and 6.
    Quit,
    /// RFC 1939 5.
    Stat,
    /// RFC 1939 5.
    List(Option<u32>),
    /// RFC 1939 5.
    Retr(u32),
    /// RFC 1939 5.
    Dele(u32),
    /// RFC 1939 5.
    Noop,
    /// RFC 1939 5.
    Rset,
    /// RFC 1939 7: message and number of body lines.
    Top(u32, u64),
    /// RFC 1939 7.
    Uidl(Option<u32>),
    /// RFC 6856 2.
    Utf8,
    /// RFC 6856 3.
    Lang(Option<String>),
}

/// Shows no password and no SASL response.
impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a line is no command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bad {
    /// No such command.
    Unknown,
    /// An argument is missing, too many or malformed.
    Syntax,
    /// Not a message number that can exist.
    Number,
}

impl Bad {
    /// The text of the reply.
    pub fn text(self) -> &'static str {
        match self {
            Self::Unknown => "unknown command",
            Self::Syntax => "wrong arguments",
            Self::Number => "no such message",
        }
    }
}

impl Command {
    /// The keyword, for logs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::User(_) => "USER",
            Self::Pass(_) => "PASS",
            Self::Apop => "APOP",
            Self::Auth(_) => "AUTH",
            Self::Stls => "STLS",
            Self::Capa => "CAPA",
            Self::Quit => "QUIT",
            Self::Stat => "STAT",
            Self::List(_) => "LIST",
            Self::Retr(_) => "RETR",
            Self::Dele(_) => "DELE",
            Self::Noop => "NOOP",
            Self::Rset => "RSET",
            Self::Top(..) => "TOP",
            Self::Uidl(_) => "UIDL",
            Self::Utf8 => "UTF8",
            Self::Lang(_) => "LANG",
        }
    }

    /// Parses a line without its CRLF.
    ///
    /// # Errors
    /// [`Bad`] when the line is no command.
    pub fn parse(line: &[u8]) -> Result<Self, Bad> {
        let (word, rest) = split(line);
        let word = word.to_ascii_uppercase();
        if word == b"PASS" {
            // RFC 1939 7: PASS has one argument, so spaces belong to the password
            return rest
                .filter(|r| !r.is_empty() && !r.contains(&0))
                .map(|r| Self::Pass(r.to_vec()))
                .ok_or(Bad::Syntax);
        }
        let args = Args::new(rest)?;
        match word.as_slice() {
            b"USER" => args.one().and_then(user),
            b"APOP" => Ok(Self::Apop),
            b"AUTH" => auth(&args),
            b"STLS" => args.none(Self::Stls),
            b"CAPA" => args.none(Self::Capa),
            b"QUIT" => args.none(Self::Quit),
            b"STAT" => args.none(Self::Stat),
            b"LIST" => args.maybe_number().map(Self::List),
            b"RETR" => args.one().and_then(number).map(Self::Retr),
            b"DELE" => args.one().and_then(number).map(Self::Dele),
            b"NOOP" => args.none(Self::Noop),
            b"RSET" => args.none(Self::Rset),
            b"TOP" => top(&args),
            b"UIDL" => args.maybe_number().map(Self::Uidl),
            b"UTF8" => args.none(Self::Utf8),
            b"LANG" => lang(&args),
            _ => Err(Bad::Unknown),
        }
    }
}

fn split(line: &[u8]) -> (&[u8], Option<&[u8]>) {
    match line.iter().position(|&b| b == b' ') {
        Some(at) => (line.get(..at).unwrap_or_default(), line.get(at + 1..)),
        None => (line, None),
    }
}

/// Arguments: printable, separated by spaces; trailing spaces do not count (old clients send them).
struct Args<'a>(Vec<&'a str>);

impl<'a> Args<'a> {
    fn new(rest: Option<&'a [u8]>) -> Result<Self, Bad> {
        let text = std::str::from_utf8(rest.unwrap_or_default()).map_err(|_| Bad::Syntax)?;
        if text.chars().any(char::is_control) {
            return Err(Bad::Syntax);
        }
        Ok(Self(text.split(' ').filter(|w| !w.is_empty()).collect()))
    }

    fn none(&self, command: Command) -> Result<Command, Bad> {
        if self.0.is_empty() { Ok(command) } else { Err(Bad::Syntax) }
    }

    fn one(&self) -> Result<&'a str, Bad> {
        match self.0.as_slice() {
            [one] => Ok(one),
            _ => Err(Bad::Syntax),
        }
    }

    fn maybe_number(&self) -> Result<Option<u32>, Bad> {
        match self.0.as_slice() {
            [] => Ok(None),
            [one] => number(one).map(Some),
            _ => Err(Bad::Syntax),
        }
    }
}

fn user(name: &str) -> Result<Command, Bad> {
    Ok(Command::User(name.to_owned()))
}

/// RFC 1939 3: message numbers are decimal and begin at 1.
fn number(word: &str) -> Result<u32, Bad> {
    if word.is_empty() || !word.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Bad::Syntax);
    }
    match word.parse() {
        Ok(0) | Err(_) => Err(Bad::Number),
        Ok(n) => Ok(n),
    }
}

fn top(args: &Args<'_>) -> Result<Command, Bad> {
    let [message, lines] = args.0.as_slice() else { return Err(Bad::Syntax) };
    if lines.is_empty() || !lines.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Bad::Syntax);
    }
    // more lines than u64 holds are all lines
    Ok(Command::Top(number(message)?, lines.parse().unwrap_or(u64::MAX)))
}

/// RFC 5034 4: mechanism, and an initial response in base64 ("=" for an empty one).
fn auth(args: &Args<'_>) -> Result<Command, Bad> {
    match args.0.as_slice() {
        [] => Ok(Command::Auth(None)),
        [mechanism] => mechanism_name(mechanism).map(|m| Command::Auth(Some((m, None)))),
        [mechanism, response] => {
            mechanism_name(mechanism).map(|m| Command::Auth(Some((m, Some(response.as_bytes().to_vec())))))
        }
        _ => Err(Bad::Syntax),
    }
}

/// RFC 4422 3.1: 1 to 20 letters, digits, hyphens, underscores.
fn mechanism_name(word: &str) -> Result<String, Bad> {
    let fits =
        (1..=20).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if fits { Ok(word.to_ascii_uppercase()) } else { Err(Bad::Syntax) }
}

/// RFC 6856 3: a language tag of RFC 5646 or `*`.
fn lang(args: &Args<'_>) -> Result<Command, Bad> {
    match args.0.as_slice() {
        [] => Ok(Command::Lang(None)),
        [tag] if *tag == "*" || tag.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') => {
            Ok(Command::Lang(Some((*tag).to_owned())))
        }
        _ => Err(Bad::Syntax),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Command, Bad> {
        Command::parse(line.as_bytes())
    }

    #[test]
    fn rfc1939_commands() {
        assert_eq!(parse("stat"), Ok(Command::Stat));
        assert_eq!(parse("LIST"), Ok(Command::List(None)));
        assert_eq!(parse("LIST 2"), Ok(Command::List(Some(2))));
        assert_eq!(parse("Retr 1 "), Ok(Command::Retr(1)));
        assert_eq!(parse("TOP 1 10"), Ok(Command::Top(1, 10)));
        assert_eq!(parse("TOP 1 99999999999999999999999"), Ok(Command::Top(1, u64::MAX)));
        assert_eq!(parse("PASS  two  spaces "), Ok(Command::Pass(b" two  spaces ".to_vec())));
        assert_eq!(parse("USER müller"), Ok(Command::User("müller".into())));
        assert_eq!(parse("UIDL 4294967296"), Err(Bad::Number));
    }

    #[test]
    fn rfc5034_auth() {
        assert_eq!(parse("AUTH"), Ok(Command::Auth(None)));
        assert_eq!(parse("auth plain ="), Ok(Command::Auth(Some(("PLAIN".into(), Some(b"=".to_vec()))))));
        assert_eq!(parse("AUTH SCRAM-SHA-256"), Ok(Command::Auth(Some(("SCRAM-SHA-256".into(), None)))));
        assert_eq!(parse("AUTH ABCDEFGHIJKLMNOPQRSTUVWXYZ"), Err(Bad::Syntax));
    }

    #[test]
    fn bad_lines() {
        for (line, bad) in [
            ("", Bad::Unknown),
            ("XYZZY", Bad::Unknown),
            ("RETR", Bad::Syntax),
            ("RETR 0", Bad::Number),
            ("RETR -1", Bad::Syntax),
            ("RETR +1", Bad::Syntax),
            ("RETR 1 2", Bad::Syntax),
            ("DELE 1x", Bad::Syntax),
            ("STAT 1", Bad::Syntax),
            ("TOP 1", Bad::Syntax),
            ("TOP 1 -1", Bad::Syntax),
            ("PASS", Bad::Syntax),
            ("USER a\0b", Bad::Syntax),
            ("LANG ../x", Bad::Syntax),
        ] {
            assert_eq!(parse(line), Err(bad), "{line:?}");
        }
        assert_eq!(Command::parse(b"USER \xff"), Err(Bad::Syntax));
    }

    #[test]
    fn debug_shows_no_secret() {
        assert_eq!(format!("{:?}", Command::Pass(b"hunter2".to_vec())), "PASS");
    }
}
