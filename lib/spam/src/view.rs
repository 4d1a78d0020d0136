//! The bounded view: what of a message is looked at, decoded once, however large or broken it is.
//!
//! Standards   RFC 5322 2.2 (fields), RFC 2045 and 2046 (parts), RFC 2047 (words)
//! Invariants  1. memory and output are bounded by the constants below, whatever the message   2. every
//!             byte string is accepted   3. no field another run of spamcheck wrote is looked at
//! Failures    none: a part that cannot be understood is text
//! Trust       hostile bytes
//! Not here    features (feature.rs), rules (rules/)

use crate::{decode, html};

/// Octets of a message that are read at all; the rest is passed on unseen.
pub const READ_MAX: usize = 512 * 1024;
/// Octets of header that are split into fields.
const HEADER_MAX: usize = 64 * 1024;
/// Fields kept.
const FIELDS_MAX: usize = 300;
/// Octets kept of one field's value.
const VALUE_MAX: usize = 4096;
/// Parts looked at, and how deep they nest.
const PARTS_MAX: usize = 60;
const DEPTH_MAX: usize = 8;
/// Decoded octets kept of all text parts, and of one.
const TEXT_MAX: usize = 48 * 1024;
const PART_TEXT_MAX: usize = 24 * 1024;
/// Decoded octets kept of an attachment.
const HEAD_MAX: usize = 64;

/// One header field, RFC 2047 words decoded and folding replaced by a space.
#[derive(Debug, Clone)]
pub struct Field<'a> {
    /// The name as written.
    pub name: &'a [u8],
    /// The field as written, from its name to its last line's end.
    pub raw: &'a [u8],
    /// The decoded value.
    pub value: Vec<u8>,
}

/// What a leaf part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// text/plain, any other text, or a part without a type.
    Text,
    /// text/html.
    Html,
    /// Anything else.
    Attachment,
}

/// One leaf of the MIME tree.
#[derive(Debug, Clone)]
pub struct Part<'a> {
    /// Text, HTML or attachment.
    pub kind: Kind,
    /// `type/subtype` in lower case.
    pub ctype: Vec<u8>,
    /// File name, decoded, or nothing.
    pub filename: Vec<u8>,
    /// Content-Transfer-Encoding in lower case.
    pub encoding: Vec<u8>,
    /// Charset as named.
    pub charset: Vec<u8>,
    /// The header block of the part; empty where it is the message's own.
    pub header: &'a [u8],
    /// Decoded content, bounded: text whole up to a limit, an attachment's first octets.
    pub content: Vec<u8>,
    /// Octets of the encoded body.
    pub size: usize,
    /// The HTML as read, for [`Kind::Html`].
    pub html: Option<Box<html::Html>>,
}

/// A message, looked at.
#[derive(Debug, Clone, Default)]
pub struct Message<'a> {
    /// Header fields in order.
    pub fields: Vec<Field<'a>>,
    /// The header block as written.
    pub header: &'a [u8],
    /// Leaf parts in order.
    pub parts: Vec<Part<'a>>,
    /// The message was longer than [`READ_MAX`].
    pub cut: bool,
}

impl<'a> Message<'a> {
    /// Looks at a message; only the first [`READ_MAX`] octets count.
    pub fn read(bytes: &'a [u8]) -> Message<'a> {
        let cut = bytes.len() > READ_MAX;
        let bytes = bytes.get(..READ_MAX).unwrap_or(bytes);
        let (header, body) = split_header(bytes);
        let fields = fields(header);
        let mut message = Message { fields, header, parts: Vec::new(), cut };
        let top = Entity::of_fields(&message.fields);
        let mut budget = Budget { text: TEXT_MAX };
        walk(&mut message.parts, &top, b"", body, 0, &mut budget);
        message
    }

    /// The first field of that name.
    pub fn field(&self, name: &str) -> Option<&[u8]> {
        self.fields.iter().find(|f| f.name.eq_ignore_ascii_case(name.as_bytes())).map(|f| f.value.as_slice())
    }

    /// Every field of that name.
    pub fn all<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'s [u8]> {
        self.fields.iter().filter(move |f| f.name.eq_ignore_ascii_case(name.as_bytes())).map(|f| f.value.as_slice())
    }

    /// The HTML parts.
    pub fn htmls(&self) -> impl Iterator<Item = &html::Html> {
        self.parts.iter().filter_map(|p| p.html.as_deref())
    }
}

/// Splits at the first empty line; without one, all is header if the first line looks like a field.
pub fn split_header(bytes: &[u8]) -> (&[u8], &[u8]) {
    let mut from = 0;
    if bytes.first() == Some(&b'\n') || bytes.starts_with(b"\r\n") {
        return (b"", bytes);
    }
    while let Some(i) = memchr::memchr(b'\n', bytes.get(from..).unwrap_or(b"")) {
        let next = from + i + 1;
        match bytes.get(next..).unwrap_or(b"") {
            [b'\n', ..] => return (bytes.get(..next).unwrap_or(b""), bytes.get(next + 1..).unwrap_or(b"")),
            [b'\r', b'\n', ..] => return (bytes.get(..next).unwrap_or(b""), bytes.get(next + 2..).unwrap_or(b"")),
            _ => from = next,
        }
    }
    (bytes, b"")
}

/// A field another run of this program, or a forger of it, wrote.
pub fn is_own_field(name: &[u8]) -> bool {
    name.len() >= 11 && name.get(..11).is_some_and(|n| n.eq_ignore_ascii_case(b"X-Spamcheck"))
}

/// Splits a header block into fields with their continuation lines (RFC 5322 2.2.3).
pub fn fields(header: &[u8]) -> Vec<Field<'_>> {
    let mut out: Vec<Field<'_>> = Vec::with_capacity(32);
    let mut rest = header.get(..HEADER_MAX).unwrap_or(header);
    while !rest.is_empty() && out.len() < FIELDS_MAX {
        let end = field_end(rest);
        let (raw, tail) = rest.split_at(end);
        rest = tail;
        let Some(colon) = raw.iter().take(80).position(|&c| c == b':') else {
            continue; // not a field; a lone line of rubbish
        };
        let (name, value) = raw.split_at(colon);
        let name = name.trim_ascii();
        if !name.is_empty() && !is_own_field(name) {
            out.push(Field { name, raw, value: unfold(value.get(1..).unwrap_or(b"")) });
        }
    }
    out
}

fn field_end(s: &[u8]) -> usize {
    let mut from = 0;
    while let Some(i) = memchr::memchr(b'\n', s.get(from..).unwrap_or(b"")) {
        from += i + 1;
        if !matches!(s.get(from), Some(b' ' | b'\t')) {
            return from;
        }
    }
    s.len()
}

fn unfold(value: &[u8]) -> Vec<u8> {
    let value = value.get(..VALUE_MAX).unwrap_or(value).trim_ascii();
    let mut out = Vec::with_capacity(value.len());
    let mut fold = false;
    for &c in value {
        match c {
            b'\n' | b'\r' => fold = true,
            b' ' | b'\t' if fold => {}
            _ => {
                if fold {
                    out.push(b' ');
                    fold = false;
                }
                out.push(c);
            }
        }
    }
    if memchr::memmem::find(&out, b"=?").is_some() { decode::words(&out) } else { out }
}

/// The MIME fields of a message or part.
#[derive(Default)]
struct Entity {
    ctype: Vec<u8>,
    boundary: Vec<u8>,
    charset: Vec<u8>,
    filename: Vec<u8>,
    encoding: Vec<u8>,
    attached: bool,
}

impl Entity {
    fn of_fields(fields: &[Field<'_>]) -> Entity {
        let mut e = Entity::default();
        for f in fields {
            if f.name.len() < 12 || !f.name.get(..8).is_some_and(|n| n.eq_ignore_ascii_case(b"content-")) {
                continue;
            }
            match f.name.to_ascii_lowercase().as_slice() {
                b"content-type" => e.content_type(&f.value),
                b"content-transfer-encoding" => e.encoding = f.value.to_ascii_lowercase(),
                b"content-disposition" => e.disposition(&f.value),
                _ => {}
            }
        }
        e
    }

    fn content_type(&mut self, value: &[u8]) {
        let end = value.iter().position(|&c| c == b';').unwrap_or(value.len());
        self.ctype = value.get(..end).unwrap_or(b"").trim_ascii().to_ascii_lowercase();
        self.boundary = param(value, b"boundary").unwrap_or_default();
        self.charset = param(value, b"charset").unwrap_or_default();
        if self.filename.is_empty() {
            self.filename = param(value, b"name").unwrap_or_default();
        }
    }

    fn disposition(&mut self, value: &[u8]) {
        self.attached = value.len() >= 10 && value.get(..10).is_some_and(|v| v.eq_ignore_ascii_case(b"attachment"));
        if let Some(name) = param(value, b"filename") {
            self.filename = name;
        }
    }

    fn kind(&self) -> Kind {
        match self.ctype.as_slice() {
            _ if self.attached => Kind::Attachment,
            b"text/html" | b"application/xhtml+xml" => Kind::Html,
            b"" => Kind::Text,
            t if t.starts_with(b"text/") || !t.contains(&b'/') => Kind::Text,
            _ => Kind::Attachment,
        }
    }
}

/// A parameter of a Content-* value, with RFC 2231 `name*=` and `name*0*=` forms joined.
pub fn param(value: &[u8], name: &[u8]) -> Option<Vec<u8>> {
    let mut out: Option<Vec<u8>> = None;
    let mut rest = value;
    while let Some(semi) = rest.iter().position(|&c| c == b';') {
        rest = rest.get(semi + 1..).unwrap_or(b"").trim_ascii_start();
        let Some(eq) = rest.iter().position(|&c| c == b'=' || c == b';').filter(|&i| rest.get(i) == Some(&b'=')) else {
            continue;
        };
        let (key, tail) = rest.split_at(eq);
        let (text, tail) = param_value(tail.get(1..).unwrap_or(b"").trim_ascii_start());
        rest = tail;
        let key = key.trim_ascii();
        let base = key.split(|&c| c == b'*').next().unwrap_or(key);
        if base.eq_ignore_ascii_case(name) {
            let text = if key.ends_with(b"*") { percent(text) } else { text.to_vec() };
            out.get_or_insert_default().extend_from_slice(&text);
        }
    }
    out
}

fn param_value(s: &[u8]) -> (&[u8], &[u8]) {
    match s.strip_prefix(b"\"") {
        Some(body) => {
            let end = body.iter().position(|&c| c == b'"').unwrap_or(body.len());
            (body.get(..end).unwrap_or(b""), body.get(end..).unwrap_or(b""))
        }
        None => {
            let end = s.iter().position(|&c| c == b';' || c.is_ascii_whitespace()).unwrap_or(s.len());
            s.split_at(end)
        }
    }
}

/// RFC 2231 4: `charset'lang'percent-encoded`.
fn percent(text: &[u8]) -> Vec<u8> {
    let text = text.rsplit(|&c| c == b'\'').next().unwrap_or(text);
    let swapped: Vec<u8> = text.iter().map(|&c| if c == b'%' { b'=' } else { c }).collect();
    decode::quoted_printable(&swapped, swapped.len(), false)
}

struct Budget {
    text: usize,
}

fn walk<'a>(
    out: &mut Vec<Part<'a>>,
    entity: &Entity,
    header: &'a [u8],
    body: &'a [u8],
    depth: usize,
    budget: &mut Budget,
) {
    if out.len() >= PARTS_MAX {
        return;
    }
    let multipart = entity.ctype.starts_with(b"multipart/") && !entity.boundary.is_empty();
    if multipart && depth < DEPTH_MAX {
        let before = out.len();
        for part in split_parts(body, &entity.boundary) {
            let (header, body) = split_header(part);
            walk(out, &Entity::of_fields(&fields(header)), header, body, depth + 1, budget);
        }
        if out.len() > before {
            return; // otherwise the boundary never came: the body is text after all
        }
    }
    if entity.ctype == b"message/rfc822" && depth < DEPTH_MAX {
        let (inner, body) = split_header(body);
        return walk(out, &Entity::of_fields(&fields(inner)), inner, body, depth + 1, budget);
    }
    out.push(leaf(entity, header, body, multipart, budget));
}

fn leaf<'a>(entity: &Entity, header: &'a [u8], body: &'a [u8], broken: bool, budget: &mut Budget) -> Part<'a> {
    let kind = if broken { Kind::Text } else { entity.kind() };
    let limit = if kind == Kind::Attachment { HEAD_MAX } else { budget.text.min(PART_TEXT_MAX) };
    let raw = match entity.encoding.as_slice() {
        b"base64" => decode::base64(body, limit),
        b"quoted-printable" => decode::quoted_printable(body, limit, false),
        _ => body.get(..limit).unwrap_or(body).to_vec(),
    };
    let content = if kind == Kind::Attachment { raw } else { decode::to_utf8(raw, &entity.charset) };
    let html = (kind == Kind::Html).then(|| Box::new(html::read(&content, PART_TEXT_MAX)));
    if kind != Kind::Attachment {
        budget.text = budget.text.saturating_sub(content.len());
    }
    Part {
        kind,
        ctype: entity.ctype.clone(),
        filename: if memchr::memmem::find(&entity.filename, b"=?").is_some() {
            decode::words(&entity.filename)
        } else {
            entity.filename.clone()
        },
        encoding: entity.encoding.clone(),
        charset: entity.charset.clone(),
        header,
        content,
        size: body.len(),
        html,
    }
}

/// The parts between `--boundary` lines (RFC 2046 5.1.1); a missing end is the end of the body.
fn split_parts<'a>(body: &'a [u8], boundary: &[u8]) -> Vec<&'a [u8]> {
    let mut out = Vec::new();
    let mut start: Option<usize> = None;
    let finder = memchr::memmem::Finder::new(boundary);
    for at in finder.find_iter(body) {
        let dash = at.wrapping_sub(2);
        let line_start = body.get(dash..at) == Some(b"--") && (dash == 0 || body.get(dash - 1) == Some(&b'\n'));
        let after = body.get(at + boundary.len()..).unwrap_or(b"");
        let ends = after.starts_with(b"--");
        if !line_start || !(ends || after.first().is_none_or(u8::is_ascii_whitespace)) {
            continue;
        }
        if let Some(from) = start.take() {
            out.push(body.get(from..dash).unwrap_or(b""));
        }
        if ends || out.len() >= PARTS_MAX {
            return out;
        }
        start = Some(at + boundary.len() + after.iter().position(|&c| c == b'\n').map_or(after.len(), |i| i + 1));
    }
    if let Some(from) = start {
        out.push(body.get(from..).unwrap_or(b""));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_fold_and_decode() {
        let m = Message::read(b"Subject: =?utf-8?q?caf=C3=A9?=\n =?utf-8?q?s?=\nX-Spamcheck: ham\nTo : a\n\nbody\n");
        assert_eq!(m.field("subject"), Some("cafés".as_bytes()));
        assert_eq!(m.field("to"), Some(&b"a"[..]));
        assert_eq!(m.field("x-spamcheck"), None);
        assert_eq!(m.parts.len(), 1);
        assert_eq!(m.parts[0].content, b"body\n");
    }

    #[test]
    fn nested_multiparts() {
        let m = Message::read(
            b"Content-Type: multipart/mixed; boundary=\"b1\"\n\npre\n--b1\nContent-Type: multipart/alternative; boundary=b2\n\n--b2\n\nplain\n--b2\nContent-Type: text/html\nContent-Transfer-Encoding: base64\n\nPGI+aGk8L2I+\n--b2--\n--b1\nContent-Type: application/zip; name=a.zip\nContent-Disposition: attachment; filename*=utf-8''b%20c.zip\n\nPK\n--b1--\n",
        );
        let kinds: Vec<Kind> = m.parts.iter().map(|p| p.kind).collect();
        assert_eq!(kinds, [Kind::Text, Kind::Html, Kind::Attachment]);
        assert_eq!(m.parts[1].html.as_ref().map(|h| h.visible.as_slice()), Some(&b"hi"[..]));
        assert_eq!(m.parts[2].filename, b"b c.zip");
    }

    #[test]
    fn a_boundary_that_never_comes_is_text() {
        let m = Message::read(b"Content-Type: multipart/mixed; boundary=zz\n\nhello\n");
        assert_eq!(m.parts.len(), 1);
        assert_eq!(m.parts[0].kind, Kind::Text);
        assert_eq!(m.parts[0].content, b"hello\n");
    }

    #[test]
    fn bounded_whatever_comes() {
        let mut evil = b"Content-Type: multipart/mixed; boundary=a\n\n".to_vec();
        for _ in 0..100_000 {
            evil.extend_from_slice(b"--a\nContent-Type: multipart/mixed; boundary=a\n\n");
        }
        let m = Message::read(&evil);
        assert!(m.parts.len() <= PARTS_MAX && m.cut);
        let total: usize = m.parts.iter().map(|p| p.content.len()).sum();
        assert!(total <= 2 * TEXT_MAX);
    }

    #[test]
    fn header_only_and_empty() {
        assert!(Message::read(b"").fields.is_empty());
        assert_eq!(Message::read(b"A: b").fields.len(), 1);
        assert_eq!(Message::read(b"\nA: b").parts[0].content, b"\nA: b");
        assert_eq!(Message::read(b"A: b\r\n\r\nx").parts[0].content, b"x");
    }
}
