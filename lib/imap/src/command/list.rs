//! LIST, LSUB and STATUS.
//!
//! Standards   RFC 3501 6.3.8-10; RFC 5258 (LIST-EXTENDED), 5819 (LIST-STATUS), 6154 (SPECIAL-USE), 8438 (STATUS=SIZE),
//!             8440 (MYRIGHTS), 8474 (MAILBOXID), 9590 (METADATA), 9208 (DELETED, DELETED-STORAGE)
use super::{Command, Name, name};
use crate::parse::{Bad, Cursor, Parse, is_list_char};

/// Patterns in one LIST.
const PATTERNS_MAX: usize = 100;

/// LIST or LSUB.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListArgs {
    /// LSUB.
    pub lsub: bool,
    /// Any syntax of RFC 5258 was used.
    pub extended: bool,
    /// The reference.
    pub reference: Vec<u8>,
    /// The patterns.
    pub patterns: Vec<Vec<u8>>,
    /// Selection: SUBSCRIBED.
    pub select_subscribed: bool,
    /// Selection: REMOTE (nothing here is).
    pub select_remote: bool,
    /// Selection: RECURSIVEMATCH.
    pub recursive_match: bool,
    /// Selection: SPECIAL-USE.
    pub select_special_use: bool,
    /// Return: SUBSCRIBED.
    pub return_subscribed: bool,
    /// Return: CHILDREN.
    pub return_children: bool,
    /// Return: SPECIAL-USE.
    pub return_special_use: bool,
    /// Return: STATUS (...).
    pub return_status: Option<Vec<StatusItem>>,
    /// Return: MYRIGHTS.
    pub return_myrights: bool,
    /// Return: METADATA (...).
    pub return_metadata: Option<Vec<Vec<u8>>>,
}

/// STATUS data items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those of the RFCs")]
pub enum StatusItem {
    Messages,
    Recent,
    UidNext,
    UidValidity,
    Unseen,
    HighestModSeq,
    Size,
    Deleted,
    DeletedStorage,
    MailboxId,
    AppendLimit,
}

/// Names of the items.
pub const STATUS_ITEMS: [(&str, StatusItem); 11] = [
    ("MESSAGES", StatusItem::Messages),
    ("RECENT", StatusItem::Recent),
    ("UIDNEXT", StatusItem::UidNext),
    ("UIDVALIDITY", StatusItem::UidValidity),
    ("UNSEEN", StatusItem::Unseen),
    ("HIGHESTMODSEQ", StatusItem::HighestModSeq),
    ("SIZE", StatusItem::Size),
    ("DELETED", StatusItem::Deleted),
    ("DELETED-STORAGE", StatusItem::DeletedStorage),
    ("MAILBOXID", StatusItem::MailboxId),
    ("APPENDLIMIT", StatusItem::AppendLimit),
];

pub(super) fn parse(word: &str, c: &mut Cursor<'_>) -> Option<Parse<Command>> {
    Some(match word {
        "LIST" => list(c),
        "LSUB" => lsub(c),
        "STATUS" => status(c),
        _ => return None,
    })
}

fn lsub(c: &mut Cursor<'_>) -> Parse<Command> {
    let Name(reference) = name(c)?;
    c.space()?;
    let patterns = vec![list_mailbox(c)?];
    Ok(Command::List(ListArgs { lsub: true, reference, patterns, ..ListArgs::default() }))
}

/// "LIST" [SP list-select-opts] SP mailbox SP mbox-or-pat [SP list-return-opts]
fn list(c: &mut Cursor<'_>) -> Parse<Command> {
    let mut args = ListArgs::default();
    c.space()?;
    if c.peek() == Some(b'(') {
        args.extended = true;
        c.list(0, |c| selection(c, &mut args))?;
        c.space()?;
    }
    args.reference = c.astring()?;
    c.space()?;
    args.extended |= c.peek() == Some(b'(');
    args.patterns = c.one_or_list(list_mailbox)?;
    if !c.is_end() {
        c.space()?;
        if !c.keyword("RETURN") {
            return Err(Bad("Unexpected text after the pattern"));
        }
        args.extended = true;
        c.space()?;
        c.list(0, |c| returned(c, &mut args))?;
    }
    check(&args)?;
    Ok(Command::List(args))
}

/// RFC 5258 3: RECURSIVEMATCH alone, or with REMOTE only, is an error.
fn check(args: &ListArgs) -> Parse<()> {
    if args.recursive_match && !args.select_subscribed && !args.select_special_use {
        return Err(Bad("RECURSIVEMATCH needs another selection option"));
    }
    if args.patterns.len() > PATTERNS_MAX { Err(Bad("Too many patterns")) } else { Ok(()) }
}

fn selection(c: &mut Cursor<'_>, args: &mut ListArgs) -> Parse<()> {
    match c.atom_upper()?.as_str() {
        "SUBSCRIBED" => (args.select_subscribed, args.return_subscribed) = (true, true),
        "REMOTE" => args.select_remote = true,
        "RECURSIVEMATCH" => args.recursive_match = true,
        "SPECIAL-USE" => (args.select_special_use, args.return_special_use) = (true, true),
        _ => return Err(Bad("Unknown LIST selection option")),
    }
    Ok(())
}

fn returned(c: &mut Cursor<'_>, args: &mut ListArgs) -> Parse<()> {
    match c.atom_upper()?.as_str() {
        "SUBSCRIBED" => args.return_subscribed = true,
        "CHILDREN" => args.return_children = true,
        "SPECIAL-USE" => args.return_special_use = true,
        "MYRIGHTS" => args.return_myrights = true,
        "STATUS" => {
            c.space()?;
            args.return_status = Some(c.list(1, status_item)?);
        }
        "METADATA" => {
            c.space()?;
            args.return_metadata = Some(c.list(1, Cursor::astring)?);
        }
        _ => return Err(Bad("Unknown LIST return option")),
    }
    Ok(())
}

/// list-mailbox = 1*list-char / string
fn list_mailbox(c: &mut Cursor<'_>) -> Parse<Vec<u8>> {
    match c.peek() {
        Some(b'"' | b'{') => c.string(),
        _ => {
            let text = c.take_while(|b| is_list_char(b) || b >= 0x80);
            if text.is_empty() { Err(Bad("Missing pattern")) } else { Ok(text.to_vec()) }
        }
    }
}

fn status(c: &mut Cursor<'_>) -> Parse<Command> {
    let name = name(c)?;
    c.space()?;
    Ok(Command::Status { name, items: c.list(1, status_item)? })
}

fn status_item(c: &mut Cursor<'_>) -> Parse<StatusItem> {
    let word = c.atom_upper()?;
    STATUS_ITEMS.iter().find(|(n, _)| *n == word).map(|(_, i)| *i).ok_or(Bad("Unknown STATUS item"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::command;

    fn args(text: &str) -> ListArgs {
        match command(text) {
            Ok(Command::List(args)) => args,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn basic_forms() {
        let a = args("LIST \"\" *");
        assert!(!a.extended && a.patterns == [b"*".to_vec()]);
        assert!(args("LSUB ref %/x").lsub);
        assert_eq!(args("LIST \"\" \"\"").patterns, [b"".to_vec()]);
    }

    #[test]
    fn rfc5258_examples() {
        let a = args("LIST (SUBSCRIBED RECURSIVEMATCH) \"\" % RETURN (CHILDREN)");
        assert!(a.select_subscribed && a.recursive_match && a.return_children && a.return_subscribed);
        let a = args("LIST \"\" (\"INBOX\" \"Drafts\" \"Sent/%\") RETURN (STATUS (MESSAGES UNSEEN) SPECIAL-USE)");
        assert_eq!(a.patterns.len(), 3);
        assert_eq!(a.return_status.unwrap(), [StatusItem::Messages, StatusItem::Unseen]);
        assert!(args("LIST () \"\" x RETURN ()").extended);
        for bad in [
            "LIST (x) \"\" \"\"",
            "LIST (RECURSIVEMATCH) \"\" \"\"",
            "LIST (RECURSIVEMATCH REMOTE) \"\" \"\"",
            "LIST \"\" \"\" RETURN (X)",
            "LIST \"\"",
        ] {
            assert!(command(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn status_items() {
        assert!(matches!(command("STATUS x (MESSAGES SIZE)"), Ok(Command::Status { items, .. }) if items.len() == 2));
        assert!(command("STATUS x ()").is_err() && command("STATUS x (FOO)").is_err());
    }
}
