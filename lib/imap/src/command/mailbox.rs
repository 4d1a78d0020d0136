//! Commands about whole mailboxes: SELECT, CREATE, DELETE, RENAME, SUBSCRIBE.
//!
//! Standards   RFC 3501 6.3; RFC 7162 3.1.8 and 3.2.5 (CONDSTORE, QRESYNC); RFC 6154 3 (CREATE USE); RFC 4466 2.1, 2.2
use super::{Command, Name, name};
use crate::parse::{Bad, Cursor, Parse, ascii};
use crate::set::SequenceSet;

/// SELECT or EXAMINE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SelectArgs {
    /// The mailbox.
    pub name: Name,
    /// EXAMINE.
    pub read_only: bool,
    /// `(CONDSTORE)` was given.
    pub condstore: bool,
    /// `(QRESYNC (...))` was given.
    pub qresync: Option<QResync>,
}

/// What a client knows from an earlier session (RFC 7162 3.2.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QResync {
    /// UIDVALIDITY it saw.
    pub uidvalidity: u32,
    /// HIGHESTMODSEQ it saw.
    pub modseq: u64,
    /// UIDs it holds.
    pub known_uids: Option<SequenceSet>,
    /// Sample of (message numbers, UIDs) to find where history differs.
    pub seq_match: Option<(SequenceSet, SequenceSet)>,
}

pub(super) fn parse(word: &str, c: &mut Cursor<'_>) -> Option<Parse<Command>> {
    Some(match word {
        "SELECT" | "EXAMINE" => select(c, word == "EXAMINE"),
        "CREATE" => create(c),
        "DELETE" => name(c).map(Command::Delete),
        "RENAME" => name(c).and_then(|from| Ok(Command::Rename { from, to: name(c)? })),
        "SUBSCRIBE" => name(c).map(Command::Subscribe),
        "UNSUBSCRIBE" => name(c).map(Command::Unsubscribe),
        _ => return None,
    })
}

fn select(c: &mut Cursor<'_>, read_only: bool) -> Parse<Command> {
    let mut args = SelectArgs { name: name(c)?, read_only, condstore: false, qresync: None };
    if !c.is_end() {
        c.space()?;
        c.list(1, |c| select_param(c, &mut args))?;
    }
    Ok(Command::Select(args))
}

fn select_param(c: &mut Cursor<'_>, args: &mut SelectArgs) -> Parse<()> {
    if c.keyword("CONDSTORE") {
        args.condstore = true;
    } else if c.keyword("QRESYNC") {
        c.space()?;
        args.qresync = Some(qresync(c)?);
    } else {
        return Err(Bad("Unknown SELECT parameter"));
    }
    Ok(())
}

/// "(" uidvalidity SP mod-sequence-value [SP known-uids] [SP seq-match-data] ")"
fn qresync(c: &mut Cursor<'_>) -> Parse<QResync> {
    c.expect(b'(', "Missing parenthesis")?;
    let uidvalidity = c.nz_number()?;
    c.space()?;
    let mut q = QResync { uidvalidity, modseq: c.number64()?, known_uids: None, seq_match: None };
    while c.eat(b' ') {
        if c.eat(b'(') {
            let seqs = c.sequence_set()?;
            c.space()?;
            q.seq_match = Some((seqs, c.sequence_set()?));
            c.expect(b')', "Missing parenthesis")?;
        } else {
            q.known_uids = Some(c.sequence_set()?);
        }
    }
    c.expect(b')', "Missing parenthesis")?;
    Ok(q)
}

/// "CREATE" SP mailbox [SP "(" "USE" SP "(" [use-attr *(SP use-attr)] ")" ")"]
fn create(c: &mut Cursor<'_>) -> Parse<Command> {
    let name = name(c)?;
    let mut special_use = Vec::new();
    if !c.is_end() {
        c.space()?;
        c.list(1, |c| {
            if !c.keyword("USE") {
                return Err(Bad("Unknown CREATE parameter"));
            }
            c.space()?;
            special_use = c.list(0, use_attr)?;
            Ok(())
        })?;
    }
    Ok(Command::Create { name, special_use })
}

fn use_attr(c: &mut Cursor<'_>) -> Parse<String> {
    c.expect(b'\\', "Missing backslash")?;
    Ok(format!("\\{}", ascii(c.atom()?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::command;

    #[test]
    fn select_forms() {
        let Ok(Command::Select(args)) =
            command("SELECT INBOX (QRESYNC (67890007 20050715194045000 41,43:211,214:541 (1,3 41,44)) CONDSTORE)")
        else {
            panic!()
        };
        let q = args.qresync.unwrap();
        assert_eq!((q.uidvalidity, q.modseq, args.condstore), (67_890_007, 20_050_715_194_045_000, true));
        assert!(q.known_uids.is_some() && q.seq_match.is_some());
        assert!(matches!(command("EXAMINE \"a b\""), Ok(Command::Select(a)) if a.read_only && a.name.0 == b"a b"));
        assert!(command("SELECT").is_err() && command("SELECT a b").is_err() && command("SELECT a ()").is_err());
    }

    #[test]
    fn create_and_rename() {
        assert_eq!(
            command("CREATE x (USE (\\Sent \\Junk))").unwrap(),
            Command::Create { name: Name(b"x".to_vec()), special_use: vec!["\\Sent".into(), "\\Junk".into()] }
        );
        assert_eq!(
            command("RENAME a {1}\r\nb").unwrap(),
            Command::Rename { from: Name(b"a".to_vec()), to: Name(b"b".to_vec()) }
        );
    }
}
