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
    /// The header (and INTERNALDATE where the Date field is missing).
    Header,
}

impl SortKey {
    /// What this key needs.
    pub fn needs(self) -> Needs {
        match self {
            SortKey::Arrival => Needs::Arrival,
            SortKey::Size => Needs::Size,
            _ => Needs::Header,
        }
    }
}

/// The value of a header key.
pub fn header_value(key: SortKey, header: &[u8], internal_date: i64) -> Value {
    match key {
        SortKey::Date => Value::Number(sent_date(header, internal_date)),
        SortKey::Subject => Value::Text(subject(header).0),
        SortKey::From => Value::Text(mailbox(header, "From")),
        SortKey::To => Value::Text(mailbox(header, "To")),
        SortKey::Cc => Value::Text(mailbox(header, "Cc")),
        SortKey::DisplayFrom => Value::Text(display(header, "From")),
        SortKey::DisplayTo => Value::Text(display(header, "To")),
        SortKey::Arrival | SortKey::Size => Value::Number(internal_date),
    }
}

/// RFC 5256 2.2: the Date field in UTC, INTERNALDATE where it is missing or wrong.
pub fn sent_date(header: &[u8], internal_date: i64) -> i64 {
    find_field(header, "Date").and_then(|f| DateTime::parse(f.value)).map_or(internal_date, |d| d.unix())
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
    crate::search::fold(&text)
}

/// RFC 5957 3: the display name, else the address.
fn display(header: &[u8], name: &str) -> String {
    let text = match first(header, name) {
        Some(Entry::Mailbox(a)) => a.display_name().filter(|n| !n.is_empty()).unwrap_or_else(|| Address::email(&a)),
        Some(Entry::GroupStart(g)) => penny_mime::decode_header(&g),
        _ => String::new(),
    };
    crate::search::fold(&text)
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
        assert_eq!(header_value(SortKey::Date, h, 9), Value::Number(0));
        assert_eq!(header_value(SortKey::Subject, h, 9), Value::Text("X".into()));
        assert_eq!(header_value(SortKey::From, h, 9), Value::Text("ZED".into()));
        assert_eq!(header_value(SortKey::DisplayFrom, h, 9), Value::Text("A\u{308}".into()));
        assert_eq!(header_value(SortKey::To, h, 9), Value::Text("G".into()));
        assert_eq!(header_value(SortKey::Cc, h, 9), Value::Text(String::new()));
        assert_eq!(header_value(SortKey::Date, b"\n", 9), Value::Number(9));
    }

    #[test]
    fn reverse_turns_one_key_only() {
        let order = [(SortKey::Subject, true), (SortKey::Size, false)];
        let v = |s: &str, n| vec![Value::Text(s.into()), Value::Number(n)];
        assert_eq!(compare(&order, &v("a", 1), &v("b", 1)), Ordering::Greater);
        assert_eq!(compare(&order, &v("a", 1), &v("a", 2)), Ordering::Less);
    }
}
