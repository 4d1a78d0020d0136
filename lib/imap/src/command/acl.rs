//! GETACL, SETACL, DELETEACL, LISTRIGHTS, MYRIGHTS.
//!
//! Standards   RFC 4314 3
use super::{Command, Name, name};
use crate::parse::{Bad, Cursor, Parse};

/// How SETACL changes the rights of an identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// To these.
    Set,
    /// These as well.
    Add,
    /// Without these.
    Remove,
}

/// Commands about rights.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those of the RFC")]
pub enum AclCommand {
    Get(Name),
    My(Name),
    List { name: Name, identifier: String },
    Set { name: Name, identifier: String, change: Change, rights: String },
    Delete { name: Name, identifier: String },
}

pub(super) fn parse(word: &str, c: &mut Cursor<'_>) -> Option<Parse<Command>> {
    let command = match word {
        "GETACL" => name(c).map(AclCommand::Get),
        "MYRIGHTS" => name(c).map(AclCommand::My),
        "LISTRIGHTS" => named(c).map(|(name, identifier)| AclCommand::List { name, identifier }),
        "DELETEACL" => named(c).map(|(name, identifier)| AclCommand::Delete { name, identifier }),
        "SETACL" => set(c),
        _ => return None,
    };
    Some(command.map(Command::Acl))
}

fn named(c: &mut Cursor<'_>) -> Parse<(Name, String)> {
    Ok((name(c)?, text(c)?))
}

/// identifier = astring; it is kept in a line of text.
fn text(c: &mut Cursor<'_>) -> Parse<String> {
    c.space()?;
    let text = String::from_utf8(c.astring()?).map_err(|_| Bad("Identifier is not UTF-8"))?;
    let odd = text.chars().any(|ch| ch.is_control() || ch == '"');
    if odd || text.is_empty() { Err(Bad("Invalid identifier")) } else { Ok(text) }
}

fn set(c: &mut Cursor<'_>) -> Parse<AclCommand> {
    let (name, identifier) = named(c)?;
    c.space()?;
    let rights = String::from_utf8(c.astring()?).map_err(|_| Bad("Invalid rights"))?;
    let (change, rights) = match rights.strip_prefix('+') {
        Some(rest) => (Change::Add, rest),
        None => rights.strip_prefix('-').map_or((Change::Set, rights.as_str()), |rest| (Change::Remove, rest)),
    };
    Ok(AclCommand::Set { name, identifier, change, rights: rights.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::command;

    #[test]
    fn rfc4314_examples() {
        let name = |n: &str| Name(n.as_bytes().to_vec());
        assert_eq!(
            command("SETACL INBOX/Drafts John +lrQswicda"),
            Ok(Command::Acl(AclCommand::Set {
                name: name("INBOX/Drafts"),
                identifier: "John".into(),
                change: Change::Add,
                rights: "lrQswicda".into()
            }))
        );
        assert_eq!(
            command("LISTRIGHTS ~/Mail/saved smith"),
            Ok(Command::Acl(AclCommand::List { name: name("~/Mail/saved"), identifier: "smith".into() }))
        );
        assert_eq!(command("MYRIGHTS INBOX"), Ok(Command::Acl(AclCommand::My(name("INBOX")))));
        assert!(matches!(command("SETACL a b \"\""), Ok(Command::Acl(AclCommand::Set { change: Change::Set, .. }))));
        for bad in ["SETACL a b", "DELETEACL a", "DELETEACL a {2}\r\n\r\n", "SETACL a \"\" l", "GETACL"] {
            assert!(command(bad).is_err(), "{bad}");
        }
    }
}
