//! SEARCH, SORT and THREAD.
//!
//! Standards   RFC 3501 6.4.4; RFC 4731 (ESEARCH), 5182 (SAVE), 5032 (WITHIN), 5256 (SORT, THREAD), 5957 (DISPLAY), 5267 (ESORT, CONTEXT),
//!             5466 (FILTERS), 7162 3.1.5 (MODSEQ), 7377 (MULTISEARCH), 8474 (EMAILID, THREADID), 8514 (SAVEDATE), 9394 (PARTIAL), 9738 (UIDAFTER, UIDBEFORE), 10022 (UIDBATCHES)
//! Invariants  keys nest to [`DEPTH_MAX`], at most [`KEYS_MAX`] in one search
use super::append::parse_date;
use super::{Command, fetch};
use crate::flag;
use crate::parse::{Bad, Cursor, Parse, ascii};
use crate::set::SequenceSet;

/// How deep NOT, OR and parentheses nest.
const DEPTH_MAX: usize = 50;
/// Keys in one search.
const KEYS_MAX: usize = 2000;

/// A search key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those of the RFCs")]
pub enum Key {
    All,
    And(Vec<Key>),
    Or(Box<Key>, Box<Key>),
    Not(Box<Key>),
    Set(SequenceSet),
    Uid(SequenceSet),
    /// A system flag is set.
    Flag(u8),
    Keyword(String),
    New,
    Old,
    Recent,
    /// INTERNALDATE (SAVEDATE, Date field) compared with a day number.
    Date(DateOf, DateOp, i64),
    /// A header field holds the text; empty: it is there.
    Header(Vec<u8>, String),
    Body(String),
    Text(String),
    Larger(u64),
    Smaller(u64),
    /// INTERNALDATE is at least that many seconds ago.
    Older(u32),
    Younger(u32),
    ModSeq(u64),
    EmailId(Vec<u8>),
    ThreadId(Vec<u8>),
    SaveDateSupported,
    /// A search saved under a name (RFC 5466).
    Filter(String),
}

impl Key {
    /// Whether one of the keys it is made of is such a key.
    pub fn any(&self, is: fn(&Key) -> bool) -> bool {
        match self {
            Key::And(keys) => keys.iter().any(|k| k.any(is)),
            Key::Or(a, b) => a.any(is) || b.any(is),
            Key::Not(k) => k.any(is),
            one => is(one),
        }
    }
}

/// Which date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those of the RFCs")]
pub enum DateOf {
    Internal,
    Sent,
    Saved,
}

/// How it is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those of the RFCs")]
pub enum DateOp {
    Before,
    On,
    Since,
}

/// RETURN options.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SearchReturn {
    /// MIN
    pub min: bool,
    /// MAX
    pub max: bool,
    /// ALL
    pub all: bool,
    /// COUNT
    pub count: bool,
    /// SAVE
    pub save: bool,
    /// PARTIAL
    pub partial: Option<(i64, i64)>,
    /// UPDATE (RFC 5267)
    pub update: bool,
    /// CONTEXT (RFC 5267), a hint
    pub context: bool,
}

/// SEARCH.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchArgs {
    /// UID SEARCH.
    pub uid: bool,
    /// RETURN (...), if given.
    pub ret: Option<SearchReturn>,
    /// CHARSET was given (RFC 6855 3 forbids it once UTF8=ACCEPT is on).
    pub charset_given: bool,
    /// The charset is none we know: answer BADCHARSET.
    pub bad_charset: bool,
    /// The keys.
    pub key: Key,
}

/// SORT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SortArgs {
    /// The criteria with "REVERSE".
    pub order: Vec<(SortKey, bool)>,
    /// The rest is that of SEARCH.
    pub search: SearchArgs,
}

/// Sort criteria.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those of the RFCs")]
pub enum SortKey {
    Arrival,
    Cc,
    Date,
    From,
    Size,
    Subject,
    To,
    DisplayFrom,
    DisplayTo,
}

/// THREAD.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThreadArgs {
    /// The algorithm.
    pub algorithm: ThreadAlgorithm,
    /// The rest is that of SEARCH.
    pub search: SearchArgs,
}

/// Thread algorithms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those of the RFCs")]
pub enum ThreadAlgorithm {
    OrderedSubject,
    References,
    Refs,
}

pub(super) fn parse(word: &str, c: &mut Cursor<'_>) -> Option<Parse<Command>> {
    Some(match word {
        "ESEARCH" => multi_search(c),
        "UIDBATCHES" => uid_batches(c),
        _ => return None,
    })
}

/// "ESEARCH" [SP esearch-source-opts] [SP search-return-opts] SP search-program (RFC 7377 4)
fn multi_search(c: &mut Cursor<'_>) -> Parse<Command> {
    let mut sources = Vec::new();
    if c.rest().get(..4).is_some_and(|head| head.eq_ignore_ascii_case(b" IN ")) {
        c.space()?;
        c.atom_upper()?;
        c.space()?;
        // scope options would stand here in parentheses; none are defined
        sources = c.list(1, super::sources::source)?;
    }
    match search(c, true)? {
        Command::Search(search) => Ok(Command::MultiSearch { sources, search }),
        _ => Err(Bad("Invalid search")),
    }
}

/// "UIDBATCHES" SP batch-size [SP first ":" last]; what the numbers may be is the session's to say.
fn uid_batches(c: &mut Cursor<'_>) -> Parse<Command> {
    c.space()?;
    let size = c.number64()?;
    let mut range = None;
    if !c.is_end() {
        c.space()?;
        let first = c.number64()?;
        c.expect(b':', "Missing colon")?;
        range = Some((first, c.number64()?));
    }
    Ok(Command::UidBatches { size, range })
}

/// Reads search criteria that were saved as text (RFC 5466 3.1), literals included.
pub fn parse_criteria(text: &[u8]) -> Parse<Key> {
    let mut reader = crate::Reader::new(crate::Limits::default());
    reader.feed(&[b"x SEARCH ", text, b"\r\n"].concat());
    let framed = loop {
        match reader.next_event() {
            crate::Event::Literal(_) if reader.accept() => {}
            crate::Event::Command(framed) if reader.is_idle() => break framed,
            _ => return Err(Bad("Invalid saved search")),
        }
    };
    match super::parse(&framed) {
        Ok(super::Tagged { command: Command::Search(args), .. }) if args.ret.is_none() && !args.bad_charset => {
            Ok(args.key)
        }
        _ => Err(Bad("Invalid saved search")),
    }
}

pub(super) fn search(c: &mut Cursor<'_>, uid: bool) -> Parse<Command> {
    c.space()?;
    let ret = returns(c)?;
    let mut charset = b"UTF-8".to_vec();
    let mut charset_given = false;
    if c.keyword("CHARSET") {
        charset_given = true;
        c.space()?;
        charset = c.astring()?;
        c.space()?;
    }
    let args = program(c, uid, ret, &charset)?;
    Ok(Command::Search(SearchArgs { charset_given, ..args }))
}

fn returns(c: &mut Cursor<'_>) -> Parse<Option<SearchReturn>> {
    if !c.keyword("RETURN") {
        return Ok(None);
    }
    c.space()?;
    let mut ret = SearchReturn::default();
    c.list(0, |c| return_option(c, &mut ret))?;
    c.space()?;
    if ret.all && ret.partial.is_some() {
        return Err(Bad("Either ALL or PARTIAL")); // RFC 9394 3.1
    }
    // RFC 4731 3.1: RETURN () means ALL; with SAVE alone nothing is returned (RFC 5182 2.1)
    let any = ret.min || ret.max || ret.count || ret.save || ret.partial.is_some() || ret.update;
    ret.all |= !any;
    Ok(Some(ret))
}

fn return_option(c: &mut Cursor<'_>, ret: &mut SearchReturn) -> Parse<()> {
    match c.atom_upper()?.as_str() {
        "MIN" => ret.min = true,
        "MAX" => ret.max = true,
        "ALL" => ret.all = true,
        "COUNT" => ret.count = true,
        "SAVE" => ret.save = true,
        "UPDATE" => ret.update = true,
        "CONTEXT" => ret.context = true,
        "PARTIAL" => {
            c.space()?;
            if ret.partial.replace(fetch::partial_range(c)?).is_some() {
                return Err(Bad("One PARTIAL at most"));
            }
        }
        _ => return Err(Bad("Unknown RETURN option")),
    }
    Ok(())
}

fn program(c: &mut Cursor<'_>, uid: bool, ret: Option<SearchReturn>, charset: &[u8]) -> Parse<SearchArgs> {
    let known = penny_mime::charset::is_known(charset) || charset.eq_ignore_ascii_case(b"US-ASCII");
    let mut keys = Keys { charset: charset.to_vec(), count: 0 };
    let mut all = vec![keys.key(c, 0)?];
    while !c.is_end() {
        c.space()?;
        all.push(keys.key(c, 0)?);
    }
    // one key stands for itself
    let key = if all.len() == 1 { all.swap_remove(0) } else { Key::And(all) };
    Ok(SearchArgs { uid, ret, charset_given: false, bad_charset: !known, key })
}

pub(super) fn sort(c: &mut Cursor<'_>, uid: bool) -> Parse<Command> {
    c.space()?;
    let ret = returns(c)?;
    let order = c.list(1, sort_key)?;
    let search = charset_and_program(c, uid, ret)?;
    Ok(Command::Sort(SortArgs { order, search }))
}

fn charset_and_program(c: &mut Cursor<'_>, uid: bool, ret: Option<SearchReturn>) -> Parse<SearchArgs> {
    c.space()?;
    let charset = c.astring()?;
    c.space()?;
    program(c, uid, ret, &charset)
}

fn sort_key(c: &mut Cursor<'_>) -> Parse<(SortKey, bool)> {
    let reverse = c.keyword("REVERSE");
    if reverse {
        c.space()?;
    }
    let key = match c.atom_upper()?.as_str() {
        "ARRIVAL" => SortKey::Arrival,
        "CC" => SortKey::Cc,
        "DATE" => SortKey::Date,
        "FROM" => SortKey::From,
        "SIZE" => SortKey::Size,
        "SUBJECT" => SortKey::Subject,
        "TO" => SortKey::To,
        "DISPLAYFROM" => SortKey::DisplayFrom,
        "DISPLAYTO" => SortKey::DisplayTo,
        _ => return Err(Bad("Unknown sort key")),
    };
    Ok((key, reverse))
}

pub(super) fn thread(c: &mut Cursor<'_>, uid: bool) -> Parse<Command> {
    c.space()?;
    let algorithm = match c.atom_upper()?.as_str() {
        "ORDEREDSUBJECT" => ThreadAlgorithm::OrderedSubject,
        "REFERENCES" => ThreadAlgorithm::References,
        "REFS" => ThreadAlgorithm::Refs,
        _ => return Err(Bad("Unknown thread algorithm")),
    };
    let search = charset_and_program(c, uid, None)?;
    Ok(Command::Thread(ThreadArgs { algorithm, search }))
}

struct Keys {
    charset: Vec<u8>,
    count: usize,
}

impl Keys {
    fn key(&mut self, c: &mut Cursor<'_>, depth: usize) -> Parse<Key> {
        self.count += 1;
        if depth > DEPTH_MAX || self.count > KEYS_MAX {
            return Err(Bad("Search too complex"));
        }
        match c.peek() {
            Some(b'(') => c.list(1, |c| self.key(c, depth + 1)).map(Key::And),
            Some(b'0'..=b'9' | b'*' | b'$') => c.sequence_set().map(Key::Set),
            _ => {
                let word = c.atom_upper()?;
                self.named(&word, c, depth)
            }
        }
    }

    fn named(&mut self, word: &str, c: &mut Cursor<'_>, depth: usize) -> Parse<Key> {
        if let Some(key) = flag_key(word) {
            return Ok(key);
        }
        if word == "SAVEDATESUPPORTED" {
            return Ok(Key::SaveDateSupported);
        }
        c.space()?;
        Ok(match word {
            "NOT" => Key::Not(Box::new(self.key(c, depth + 1)?)),
            "OR" => {
                let first = self.key(c, depth + 1)?;
                c.space()?;
                Key::Or(Box::new(first), Box::new(self.key(c, depth + 1)?))
            }
            "UID" => Key::Uid(c.sequence_set()?),
            // RFC 9738 3.2; unlike in `n:*` nothing is above the last UID
            "UIDAFTER" => Key::Uid(match c.nz_number()? {
                u32::MAX => SequenceSet::between(1, 0),
                uid => SequenceSet::between(uid + 1, u32::MAX),
            }),
            "UIDBEFORE" => Key::Uid(SequenceSet::between(1, c.nz_number()? - 1)),
            "KEYWORD" => Key::Keyword(ascii(c.atom()?).to_owned()),
            "UNKEYWORD" => Key::Not(Box::new(Key::Keyword(ascii(c.atom()?).to_owned()))),
            "BCC" | "CC" | "FROM" | "SUBJECT" | "TO" => Key::Header(word.as_bytes().to_vec(), self.text(c)?),
            "HEADER" => {
                let field = c.astring()?;
                c.space()?;
                Key::Header(field, self.text(c)?)
            }
            "BODY" => Key::Body(self.text(c)?),
            "TEXT" => Key::Text(self.text(c)?),
            "LARGER" => Key::Larger(c.number64()?),
            "SMALLER" => Key::Smaller(c.number64()?),
            "OLDER" => Key::Older(c.nz_number()?),
            "YOUNGER" => Key::Younger(c.nz_number()?),
            "MODSEQ" => modseq(c)?,
            "EMAILID" => Key::EmailId(c.astring()?),
            "THREADID" => Key::ThreadId(c.astring()?),
            "FILTER" => Key::Filter(ascii(c.atom()?).to_owned()),
            _ => date_key(word, c)?,
        })
    }

    /// An astring in the charset of the search, as UTF-8.
    fn text(&self, c: &mut Cursor<'_>) -> Parse<String> {
        let bytes = c.astring()?;
        Ok(penny_mime::charset::to_utf8(&self.charset, &bytes).into_owned())
    }
}

fn flag_key(word: &str) -> Option<Key> {
    let not = |bit| Key::Not(Box::new(Key::Flag(bit)));
    Some(match word {
        "ALL" => Key::All,
        "ANSWERED" => Key::Flag(flag::ANSWERED),
        "DELETED" => Key::Flag(flag::DELETED),
        "DRAFT" => Key::Flag(flag::DRAFT),
        "FLAGGED" => Key::Flag(flag::FLAGGED),
        "SEEN" => Key::Flag(flag::SEEN),
        "UNANSWERED" => not(flag::ANSWERED),
        "UNDELETED" => not(flag::DELETED),
        "UNDRAFT" => not(flag::DRAFT),
        "UNFLAGGED" => not(flag::FLAGGED),
        "UNSEEN" => not(flag::SEEN),
        "NEW" => Key::New,
        "OLD" => Key::Old,
        "RECENT" => Key::Recent,
        _ => return None,
    })
}

/// "MODSEQ" [SP entry-name SP entry-type-req] SP mod-sequence-valzer; one modseq a message makes the entry moot.
fn modseq(c: &mut Cursor<'_>) -> Parse<Key> {
    if c.peek() == Some(b'"') {
        c.string()?;
        c.space()?;
        if !matches!(c.atom_upper()?.as_str(), "PRIV" | "SHARED" | "ALL") {
            return Err(Bad("Invalid entry type"));
        }
        c.space()?;
    }
    c.number64().map(Key::ModSeq)
}

fn date_key(word: &str, c: &mut Cursor<'_>) -> Parse<Key> {
    let (of, word) = match (word.strip_prefix("SENT"), word.strip_prefix("SAVED")) {
        (Some(w), _) => (DateOf::Sent, w),
        (_, Some(w)) => (DateOf::Saved, w),
        _ => (DateOf::Internal, word),
    };
    let op = match word {
        "BEFORE" => DateOp::Before,
        "ON" => DateOp::On,
        "SINCE" => DateOp::Since,
        _ => return Err(Bad("Unknown search key")),
    };
    let text = c.astring()?;
    let (y, m, d) = parse_date(ascii(&text)).ok_or(Bad("Invalid date"))?;
    Ok(Key::Date(of, op, penny_mime::date::days_from_civil(y, m, d)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::command;

    fn key(text: &str) -> Key {
        match command(&format!("SEARCH {text}")) {
            Ok(Command::Search(a)) => a.key,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn keys() {
        assert_eq!(key("UNSEEN"), Key::Not(Box::new(Key::Flag(flag::SEEN))));
        assert_eq!(
            key("FLAGGED SINCE 1-Feb-1994 NOT FROM \"Smith\""),
            Key::And(vec![
                Key::Flag(flag::FLAGGED),
                Key::Date(DateOf::Internal, DateOp::Since, 8797),
                Key::Not(Box::new(Key::Header(b"FROM".to_vec(), "Smith".into())))
            ])
        );
        assert_eq!(
            key("(1:3 UID 5)").clone(),
            Key::And(vec![Key::Set(SequenceSet::parse(b"1:3").unwrap()), Key::Uid(SequenceSet::parse(b"5").unwrap())])
        );
        assert_eq!(
            key("CHARSET ISO-8859-1 SUBJECT {1}\r\n\u{e4}x".replace("\u{e4}x", "x").as_str()),
            Key::Header(b"SUBJECT".to_vec(), "x".into())
        );
        assert_eq!(
            key("OR TEXT a SENTON \"2-Jan-2000\""),
            Key::Or(Box::new(Key::Text("a".into())), Box::new(Key::Date(DateOf::Sent, DateOp::On, 10_958)))
        );
        assert_eq!(key("MODSEQ \"/flags/\\\\draft\" all 620162338"), Key::ModSeq(620_162_338));
        for bad in ["", "FOO", "SINCE 40-Jan-2000", "OR SEEN", "NOT", "()", "LARGER x", "KEYWORD \\Seen", "ON 1-1-2000"]
        {
            assert!(command(&format!("SEARCH {bad}")).is_err(), "{bad}");
        }
    }

    #[test]
    fn uids_on_one_side_of_another() {
        let uids = |text: &str| match key(text) {
            Key::Uid(set) => set.resolve(7).unwrap().to_string(),
            other => panic!("{text}: {other:?}"),
        };
        assert_eq!((uids("UIDAFTER 7"), uids("uidbefore 7")), ("8:4294967295".into(), "1:6".into()));
        assert_eq!(uids("UIDBEFORE 1") + &uids("UIDAFTER 4294967295"), "");
        for bad in ["UIDAFTER", "UIDAFTER 0", "UIDBEFORE *", "UIDAFTER 1:2", "UIDBEFORE $"] {
            assert!(command(&format!("SEARCH {bad}")).is_err(), "{bad}");
        }
    }

    #[test]
    fn nesting_is_bounded() {
        assert!(command(&format!("SEARCH {}SEEN", "NOT ".repeat(1000))).is_err());
        assert!(command(&format!("SEARCH {}", "(".repeat(10_000))).is_err());
        assert!(command(&format!("SEARCH {}SEEN", "NOT ".repeat(20))).is_ok());
    }

    #[test]
    fn return_options_and_charsets() {
        let Ok(Command::Search(a)) = command("UID SEARCH RETURN (MIN COUNT SAVE) CHARSET UTF-8 ALL") else { panic!() };
        let r = a.ret.unwrap();
        assert!(a.uid && r.min && r.count && r.save && !r.all);
        assert!(matches!(command("SEARCH RETURN () ALL"), Ok(Command::Search(a)) if a.ret.as_ref().unwrap().all));
        assert!(matches!(command("SEARCH CHARSET nonsense ALL"), Ok(Command::Search(a)) if a.bad_charset));
        assert!(
            matches!(command("SEARCH RETURN (PARTIAL 1:500) ALL"), Ok(Command::Search(a)) if a.ret.as_ref().unwrap().partial == Some((1, 500)))
        );
    }

    #[test]
    fn several_mailboxes_and_batches() {
        use crate::command::sources::Source;
        let Ok(Command::MultiSearch { sources, search }) =
            command("ESEARCH IN (mailboxes \"folder1\" subtree \"folder2\") RETURN (COUNT) UNSEEN")
        else {
            panic!()
        };
        assert!(matches!(&sources[..], [Source::Mailboxes(_), Source::Subtree(_)]));
        assert!(search.uid && search.ret.unwrap().count);
        assert!(matches!(command("ESEARCH UNSEEN"), Ok(Command::MultiSearch { sources, .. }) if sources.is_empty()));
        assert!(command("ESEARCH IN () ALL").is_err() && command("ESEARCH IN (personal)").is_err());
        assert_eq!(command("UIDBATCHES 500 2:3"), Ok(Command::UidBatches { size: 500, range: Some((2, 3)) }));
        assert!(
            command("UIDBATCHES").is_err()
                && command("UIDBATCHES 5 6:").is_err()
                && command("UIDBATCHES 5 1:2 x").is_err()
        );
    }

    #[test]
    fn saved_criteria() {
        assert_eq!(parse_criteria(b"SUBJECT {3}\r\na b UNSEEN").unwrap(), key("SUBJECT \"a b\" UNSEEN"));
        assert_eq!(key("FILTER on-the-road"), Key::Filter("on-the-road".into()));
        for bad in [&b"SEEN\r\nx LOGOUT"[..], b"", b"RETURN (COUNT) ALL", b"FOO", b"SUBJECT {9}\r\na"] {
            assert!(parse_criteria(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn sort_and_thread() {
        let Ok(Command::Sort(s)) = command("SORT (REVERSE DATE SUBJECT) UTF-8 SINCE 1-Feb-1994") else { panic!() };
        assert_eq!(s.order, [(SortKey::Date, true), (SortKey::Subject, false)]);
        assert!(
            matches!(command("UID SORT RETURN (COUNT) (DISPLAYFROM) US-ASCII ALL"), Ok(Command::Sort(s)) if s.search.ret.is_some() && s.search.uid)
        );
        assert!(matches!(command("THREAD REFERENCES UTF-8 ALL"), Ok(Command::Thread(_))));
        assert!(command("SORT () UTF-8 ALL").is_err() && command("THREAD FOO UTF-8 ALL").is_err());
    }
}
