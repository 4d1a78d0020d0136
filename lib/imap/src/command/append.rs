//! APPEND and REPLACE.
//!
//! Standards   RFC 3501 6.3.11; RFC 3502 (MULTIAPPEND), 4469 (CATENATE), 3516 (literal8), 6855 4 (UTF8), 8508 (REPLACE)
//! Invariants  message data is inline or a number of a streamed literal; which one is the session's decision
use super::{Command, Name, name};
use crate::flag::{FlagList, flag_list};
use crate::parse::{Bad, Cursor, Data, Parse, ascii};
use penny_mime::{DateTime, date::month_number};

/// Messages in one APPEND.
const MESSAGES_MAX: usize = 1000;
/// Parts of one CATENATE.
const PARTS_MAX: usize = 1000;

/// One message to append.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AppendMessage {
    /// Its flags.
    pub flags: FlagList,
    /// Its INTERNALDATE.
    pub date: Option<DateTime>,
    /// Its bytes, in order.
    pub parts: Vec<CatPart>,
    /// Sent as `UTF8 (...)`.
    pub utf8: bool,
    /// Sent as literal8.
    pub binary: bool,
}

/// A piece of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CatPart {
    /// Bytes from the client.
    Text(Data),
    /// A URL into a mailbox (CATENATE).
    Url(Vec<u8>),
}

pub(super) fn parse(word: &str, c: &mut Cursor<'_>) -> Option<Parse<Command>> {
    (word == "APPEND").then(|| append(c))
}

fn append(c: &mut Cursor<'_>) -> Parse<Command> {
    let name = name(c)?;
    let mut messages = Vec::new();
    while !c.is_end() {
        messages.push(message(c)?);
        if messages.len() > MESSAGES_MAX {
            return Err(Bad("Too many messages"));
        }
    }
    if messages.is_empty() { Err(Bad("Missing message")) } else { Ok(Command::Append { name, messages }) }
}

/// "REPLACE" SP seq-number SP mailbox append-message; UID form likewise (RFC 8508 6)
pub(super) fn replace(c: &mut Cursor<'_>, uid: bool) -> Parse<Command> {
    c.space()?;
    let set = c.sequence_set()?;
    Ok(Command::Replace { set, uid, name: name(c)?, message: message(c)? })
}

/// The mailbox of an APPEND or REPLACE whose literal has only been announced.
pub fn target(framed: &crate::Framed) -> Option<Name> {
    let mut c = Cursor::new(framed);
    c.tag().ok()?;
    c.space().ok()?;
    let mut word = c.atom_upper().ok()?;
    if word == "UID" {
        c.space().ok()?;
        word = c.atom_upper().ok()?;
    }
    if word == "REPLACE" {
        c.space().ok()?;
        c.sequence_set().ok()?;
    }
    name(&mut c).ok()
}

fn message(c: &mut Cursor<'_>) -> Parse<AppendMessage> {
    let mut m = AppendMessage::default();
    c.space()?;
    if c.peek() == Some(b'(') {
        m.flags = flag_list(c)?;
        c.space()?;
    }
    if c.peek() == Some(b'"') {
        m.date = Some(date_time(c)?);
        c.space()?;
    }
    if c.keyword("CATENATE") {
        c.space()?;
        m.parts = c.list(1, cat_part)?;
        if m.parts.len() > PARTS_MAX {
            return Err(Bad("Too many parts"));
        }
    } else if c.keyword("UTF8") {
        c.space()?;
        c.expect(b'(', "Missing parenthesis")?;
        (m.utf8, m.binary) = (true, c.at_literal8());
        m.parts = vec![CatPart::Text(literal(c)?)];
        c.expect(b')', "Missing parenthesis")?;
    } else {
        m.binary = c.at_literal8();
        m.parts = vec![CatPart::Text(literal(c)?)];
    }
    Ok(m)
}

fn literal(c: &mut Cursor<'_>) -> Parse<Data> {
    match c.peek() {
        Some(b'{' | b'~') => c.data(),
        _ => Err(Bad("Missing message literal")),
    }
}

/// cat-part = "URL" SP url / "TEXT" SP literal
fn cat_part(c: &mut Cursor<'_>) -> Parse<CatPart> {
    match c.atom_upper()?.as_str() {
        "URL" => {
            c.space()?;
            c.astring().map(CatPart::Url)
        }
        "TEXT" => {
            c.space()?;
            literal(c).map(CatPart::Text)
        }
        _ => Err(Bad("Unknown CATENATE part")),
    }
}

/// date-time = DQUOTE date-day-fixed "-" date-month "-" date-year SP time SP zone DQUOTE
pub fn date_time(c: &mut Cursor<'_>) -> Parse<DateTime> {
    let text = c.string()?;
    parse_date_time(&text).ok_or(Bad("Invalid date-time"))
}

fn parse_date_time(text: &[u8]) -> Option<DateTime> {
    let text = ascii(text).trim_start();
    let mut words = text.split(' ');
    let (year, month, day) = parse_date(words.next()?)?;
    let mut clock = words.next()?.splitn(3, ':').map(two_digits);
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    let zone = words.next().filter(|z| z.len() == 5 && words.next().is_none())?;
    let sign = match zone.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let zone = sign * (i32::from(two_digits(zone.get(1..3)?)?) * 60 + i32::from(two_digits(zone.get(3..5)?)?));
    (hour < 24 && minute < 60 && second < 61).then_some(DateTime { year, month, day, hour, minute, second, zone })
}

fn two_digits(text: &str) -> Option<u8> {
    text.parse().ok().filter(|_| text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit()))
}

/// date-text = date-day "-" date-month "-" date-year
pub(super) fn parse_date(text: &str) -> Option<(i32, u8, u8)> {
    let mut parts = text.split('-');
    let day: u8 = parts.next().filter(|d| d.len() <= 2 && d.bytes().all(|b| b.is_ascii_digit()))?.parse().ok()?;
    let month = parts.next().filter(|m| m.len() == 3).and_then(|m| month_number(m.as_bytes()))?;
    let year: i32 = parts.next().filter(|y| y.len() == 4 && y.bytes().all(|b| b.is_ascii_digit()))?.parse().ok()?;
    let valid = (1..=penny_mime::date::days_in_month(year, month)).contains(&day) && parts.next().is_none();
    valid.then_some((year, month, day))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{command, framed};

    fn messages(text: &str) -> Vec<AppendMessage> {
        match command(text) {
            Ok(Command::Append { messages, .. }) => messages,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn plain_with_flags_and_date() {
        let m = messages("APPEND saved (\\Seen $x) \" 7-Feb-1994 21:52:25 -0800\" {3}\r\nabc");
        assert_eq!(m[0].parts, [CatPart::Text(Data::Inline(b"abc".to_vec()))]);
        assert_eq!(m[0].date.unwrap().unix(), 760_686_745);
        assert_eq!(m[0].flags.keywords, ["$x"]);
        assert!(
            command("APPEND saved").is_err()
                && command("APPEND saved abc").is_err()
                && command("APPEND saved \"abc\"").is_err()
        );
        assert!(command("APPEND x \"32-Feb-1994 21:52:25 -0800\" {1}\r\na").is_err());
    }

    #[test]
    fn extensions() {
        assert_eq!(messages("APPEND x {1+}\r\na (\\Seen) {1+}\r\nb ~{1+}\r\nc").len(), 3);
        let m = messages("APPEND x CATENATE (URL \"/a;UIDVALIDITY=1/;UID=2\" TEXT {1}\r\na)");
        assert!(matches!(&m[0].parts[..], [CatPart::Url(_), CatPart::Text(_)]));
        let m = messages("APPEND x UTF8 (~{2}\r\nab)");
        assert!(m[0].utf8 && m[0].binary);
        assert!(matches!(command("UID REPLACE 5 x {1}\r\na"), Ok(Command::Replace { uid: true, .. })));
        assert!(command("APPEND x CATENATE ()").is_err());
    }

    #[test]
    fn target_of_half_a_command() {
        assert_eq!(target(&framed(b"a APPEND \"x y\" (\\Seen)")), Some(Name(b"x y".to_vec())));
        assert_eq!(target(&framed(b"a UID REPLACE 4 drafts")), Some(Name(b"drafts".to_vec())));
        assert_eq!(target(&framed(b"a")), None);
    }
}
