//! PDF: every stream, through its chain of filters, and the names of embedded files.
//!
//! Standards   ISO 32000-2: 7.3.8 (streams), 7.4 (filters), 7.6 (encryption, pdf_crypt.rs)
//! Leniency    no cross-reference table is believed: whatever says `stream` is one, at its stated and its found length;
//!             names may be written with `#xx`, filters abbreviated, values indirect
//! Limits      16 filters a stream; 64 MiB between two filters

use super::pdf_crypt::Crypt;
use super::pdf_filter::{self, Overflow};
use crate::sink::{Class, Meta, Sink, Trouble};
use memchr::memmem;
use std::collections::HashMap;

const FILTERS_MAX: usize = 16;
/// How far in front of `stream` its dictionary may begin.
const DICT_MAX: usize = 4 << 10;

/// Reads the document at the start of `data`.
pub fn read(data: &[u8], sink: &mut dyn Sink) {
    let objects = Objects::index(data);
    let crypt = match Crypt::of(&objects) {
        Ok(crypt) => crypt,
        Err(()) => {
            sink.trouble(Trouble::Encrypted, "a PDF that needs a password");
            return;
        }
    };
    actions(data, sink);
    embedded_names(data, sink);
    let mut at = 0;
    let mut ends = Ends { data, next: Some(0) };
    while let Some(found) = memmem::find(data.get(at..).unwrap_or_default(), b"stream") {
        if sink.done() {
            return;
        }
        let word = at + found;
        at = word + 6;
        if data.get(word.saturating_sub(3)..word) == Some(b"end") {
            continue;
        }
        let Some((dict, object)) = dictionary(data, word) else { continue };
        let start = body_start(data, word + 6);
        for body in bodies(&objects, start, dict, &mut ends) {
            one(&objects, dict, object, body, crypt.as_ref(), sink);
            at = at.max(start + body.len());
        }
    }
}

/// Things that a document does by itself.
fn actions(data: &[u8], sink: &mut dyn Sink) {
    for (word, detail) in [("/JavaScript", "JavaScript in PDF"), ("/Launch", "PDF that launches a program")] {
        if memmem::find(data, word.as_bytes()).is_some() {
            sink.class(Class::Active, detail);
        }
    }
}

/// Names in file specifications that embed a file (7.11.3).
fn embedded_names(data: &[u8], sink: &mut dyn Sink) {
    for at in memmem::find_iter(data, b"/EF").take(1000) {
        let low = at.saturating_sub(2048);
        let from = low + data.get(low..at).and_then(|d| memmem::rfind(d, b"obj")).unwrap_or(0);
        let near = data.get(at..data.len().min(at + 2048)).unwrap_or_default();
        let to = at + memmem::find(near, b"endobj").unwrap_or(near.len());
        let dict = data.get(from..to).unwrap_or_default();
        let names: Vec<String> = [&b"UF"[..], b"F"]
            .iter()
            .filter_map(|k| string(dict, k))
            .map(|s| text_string(&s))
            .filter(|s| !s.is_empty())
            .collect();
        if !names.is_empty() {
            sink.listed(&Meta { names, ..Meta::plain("PDF") });
        }
    }
}

/// PDF text: UTF-16BE behind a mark, else octets.
fn text_string(s: &[u8]) -> String {
    match s.strip_prefix(b"\xfe\xff") {
        Some(wide) => String::from_utf16_lossy(
            &wide.as_chunks::<2>().0.iter().map(|c| u16::from_be_bytes(*c)).collect::<Vec<_>>(),
        ),
        None => crate::mime::params::text(s),
    }
}

/// The dictionary in front of a `stream` word, and the object's number and generation.
fn dictionary(data: &[u8], word: usize) -> Option<(&[u8], (u32, u32))> {
    let head = data.get(word.saturating_sub(DICT_MAX)..word)?;
    let obj = memmem::rfind(head, b"obj")?;
    let dict = head.get(obj + 3..)?;
    memmem::find(dict, b"<<")?;
    let mut numbers = head.get(..obj)?.rsplit(|c| c.is_ascii_whitespace()).filter(|t| !t.is_empty());
    let mut number = || {
        let text = numbers.next()?;
        let digits = text.iter().rev().take_while(|c| c.is_ascii_digit()).count();
        std::str::from_utf8(text.get(text.len() - digits..)?).ok()?.parse().ok()
    };
    let generation = number().unwrap_or(0);
    Some((dict, (number().unwrap_or(0), generation)))
}

fn body_start(data: &[u8], at: usize) -> usize {
    let rest = data.get(at..).unwrap_or_default();
    at + match rest {
        [b'\r', b'\n', ..] => 2,
        [b'\r' | b'\n', ..] => 1,
        // blanks before the line end are seen in the wild
        [b' ', b'\r', b'\n', ..] => 3,
        [b' ', b'\n', ..] => 2,
        _ => 0,
    }
}

/// Where the next `endstream` is; each octet is searched once.
struct Ends<'a> {
    data: &'a [u8],
    next: Option<usize>,
}

impl Ends<'_> {
    fn behind(&mut self, start: usize) -> Option<usize> {
        if self.next.is_some_and(|n| n < start || n == 0) {
            self.next = memmem::find(self.data.get(start..)?, b"endstream").map(|n| start + n);
        }
        self.next
    }
}

/// The body by its stated length where `endstream` confirms it, and up to the next `endstream`.
fn bodies<'a>(objects: &Objects<'a>, start: usize, dict: &[u8], ends: &mut Ends<'a>) -> Vec<&'a [u8]> {
    let rest = objects.data.get(start..).unwrap_or_default();
    let found = ends.behind(start).map(|n| n - start).or_else(|| memmem::find(rest, b"endobj")).unwrap_or(rest.len());
    let mut by_word = rest.get(..found).unwrap_or_default();
    by_word = by_word.strip_suffix(b"\n").unwrap_or(by_word);
    by_word = by_word.strip_suffix(b"\r").unwrap_or(by_word);
    let length =
        value(dict, b"Length").and_then(|v| objects.resolve(v)).and_then(integer).and_then(|n| usize::try_from(n).ok());
    let by_length = length.and_then(|n| rest.get(..n)).filter(|b| {
        let behind = rest.get(b.len()..).unwrap_or_default().trim_ascii_start();
        behind.starts_with(b"endstream")
    });
    match by_length {
        Some(exact) if exact.len() > by_word.len() + 2 => vec![exact, by_word],
        Some(exact) => vec![exact],
        None => vec![by_word],
    }
}

fn one(
    objects: &Objects<'_>,
    dict: &[u8],
    object: (u32, u32),
    body: &[u8],
    crypt: Option<&Crypt>,
    sink: &mut dyn Sink,
) {
    let kind = value(dict, b"Type").map(name_of).unwrap_or_default();
    let file = kind == b"EmbeddedFile" || value(dict, b"Subtype").is_some_and(|v| v.starts_with(b"/application"));
    let meta = Meta { container: "PDF", packed: Some(body.len() as u64), piece: !file, ..Meta::default() };
    let plain;
    let body = match crypt.filter(|_| kind != b"XRef") {
        Some(c) => {
            plain = c.decrypt(object, body);
            plain.as_slice()
        }
        None => body,
    };
    let filters = value(dict, b"Filter")
        .or_else(|| value(dict, b"F"))
        .and_then(|v| objects.resolve(v))
        .map(names)
        .unwrap_or_default();
    if filters.len() > FILTERS_MAX {
        sink.trouble(Trouble::Limit, "a chain of PDF filters that is too long");
        return;
    }
    match pdf_filter::run(&filters, body, dict, &meta, sink) {
        Ok(()) => {}
        Err(Overflow) => sink.trouble(Trouble::Limit, "a PDF stream that unpacks to too much"),
    }
}

/// The text behind `/key` in a dictionary, at any level, names written with `#` included.
pub(super) fn value<'a>(dict: &'a [u8], key: &[u8]) -> Option<&'a [u8]> {
    for at in memchr::memchr_iter(b'/', dict) {
        let rest = dict.get(at + 1..)?;
        let len = rest.iter().take_while(|c| is_regular(**c)).count();
        let name = rest.get(..len)?;
        if name == key || (name.contains(&b'#') && unescape(name) == key) {
            return rest.get(len..).map(<[u8]>::trim_ascii_start);
        }
    }
    None
}

fn is_regular(c: u8) -> bool {
    !c.is_ascii_whitespace() && c != 0 && !b"()<>[]{}/%".contains(&c)
}

fn unescape(name: &[u8]) -> Vec<u8> {
    super::hex_escapes(name, b'#')
}

fn name_of(value: &[u8]) -> Vec<u8> {
    let Some(rest) = value.strip_prefix(b"/") else { return Vec::new() };
    let len = rest.iter().take_while(|c| is_regular(**c)).count();
    unescape(rest.get(..len).unwrap_or_default())
}

/// One name or an array of names.
fn names(value: &[u8]) -> Vec<Vec<u8>> {
    if value.starts_with(b"/") {
        return vec![name_of(value)];
    }
    let Some(array) = value.strip_prefix(b"[").and_then(|v| v.split(|c| *c == b']').next()) else { return Vec::new() };
    memchr::memchr_iter(b'/', array).map(|at| name_of(array.get(at..).unwrap_or_default())).collect()
}

pub(super) fn integer(value: &[u8]) -> Option<i64> {
    let len = value.iter().take_while(|c| c.is_ascii_digit() || matches!(c, b'-' | b'+')).count();
    std::str::from_utf8(value.get(..len)?).ok()?.parse().ok()
}

/// Where each object begins.
pub(super) struct Objects<'a> {
    /// The document.
    pub data: &'a [u8],
    at: HashMap<(u32, u32), usize>,
}

/// Objects that are indexed.
const OBJECTS_MAX: usize = 1 << 20;

impl<'a> Objects<'a> {
    /// Finds every `N G obj`; of several with one number the first counts.
    pub fn index(data: &'a [u8]) -> Objects<'a> {
        let mut at = HashMap::new();
        for word in memmem::find_iter(data, b"obj").take(OBJECTS_MAX) {
            let head = data.get(word.saturating_sub(24)..word).unwrap_or_default();
            let mut words = head.rsplit(|c| !is_regular(*c)).filter(|w| !w.is_empty());
            if let (Some(g), Some(n)) = (words.next().and_then(number), words.next().and_then(number)) {
                at.entry((n, g)).or_insert(word + 3);
            }
        }
        Objects { data, at }
    }

    /// Follows `N G R` to the object; any other value is itself.
    pub fn resolve<'v>(&self, value: &'v [u8]) -> Option<&'v [u8]>
    where
        'a: 'v,
    {
        let head = value.get(..40).unwrap_or(value);
        let mut words = head.split(|c| !is_regular(*c)).filter(|w| !w.is_empty());
        let numbers = (words.next().and_then(number), words.next().and_then(number));
        match (numbers, words.next()) {
            ((Some(n), Some(g)), Some(b"R")) => {
                self.at.get(&(n, g)).and_then(|at| self.data.get(*at..)).map(<[u8]>::trim_ascii_start)
            }
            _ => Some(value),
        }
    }
}

fn number(word: &[u8]) -> Option<u32> {
    std::str::from_utf8(word).ok()?.parse().ok()
}

/// A string value, literal or hexadecimal.
pub(super) fn string(dict: &[u8], key: &[u8]) -> Option<Vec<u8>> {
    string_at(value(dict, key)?)
}

pub(super) fn string_at(v: &[u8]) -> Option<Vec<u8>> {
    if let Some(rest) = v.strip_prefix(b"<").filter(|r| !r.starts_with(b"<")) {
        return Some(pdf_filter::hex(rest));
    }
    let mut rest = v.strip_prefix(b"(")?.iter().copied().peekable();
    let mut out = Vec::new();
    let mut depth = 0;
    while let Some(c) = rest.next() {
        match c {
            b'(' => depth += 1,
            b')' if depth == 0 => break,
            b')' => depth -= 1,
            b'\\' => {
                match rest.next()? {
                    b'n' => out.push(b'\n'),
                    b'r' => out.push(b'\r'),
                    b't' => out.push(b'\t'),
                    b'b' => out.push(8),
                    b'f' => out.push(12),
                    b'\r' | b'\n' => {}
                    d @ b'0'..=b'7' => {
                        let mut n = u32::from(d - b'0');
                        for _ in 0..2 {
                            let Some(d) = rest.next_if(|d| (b'0'..=b'7').contains(d)) else { break };
                            n = n * 8 + u32::from(d - b'0');
                        }
                        out.push(n as u8);
                    }
                    other => out.push(other),
                }
                continue;
            }
            _ => {}
        }
        out.push(c);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::Collect;
    use std::io::Write;

    fn zlib(data: &[u8]) -> Vec<u8> {
        let mut e = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
        e.write_all(data).unwrap();
        e.finish().unwrap()
    }

    fn pdf(dict: &str, body: &[u8]) -> Vec<u8> {
        let mut d = format!("%PDF-1.4\n1 0 obj\n<< {dict} >>\nstream\n").into_bytes();
        d.extend(body);
        d.extend(b"\nendstream\nendobj\n");
        d
    }

    #[test]
    fn filters_in_every_spelling() {
        let packed = zlib(b"payload");
        let hex: Vec<u8> = packed.iter().flat_map(|b| format!("{b:02x}").into_bytes()).chain(*b">").collect();
        for (dict, body) in [
            ("/Filter /FlateDecode".to_owned(), packed.clone()),
            ("/Filter [/Fl]".to_owned(), packed.clone()),
            ("/Fi#6cter /Fl#61teDecode".to_owned(), packed.clone()),
            ("/Filter [ /ASCIIHexDecode /FlateDecode ]".to_owned(), hex),
            ("/Filter 2 0 R".to_owned(), packed.clone()),
            (format!("/Length {} /Filter /FlateDecode", packed.len()), packed.clone()),
        ] {
            let mut d = pdf(&dict, &body);
            d.extend(b"2 0 obj /FlateDecode endobj");
            let mut c = Collect::default();
            read(&d, &mut c);
            assert!(c.has(b"payload"), "{dict}");
        }
    }

    #[test]
    fn strings() {
        assert_eq!(string(b"/F (a\\(b\\051\\\\c(d)) ", b"F"), Some(b"a(b)\\c(d)".to_vec()));
        assert_eq!(string(b"/U<4142 4>", b"U"), Some(b"AB@".to_vec()));
    }

    #[test]
    fn names_of_attachments() {
        let d = b"%PDF-1.4\n3 0 obj << /Type /Filespec /F (evil.exe) /EF << /F 4 0 R >> >> endobj";
        let mut c = Collect::default();
        read(d, &mut c);
        assert_eq!(c.listed, ["evil.exe"]);
    }

    #[test]
    fn an_endstream_inside() {
        let body = b"one endstream two";
        let mut c = Collect::default();
        read(&pdf(&format!("/Length {}", body.len()), body), &mut c);
        assert!(c.has(body));
    }
}
