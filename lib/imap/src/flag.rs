//! Message flags on the wire.
//!
//! Standards   RFC 3501 2.3.2, RFC 9051 2.3.2 (keywords `$...`)
//! Invariants  a keyword is an atom; at most [`KEYWORDS_MAX`] in one list
use crate::parse::{Bad, Cursor, Parse, ascii};

/// Keywords accepted in one command.
pub const KEYWORDS_MAX: usize = 64;

/// The settable system flags with their bits; the order is that of Maildir letters D F R S T.
pub const SYSTEM: [(&str, u8); 5] =
    [("\\Draft", 1), ("\\Flagged", 2), ("\\Answered", 4), ("\\Seen", 8), ("\\Deleted", 16)];
/// Bit of `\Seen`.
pub const SEEN: u8 = 8;
/// Bit of `\Deleted`.
pub const DELETED: u8 = 16;
/// Bit of `\Answered`.
pub const ANSWERED: u8 = 4;
/// Bit of `\Flagged`.
pub const FLAGGED: u8 = 2;
/// Bit of `\Draft`.
pub const DRAFT: u8 = 1;

/// Flags of one message or command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FlagList {
    /// System flags as bits of [`SYSTEM`].
    pub system: u8,
    /// Keywords as the client wrote them, without repetition.
    pub keywords: Vec<String>,
}

impl FlagList {
    fn add(&mut self, flag: OneFlag) -> Parse<()> {
        match flag {
            OneFlag::System(bit) => self.system |= bit,
            OneFlag::Keyword(k) if self.keywords.iter().any(|h| h.eq_ignore_ascii_case(&k)) => {}
            OneFlag::Keyword(_) if self.keywords.len() >= KEYWORDS_MAX => return Err(Bad("Too many keywords")),
            OneFlag::Keyword(k) => self.keywords.push(k),
        }
        Ok(())
    }
}

enum OneFlag {
    System(u8),
    Keyword(String),
}

fn flag(c: &mut Cursor<'_>) -> Parse<OneFlag> {
    if !c.eat(b'\\') {
        return Ok(OneFlag::Keyword(ascii(c.atom()?).to_owned()));
    }
    let name = c.atom()?;
    let known = SYSTEM.iter().find(|(n, _)| n.as_bytes()[1..].eq_ignore_ascii_case(name));
    known.map(|&(_, bit)| OneFlag::System(bit)).ok_or(Bad("Invalid system flag"))
}

/// flag-list = "(" [flag *(SP flag)] ")"
pub fn flag_list(c: &mut Cursor<'_>) -> Parse<FlagList> {
    collect(c.list(0, flag)?)
}

/// store-att-flags takes a list or bare flags (RFC 3501 9).
pub fn flag_list_or_bare(c: &mut Cursor<'_>) -> Parse<FlagList> {
    if c.peek() == Some(b'(') {
        return flag_list(c);
    }
    let mut flags = vec![flag(c)?];
    while c.peek() == Some(b' ') {
        c.space()?;
        flags.push(flag(c)?);
    }
    collect(flags)
}

fn collect(flags: Vec<OneFlag>) -> Parse<FlagList> {
    let mut list = FlagList::default();
    flags.into_iter().try_for_each(|f| list.add(f))?;
    Ok(list)
}

/// Writes `(\Seen word)`.
pub fn write_flags<'a>(out: &mut Vec<u8>, system: u8, keywords: impl Iterator<Item = &'a str>, recent: bool) {
    out.push(b'(');
    let from = out.len();
    let names = SYSTEM.iter().filter(|(_, bit)| system & bit != 0).map(|(n, _)| *n);
    for name in names.chain(recent.then_some("\\Recent")).chain(keywords) {
        if out.len() > from {
            out.push(b' ');
        }
        out.extend_from_slice(name.as_bytes());
    }
    out.push(b')');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::framed;

    #[test]
    fn lists_and_bare() {
        let f = framed(b"(\\seen $Forwarded \\DELETED $forwarded)");
        let list = flag_list(&mut Cursor::new(&f)).unwrap();
        assert_eq!((list.system, list.keywords.as_slice()), (SEEN | DELETED, ["$Forwarded".to_owned()].as_slice()));
        let f = framed(b"\\Draft a b");
        assert_eq!(flag_list_or_bare(&mut Cursor::new(&f)).unwrap().keywords, ["a", "b"]);
        assert!(flag_list(&mut Cursor::new(&framed(b"(\\Recent)"))).is_err());
        assert!(flag_list(&mut Cursor::new(&framed(b"(\\*)"))).is_err());
        assert_eq!(flag_list(&mut Cursor::new(&framed(b"()"))).unwrap(), FlagList::default());
    }

    #[test]
    fn writes() {
        let mut out = Vec::new();
        write_flags(&mut out, SEEN | DRAFT, ["x"].into_iter(), true);
        assert_eq!(out, b"(\\Draft \\Seen \\Recent x)");
    }
}
