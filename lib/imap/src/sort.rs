//! SORT: keys of messages and their order.
//!
//! Standards   RFC 5256 3 (keys), 2.2 (sent date); RFC 5957 (display names)
//! Invariants  the order is total: equal messages keep their mailbox order
use crate::command::search::SortKey;
use penny_mime::{Address, DateTime, Entry, find_field, header::unfold, parse_addresses};
use std::cmp::Ordering;

/// What one message is sorted by, in the order of the criteria.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Dates and sizes.
    Number(i64),
    /// Folded text.
    Text(String),
}

/// What a key needs to be computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// INTERNALDATE.
    Arrival,
    /// RFC822.SIZE.
    Size,
    /// The Date field, or INTERNALDATE where it tells nothing.
    Sent,
    /// The header.
    Header,
}

impl SortKey {
    /// What this key needs.
    pub fn needs(self) -> Needs {
        match self {
            SortKey::Arrival => Needs::Arrival,
            SortKey::Size => Needs::Size,
            SortKey::Date => Needs::Sent,
            _ => Needs::Header,
        }
    }
}

/// The value of a key that needs the header.
pub fn header_value(key: SortKey, header: &[u8]) -> Value {
    match key {
        SortKey::Subject => Value::Text(subject(header).0),
        SortKey::From => Value::Text(mailbox(header, "From")),
        SortKey::To => Value::Text(mailbox(header, "To")),
        SortKey::Cc => Value::Text(mailbox(header, "Cc")),
        SortKey::DisplayFrom => Value::Text(display(header, "From")),
        SortKey::DisplayTo => Value::Text(display(header, "To")),
        // not of the header: see [`Needs`]
        SortKey::Date | SortKey::Arrival | SortKey::Size => Value::Number(0),
    }
}

/// RFC 5256 2.2: the Date field in UTC, INTERNALDATE where it is missing or wrong.
pub fn sent_date(header: &[u8], internal_date: i64) -> i64 {
    date_field(header).unwrap_or(internal_date)
}

/// What the Date field tells, in Unix seconds.
pub fn date_field(header: &[u8]) -> Option<i64> {
    find_field(header, "Date").and_then(|f| DateTime::parse(f.value)).map(|d| d.unix())
}

/// The base subject and whether it is that of a reply.
pub fn subject(header: &[u8]) -> (String, bool) {
    find_field(header, "Subject").map(|f| crate::subject::base_subject(&unfold(f.value))).unwrap_or_default()
}

/// The first addr-mailbox, which for a group is its name.
fn mailbox(header: &[u8], name: &str) -> String {
    let text = match first(header, name) {
        Some(Entry::Mailbox(a)) => String::from_utf8_lossy(&a.local).into_owned(),
        Some(Entry::GroupStart(g)) => String::from_utf8_lossy(&g).into_owned(),
        _ => String::new(),
    };
    penny_mime::casemap::fold(&text)
}

/// RFC 5957 3: the display name, else the address.
fn display(header: &[u8], name: &str) -> String {
    let text = match first(header, name) {
        Some(Entry::Mailbox(a)) => a.display_name().filter(|n| !n.is_empty()).unwrap_or_else(|| Address::email(&a)),
        Some(Entry::GroupStart(g)) => penny_mime::decode_header(&g),
        _ => String::new(),
    };
    penny_mime::casemap::fold(&text)
}

fn first(header: &[u8], name: &str) -> Option<Entry> {
    let field = find_field(header, name)?;
    parse_addresses(field.value).into_iter().next()
}

/// Compares two messages.
pub fn compare(order: &[(SortKey, bool)], a: &[Value], b: &[Value]) -> Ordering {
    for ((_, reverse), (x, y)) in order.iter().zip(a.iter().zip(b)) {
        let o = match (x, y) {
            (Value::Number(x), Value::Number(y)) => x.cmp(y),
            (Value::Text(x), Value::Text(y)) => x.cmp(y),
            _ => Ordering::Equal,
        };
        if o != Ordering::Equal {
            return if *reverse { o.reverse() } else { o };
        }
    }
    Ordering::Equal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_headers() {
        let h =
            b"Date: Thu, 01 Jan 1970 01:00:00 +0100\nSubject: Re: X\nFrom: =?utf-8?Q?=C3=84?= <Zed@b>\nTo: g: a@b;\n\n";
        assert_eq!(sent_date(h, 9), 0);
        assert_eq!(header_value(SortKey::Subject, h), Value::Text("X".into()));
        assert_eq!(header_value(SortKey::From, h), Value::Text("ZED".into()));
        assert_eq!(header_value(SortKey::DisplayFrom, h), Value::Text("A\u{308}".into()));
        assert_eq!(header_value(SortKey::To, h), Value::Text("G".into()));
        assert_eq!(header_value(SortKey::Cc, h), Value::Text(String::new()));
        assert_eq!(sent_date(b"\n", 9), 9);
    }

    #[test]
    fn reverse_turns_one_key_only() {
        let order = [(SortKey::Subject, true), (SortKey::Size, false)];
        let v = |s: &str, n| vec![Value::Text(s.into()), Value::Number(n)];
        assert_eq!(compare(&order, &v("a", 1), &v("b", 1)), Ordering::Greater);
        assert_eq!(compare(&order, &v("a", 1), &v("a", 2)), Ordering::Less);
    }
}
