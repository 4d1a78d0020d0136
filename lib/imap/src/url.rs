//! IMAP URLs that name a message or a part of one.
//!
//! Standards   RFC 5092 (`/mailbox;UIDVALIDITY=1/;UID=2/;SECTION=1.2/;PARTIAL=0.100`), as CATENATE uses them (RFC 4469 4)
//! Failures    anything with a server, or without a UID, is none of ours: `None`
use crate::command::fetch::{Section, parse_section};

/// What a URL names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageUrl {
    /// The mailbox in UTF-8; `None`: the selected one.
    pub mailbox: Option<String>,
    /// Its UIDVALIDITY, if named.
    pub uidvalidity: Option<u32>,
    /// The message.
    pub uid: u32,
    /// A part of it.
    pub section: Option<Section>,
    /// Octets of that.
    pub partial: Option<(usize, usize)>,
}

impl MessageUrl {
    /// Reads a relative URL.
    pub fn parse(url: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(url).ok()?;
        if text.starts_with("imap:") || text.starts_with("//") {
            return None;
        }
        let (mut path, mut rest) = split_ignore_case(text, ";UID=")?;
        path = path.strip_suffix('/').unwrap_or(path);
        let (uid, mut tail) = number(rest)?;
        let (mut section, mut partial) = (None, None);
        if let Some(after) = strip_ignore_case(tail, "/;SECTION=") {
            let end = split_ignore_case(after, "/;PARTIAL=").map_or(after.len(), |(s, _)| s.len());
            section = Some(parse_section(&decode(&after[..end])?)?);
            tail = &after[end..];
        }
        if let Some(after) = strip_ignore_case(tail, "/;PARTIAL=") {
            let (from, after) = number(after)?;
            let count = after.strip_prefix('.').map_or(Some(u32::MAX), |n| n.parse().ok())?;
            partial = Some((from as usize, count as usize));
            tail = "";
        }
        rest = tail;
        if !rest.is_empty() {
            return None;
        }
        let (mailbox, uidvalidity) = mailbox(path)?;
        Some(MessageUrl { mailbox, uidvalidity, uid, section, partial })
    }
}

fn mailbox(path: &str) -> Option<(Option<String>, Option<u32>)> {
    let path = path.strip_prefix('/').unwrap_or(path);
    if path.is_empty() {
        return Some((None, None));
    }
    let (name, validity) = match split_ignore_case(path, ";UIDVALIDITY=") {
        Some((name, value)) => (name, Some(value.parse().ok()?)),
        None => (path, None),
    };
    Some((Some(String::from_utf8(decode(name)?).ok()?), validity))
}

fn number(text: &str) -> Option<(u32, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    Some((text[..end].parse().ok()?, &text[end..]))
}

fn split_ignore_case<'a>(text: &'a str, mark: &str) -> Option<(&'a str, &'a str)> {
    let at = text.as_bytes().windows(mark.len()).position(|w| w.eq_ignore_ascii_case(mark.as_bytes()))?;
    Some((&text[..at], &text[at + mark.len()..]))
}

fn strip_ignore_case<'a>(text: &'a str, mark: &str) -> Option<&'a str> {
    text.get(..mark.len()).filter(|h| h.eq_ignore_ascii_case(mark)).map(|_| &text[mark.len()..])
}

/// Percent-decoding (RFC 3986 2.1).
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let (mut out, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((&b, tail)) = rest.split_first() {
        if b == b'%' {
            // two digits: a sign is none
            let hex = tail.get(..2).filter(|h| h.iter().all(u8::is_ascii_hexdigit))?;
            out.push(u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok()?);
            rest = &tail[2..];
        } else {
            out.push(b);
            rest = tail;
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_catenate() {
        let u = MessageUrl::parse(b"/Drafts;UIDVALIDITY=385759045/;UID=20/;section=HEADER").unwrap();
        assert_eq!((u.mailbox.as_deref(), u.uidvalidity, u.uid), (Some("Drafts"), Some(385_759_045), 20));
        assert_eq!(u.section.unwrap().text, crate::command::SectionText::Header);
        let u = MessageUrl::parse(b"/;UID=7/;SECTION=1.2.MIME/;PARTIAL=5.10").unwrap();
        assert_eq!((u.mailbox, u.partial, u.section.unwrap().path), (None, Some((5, 10)), vec![1, 2]));
        assert_eq!(MessageUrl::parse(b"/a%20b/;uid=1").unwrap().mailbox.as_deref(), Some("a b"));
        for bad in [
            "/a%+0b/;uid=1",
            "imap://host/x/;UID=1",
            "//host/x;UID=1",
            "/x",
            "/x/;UID=a",
            "/x/;UID=1/;SECTION=FOO",
            "/x/;UID=1 rest",
            "/%zz/;UID=1",
        ] {
            assert_eq!(MessageUrl::parse(bad.as_bytes()), None, "{bad}");
        }
    }
}
