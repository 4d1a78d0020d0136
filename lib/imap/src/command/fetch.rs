//! FETCH.
//!
//! Standards   RFC 3501 6.4.5 and 9 (section); RFC 3516 (BINARY), 7162 (MODSEQ, CHANGEDSINCE, VANISHED), 8474 (EMAILID, THREADID),
//!             8514 (SAVEDATE), 8970 (PREVIEW), 9394 (PARTIAL)
//! Invariants  at most [`ITEMS_MAX`] items, [`DEPTH_MAX`] part numbers, [`FIELDS_MAX`] header names
use super::Command;
use crate::parse::{Bad, Cursor, Parse};
use crate::reader::Framed;
use crate::set::SequenceSet;

/// Items in one FETCH.
const ITEMS_MAX: usize = 200;
/// Numbers in one part path.
const DEPTH_MAX: usize = 100;
/// Names in one HEADER.FIELDS.
const FIELDS_MAX: usize = 200;

/// FETCH.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchArgs {
    /// The messages.
    pub set: SequenceSet,
    /// UID FETCH.
    pub uid: bool,
    /// What to send of each.
    pub items: Vec<Item>,
    /// CHANGEDSINCE.
    pub changed_since: Option<u64>,
    /// VANISHED.
    pub vanished: bool,
    /// PARTIAL first:last; negative counts from the end (RFC 9394).
    pub partial: Option<(i64, i64)>,
}

/// What FETCH can ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those of the RFCs")]
pub enum Item {
    Envelope,
    Flags,
    InternalDate,
    Rfc822,
    Rfc822Header,
    Rfc822Text,
    Rfc822Size,
    Body,
    BodyStructure,
    Uid,
    ModSeq,
    SaveDate,
    EmailId,
    ThreadId,
    Preview { lazy: bool },
    Section { peek: bool, section: Section, partial: Option<(u32, u32)> },
    Binary { peek: bool, path: Vec<u32>, partial: Option<(u32, u32)> },
    BinarySize(Vec<u32>),
}

impl Item {
    /// Whether fetching this sets `\Seen` (RFC 3501 6.4.5).
    pub fn sets_seen(&self) -> bool {
        matches!(
            self,
            Item::Rfc822 | Item::Rfc822Text | Item::Section { peek: false, .. } | Item::Binary { peek: false, .. }
        )
    }
}

/// `[1.2.MIME]`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Section {
    /// Part numbers.
    pub path: Vec<u32>,
    /// What of that part.
    pub text: SectionText,
}

/// section-text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those of the RFC")]
pub enum SectionText {
    /// All of it.
    #[default]
    All,
    Header,
    Fields(Vec<Vec<u8>>),
    FieldsNot(Vec<Vec<u8>>),
    Text,
    Mime,
}

pub(super) fn fetch(c: &mut Cursor<'_>, uid: bool) -> Parse<Command> {
    c.space()?;
    let set = c.sequence_set()?;
    c.space()?;
    let items = items(c)?;
    let mut args = FetchArgs { set, uid, items, changed_since: None, vanished: false, partial: None };
    if !c.is_end() {
        c.space()?;
        c.list(1, |c| modifier(c, &mut args))?;
    }
    check(&args)?;
    Ok(Command::Fetch(args))
}

fn check(args: &FetchArgs) -> Parse<()> {
    // RFC 7162 3.2.6: VANISHED needs UID FETCH and CHANGEDSINCE
    if args.vanished && !(args.uid && args.changed_since.is_some()) {
        return Err(Bad("VANISHED needs UID FETCH and CHANGEDSINCE"));
    }
    if args.items.len() > ITEMS_MAX { Err(Bad("Too many items")) } else { Ok(()) }
}

fn modifier(c: &mut Cursor<'_>, args: &mut FetchArgs) -> Parse<()> {
    if c.keyword("CHANGEDSINCE") {
        c.space()?;
        args.changed_since = Some(c.number64()?);
    } else if c.keyword("VANISHED") {
        args.vanished = true;
    } else if c.keyword("PARTIAL") {
        c.space()?;
        args.partial = Some(partial_range(c)?);
    } else {
        return Err(Bad("Unknown FETCH modifier"));
    }
    Ok(())
}

/// partial-range: both ends of the same sign, not zero (RFC 9394 3.1).
pub(super) fn partial_range(c: &mut Cursor<'_>) -> Parse<(i64, i64)> {
    let end = |c: &mut Cursor<'_>| -> Parse<i64> {
        let negative = c.eat(b'-');
        let n = i64::from(c.nz_number()?);
        Ok(if negative { -n } else { n })
    };
    let first = end(c)?;
    c.expect(b':', "Missing colon")?;
    let last = end(c)?;
    if (first < 0) == (last < 0) { Ok((first, last)) } else { Err(Bad("Invalid range")) }
}

/// The macros of RFC 3501 6.4.5 stand alone; a list may hold anything else.
fn items(c: &mut Cursor<'_>) -> Parse<Vec<Item>> {
    use Item::{Body, Envelope, Flags, InternalDate, Rfc822Size};
    if c.keyword("ALL") {
        Ok(vec![Flags, InternalDate, Rfc822Size, Envelope])
    } else if c.keyword("FAST") {
        Ok(vec![Flags, InternalDate, Rfc822Size])
    } else if c.keyword("FULL") {
        Ok(vec![Flags, InternalDate, Rfc822Size, Envelope, Body])
    } else {
        c.one_or_list(item)
    }
}

fn word<'a>(c: &mut Cursor<'a>) -> &'a [u8] {
    c.take_while(|b| b.is_ascii_alphanumeric() || b == b'.')
}

pub(super) fn item(c: &mut Cursor<'_>) -> Parse<Item> {
    let name = word(c).to_ascii_uppercase();
    Ok(match name.as_slice() {
        b"ENVELOPE" => Item::Envelope,
        b"FLAGS" => Item::Flags,
        b"INTERNALDATE" => Item::InternalDate,
        b"RFC822" => Item::Rfc822,
        b"RFC822.HEADER" => Item::Rfc822Header,
        b"RFC822.TEXT" => Item::Rfc822Text,
        b"RFC822.SIZE" => Item::Rfc822Size,
        b"BODYSTRUCTURE" => Item::BodyStructure,
        b"UID" => Item::Uid,
        b"MODSEQ" => Item::ModSeq,
        b"SAVEDATE" => Item::SaveDate,
        b"EMAILID" => Item::EmailId,
        b"THREADID" => Item::ThreadId,
        b"PREVIEW" => preview(c)?,
        b"BODY" if c.peek() != Some(b'[') => Item::Body,
        b"BODY" | b"BODY.PEEK" => {
            let section = section(c)?;
            Item::Section { peek: name.ends_with(b"PEEK"), section, partial: partial(c)? }
        }
        b"BINARY" | b"BINARY.PEEK" => {
            let path = binary_path(c)?;
            Item::Binary { peek: name.ends_with(b"PEEK"), path, partial: partial(c)? }
        }
        b"BINARY.SIZE" => Item::BinarySize(binary_path(c)?),
        _ => return Err(Bad("Unknown FETCH item")),
    })
}

/// "PREVIEW" [SP "(" "LAZY" ")"]; the older `(FUZZY)` names the only algorithm there was.
fn preview(c: &mut Cursor<'_>) -> Parse<Item> {
    let mut lazy = false;
    if c.rest().starts_with(b" (") {
        c.space()?;
        c.list(1, |c| match c.atom_upper()?.as_str() {
            "LAZY" => {
                lazy = true;
                Ok(())
            }
            "FUZZY" => Ok(()),
            _ => Err(Bad("Unknown PREVIEW modifier")),
        })?;
    }
    Ok(Item::Preview { lazy })
}

/// A section-spec that stands alone, as in a URL (RFC 5092).
pub fn parse_section(text: &[u8]) -> Option<Section> {
    let framed = Framed { text: [b"[".as_slice(), text, b"]"].concat(), literals: Vec::new() };
    let mut c = Cursor::new(&framed);
    let found = section(&mut c).ok()?;
    c.is_end().then_some(found)
}

/// section = "[" [section-spec] "]"
fn section(c: &mut Cursor<'_>) -> Parse<Section> {
    c.expect(b'[', "Missing section")?;
    let path = path(c)?;
    let mut text = SectionText::All;
    if c.peek() != Some(b']') {
        text = section_text(c)?;
        // RFC 3501 9: MIME needs a part number before it
        if text == SectionText::Mime && path.is_empty() {
            return Err(Bad("MIME needs a part number"));
        }
    }
    c.expect(b']', "Missing bracket after the section")?;
    Ok(Section { path, text })
}

/// Part numbers; a dot after the last one means that a word follows.
fn path(c: &mut Cursor<'_>) -> Parse<Vec<u32>> {
    let mut out = Vec::new();
    while c.peek().is_some_and(|b| b.is_ascii_digit()) {
        out.push(c.nz_number()?);
        if out.len() > DEPTH_MAX {
            return Err(Bad("Section too deep"));
        }
        if !c.eat(b'.') {
            return if c.peek() == Some(b']') { Ok(out) } else { Err(Bad("Invalid section")) };
        }
        if c.peek() == Some(b']') {
            return Err(Bad("Invalid section"));
        }
    }
    Ok(out)
}

fn section_text(c: &mut Cursor<'_>) -> Parse<SectionText> {
    match word(c).to_ascii_uppercase().as_slice() {
        b"HEADER" => Ok(SectionText::Header),
        b"TEXT" => Ok(SectionText::Text),
        b"MIME" => Ok(SectionText::Mime),
        b"HEADER.FIELDS" => header_list(c).map(SectionText::Fields),
        b"HEADER.FIELDS.NOT" => header_list(c).map(SectionText::FieldsNot),
        _ => Err(Bad("Unknown section")),
    }
}

fn header_list(c: &mut Cursor<'_>) -> Parse<Vec<Vec<u8>>> {
    c.space()?;
    let names = c.list(1, Cursor::astring)?;
    if names.len() > FIELDS_MAX { Err(Bad("Too many header names")) } else { Ok(names) }
}

fn binary_path(c: &mut Cursor<'_>) -> Parse<Vec<u32>> {
    c.expect(b'[', "Missing section")?;
    let path = path(c)?;
    c.expect(b']', "Missing bracket after the section")?;
    Ok(path)
}

/// partial = "<" number "." nz-number ">"
fn partial(c: &mut Cursor<'_>) -> Parse<Option<(u32, u32)>> {
    if !c.eat(b'<') {
        return Ok(None);
    }
    let offset = c.number()?;
    c.expect(b'.', "Invalid partial range")?;
    let count = c.nz_number()?;
    c.expect(b'>', "Invalid partial range")?;
    Ok(Some((offset, count)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::command;

    fn args(text: &str) -> FetchArgs {
        match command(text) {
            Ok(Command::Fetch(a)) => a,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn macros_and_lists() {
        assert_eq!(args("FETCH 1 FULL").items.len(), 5);
        assert_eq!(args("FETCH 1 (FLAGS uid)").items, [Item::Flags, Item::Uid]);
        assert_eq!(args("FETCH 1 body").items, [Item::Body]);
        assert!(command("FETCH 1 (ALL)").is_err() && command("FETCH 1 ()").is_err() && command("FETCH 1 FOO").is_err());
    }

    #[test]
    fn sections() {
        let a =
            args("UID FETCH 1:* (BODY.PEEK[1.2.HEADER.FIELDS (Date \"From\")]<0.100> BODY[] BODY[3.MIME] BODY[TEXT])");
        assert_eq!(
            a.items[0],
            Item::Section {
                peek: true,
                section: Section {
                    path: vec![1, 2],
                    text: SectionText::Fields(vec![b"Date".to_vec(), b"From".to_vec()])
                },
                partial: Some((0, 100))
            }
        );
        assert!(a.items[1].sets_seen() && !a.items[0].sets_seen());
        for bad in [
            "BODY[MIME]",
            "BODY[1.]",
            "BODY[0]",
            "BODY[1.FOO]",
            "BODY[HEADER.FIELDS ()]",
            "BODY[]<1>",
            "BODY[]<1.0>",
            "BODY[1",
            "BODY[1TEXT]",
        ] {
            assert!(command(&format!("FETCH 1 {bad}")).is_err(), "{bad}");
        }
    }

    #[test]
    fn extensions() {
        let a = args("UID FETCH 1:* (FLAGS) (CHANGEDSINCE 12345 VANISHED)");
        assert!(a.vanished && a.changed_since == Some(12345));
        assert!(command("FETCH 1 FLAGS (VANISHED CHANGEDSINCE 1)").is_err());
        assert_eq!(args("UID FETCH 1:* UID (PARTIAL -1:-30)").partial, Some((-1, -30)));
        assert!(command("UID FETCH 1:* UID (PARTIAL 1:-30)").is_err());
        assert_eq!(args("FETCH 1 (BINARY.PEEK[1.2]<5.6> BINARY.SIZE[] MODSEQ)").items[1], Item::BinarySize(vec![]));
        assert_eq!(args("FETCH 1 (PREVIEW (LAZY) UID)").items, [Item::Preview { lazy: true }, Item::Uid]);
        assert_eq!(args("FETCH 1 (PREVIEW UID)").items, [Item::Preview { lazy: false }, Item::Uid]);
    }
}
