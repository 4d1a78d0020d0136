//! GETMETADATA and SETMETADATA.
//!
//! Standards   RFC 5464 4.2, 4.3
//! Invariants  at most [`ENTRIES_MAX`] entries in one command
use super::Command;
use crate::parse::{Bad, Cursor, Parse};

/// Entries in one command.
pub const ENTRIES_MAX: usize = 100;

/// What GETMETADATA asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GetMetadata {
    /// The mailbox; empty means the server.
    pub name: Vec<u8>,
    /// Values longer than this are left out and reported (LONGENTRIES).
    pub max_size: Option<u64>,
    /// 0, 1 or infinite levels below each entry.
    pub depth: Depth,
    /// The entries.
    pub entries: Vec<Vec<u8>>,
}

/// DEPTH of RFC 5464 4.2.2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Depth {
    /// Only the entry.
    #[default]
    Zero,
    /// And its children.
    One,
    /// And all below.
    Infinity,
}

pub(super) fn parse(word: &str, c: &mut Cursor<'_>) -> Option<Parse<Command>> {
    Some(match word {
        "GETMETADATA" => get(c).map(Command::GetMetadata),
        "SETMETADATA" => set(c),
        _ => return None,
    })
}

/// Options stand before the mailbox (RFC 5464 5) or behind it (its examples in 4.2.1, and some clients).
fn get(c: &mut Cursor<'_>) -> Parse<GetMetadata> {
    let mut args = GetMetadata::default();
    c.space()?;
    if c.peek() == Some(b'(') {
        c.list(1, |c| option(c, &mut args))?;
        c.space()?;
    }
    args.name = c.astring()?;
    c.space()?;
    // entries begin with a slash, options with a letter
    if matches!(c.rest(), [b'(', b'A'..=b'Z' | b'a'..=b'z', ..]) {
        c.list(1, |c| option(c, &mut args))?;
        c.space()?;
    }
    args.entries = c.one_or_list(Cursor::astring)?;
    if args.entries.len() > ENTRIES_MAX { Err(Bad("Too many entries")) } else { Ok(args) }
}

fn option(c: &mut Cursor<'_>, args: &mut GetMetadata) -> Parse<()> {
    let word = c.atom_upper()?;
    c.space()?;
    match word.as_str() {
        "MAXSIZE" => args.max_size = Some(c.number64()?),
        "DEPTH" => {
            args.depth = match c.atom_upper()?.as_str() {
                "0" => Depth::Zero,
                "1" => Depth::One,
                "INFINITY" => Depth::Infinity,
                _ => return Err(Bad("Invalid DEPTH")),
            }
        }
        _ => return Err(Bad("Unknown GETMETADATA option")),
    }
    Ok(())
}

fn set(c: &mut Cursor<'_>) -> Parse<Command> {
    c.space()?;
    let name = c.astring()?;
    c.space()?;
    let entries = c.list(1, |c| {
        let entry = c.astring()?;
        c.space()?;
        Ok((entry, c.nstring()?))
    })?;
    if entries.len() > ENTRIES_MAX { Err(Bad("Too many entries")) } else { Ok(Command::SetMetadata { name, entries }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::command;

    #[test]
    fn rfc5464_examples() {
        let Ok(Command::GetMetadata(g)) =
            command("GETMETADATA (MAXSIZE 1024 DEPTH 1) \"INBOX\" (/shared/comment /private/comment)")
        else {
            panic!()
        };
        assert_eq!((g.max_size, g.depth, g.entries.len()), (Some(1024), Depth::One, 2));
        assert!(
            matches!(command("GETMETADATA \"\" /shared/comment"), Ok(Command::GetMetadata(g)) if g.name.is_empty())
        );
        assert!(
            matches!(command("GETMETADATA INBOX (MAXSIZE 9) (/shared/comment)"), Ok(Command::GetMetadata(g)) if g.max_size == Some(9))
        );
        let Ok(Command::SetMetadata { entries, .. }) =
            command("SETMETADATA INBOX (/private/comment {3}\r\nabc /shared/x NIL)")
        else {
            panic!()
        };
        assert_eq!(entries, [(b"/private/comment".to_vec(), Some(b"abc".to_vec())), (b"/shared/x".to_vec(), None)]);
    }
}
