//! One part: every name it goes by, every decoding of its body.
//!
//! Standards   RFC 2045 6 (Content-Transfer-Encoding), RFC 2183 (Content-Disposition), RFC 2046 5.2 (message types)
//! Why         with two encodings declared readers take the first or the last: both are decoded, and the fact is told

use super::base64::{self, Mode};
use super::field::Field;
use super::{params, qp};
use crate::names;
use crate::sink::{Meta, Sink, Trouble};

/// The encodings some reader may see.
#[derive(Default, Debug, Clone, Copy, PartialEq, Eq)]
struct Encodings {
    base64: bool,
    quoted: bool,
    identity: bool,
    other: bool,
}

fn of<'f, 'a>(fields: &'f [Field<'a>], name: &'static [u8]) -> impl Iterator<Item = &'f Field<'a>> {
    fields.iter().filter(move |f| f.name == name)
}

/// Lower-case types of all Content-Type fields, without parameters.
fn types(fields: &[Field<'_>]) -> Vec<Vec<u8>> {
    of(fields, b"content-type")
        .map(|f| {
            let v = f.unfolded();
            let v = v.trim_ascii_start();
            v.iter()
                .take(80)
                .take_while(|c| !matches!(c, b';' | b' ' | b'\t' | b'('))
                .map(u8::to_ascii_lowercase)
                .collect()
        })
        .collect()
}

/// Whether some reader takes the part for a message.
pub fn is_message(fields: &[Field<'_>]) -> bool {
    let message =
        types(fields).iter().any(|t| t.starts_with(b"message/") && !t.starts_with(b"message/delivery-status"));
    message && !encodings(fields).base64 && !encodings(fields).quoted
}

/// Whether some reader takes the part for a multipart.
pub fn is_multipart(fields: &[Field<'_>]) -> bool {
    types(fields).iter().any(|t| t.starts_with(b"multipart/"))
}

/// Every boundary that some reading of the header gives.
pub fn boundaries(fields: &[Field<'_>]) -> Vec<Vec<u8>> {
    of(fields, b"content-type")
        .flat_map(|f| params::readings(&f.unfolded(), "boundary"))
        .filter(|b| b.len() <= 1000)
        .map(|b| b.trim_ascii().to_vec())
        .collect()
}

fn encodings(fields: &[Field<'_>]) -> Encodings {
    let mut e = Encodings::default();
    for f in of(fields, b"content-transfer-encoding") {
        let v = f.unfolded().to_ascii_lowercase();
        let has = |w: &[u8]| memchr::memmem::find(&v, w).is_some();
        match () {
            () if has(b"base64") => e.base64 = true,
            () if has(b"quoted") => e.quoted = true,
            () if has(b"7bit") || has(b"8bit") || has(b"binary") => e.identity = true,
            () => e.other = true,
        }
    }
    e
}

/// Names by every reading of the type and disposition.
fn part_names(fields: &[Field<'_>]) -> Vec<String> {
    let mut out = Vec::new();
    for f in fields.iter().filter(|f| matches!(&f.name[..], b"content-type" | b"content-disposition")) {
        let v = raw_value(f);
        for key in ["filename", "name"] {
            out.extend(params::readings(&v, key).iter().map(|n| params::text(n)));
        }
    }
    out.extend(
        of(fields, b"content-description").map(|f| params::text(f.unfolded().trim_ascii())).filter(|d| described(d)),
    );
    out.sort();
    out.dedup();
    out
}

/// As [`Field::unfolded`], but a NUL in a name must stay to be seen.
fn raw_value(f: &Field<'_>) -> Vec<u8> {
    f.value.iter().copied().filter(|c| !matches!(c, b'\r' | b'\n')).collect()
}

/// Whether a description is a file name that matters.
fn described(text: &str) -> bool {
    text.len() < 200 && !names::judge(text).is_empty() && !text.contains(' ')
}

/// Tells the sink about a part whose body is walked elsewhere.
pub fn describe(fields: &[Field<'_>], sink: &mut dyn Sink) {
    let names = part_names(fields);
    warn(fields, None, sink);
    if !names.is_empty() {
        sink.listed(&Meta { container: "MAIL", names, ..Meta::default() });
    }
}

/// What a header says that makes the message unscannable; `source` is the body, where it is known.
fn warn(fields: &[Field<'_>], source: Option<(usize, usize)>, sink: &mut dyn Sink) {
    let mut tell = |trouble, detail| match source {
        Some(source) => sink.trouble_in(trouble, detail, source),
        None => sink.trouble(trouble, detail),
    };
    let types = types(fields);
    if types.iter().any(|t| t.starts_with(b"message/partial")) {
        tell(Trouble::Partial, "message/partial: the rest comes in other messages");
    }
    let e = encodings(fields);
    if of(fields, b"content-transfer-encoding").count() > 1 && e.base64 && (e.quoted || e.identity) {
        tell(Trouble::Ambiguous, "two different Content-Transfer-Encoding fields");
    }
    let multipart = types.iter().filter(|t| t.starts_with(b"multipart/")).count();
    if multipart > 0 && types.len() > 1 && (multipart < types.len() || differing_boundaries(fields)) {
        tell(Trouble::Ambiguous, "two different Content-Type fields");
    }
    if fields.iter().any(|f| f.name.starts_with(b"content-t") && f.has_nul()) {
        tell(Trouble::Ambiguous, "NUL in a MIME field");
    }
}

fn differing_boundaries(fields: &[Field<'_>]) -> bool {
    let mut sets = of(fields, b"content-type").map(|f| params::readings(&f.unfolded(), "boundary"));
    let first = sets.next().unwrap_or_default();
    sets.any(|s| s != first)
}

/// Hands over a part in every reading.
pub fn part(fields: &[Field<'_>], body: &[u8], sink: &mut dyn Sink) {
    let names = part_names(fields);
    let piece = names.is_empty();
    let source = Some((body.as_ptr() as usize, body.len()));
    let meta = Meta { container: "MAIL", names, packed: Some(body.len() as u64), piece, source, ..Meta::default() };
    warn(fields, source, sink);
    if body.trim_ascii().is_empty() {
        if !meta.names.is_empty() {
            sink.listed(&meta);
        }
        return;
    }
    let e = encodings(fields);
    let mail = is_multipart(fields) || types(fields).iter().any(|t| t.starts_with(b"message/"));
    let meta = Meta { mail: mail && (e.base64 || e.quoted), ..meta };
    if e.base64 || base64::looks_encoded(body) {
        decode64(&meta, body, sink);
    }
    if e.quoted || (e.other && memchr::memchr(b'=', body).is_some()) {
        sink.decode(&meta, &mut qp::Decoder::new(body));
    }
    if !(e.base64 || e.quoted) || e.identity || e.other || (e.base64 && !mostly_digits(body)) {
        sink.member(&Meta { mail: false, flat: true, ..meta }, body);
    }
}

fn decode64(meta: &Meta, body: &[u8], sink: &mut dyn Sink) {
    sink.decode(meta, &mut base64::Decoder::new(body, Mode::Lenient));
    if base64::is_clean(body) {
        return;
    }
    for mode in [Mode::Strict, Mode::Unaligned] {
        if !sink.done() {
            sink.decode(meta, &mut base64::Decoder::new(body, mode));
        }
    }
}

/// Whether a body that is called base64 is nothing else.
fn mostly_digits(body: &[u8]) -> bool {
    let head = body.get(..2000).unwrap_or(body);
    let digits = head.iter().filter(|c| base64::is_digit(**c) || matches!(c, b'=' | b'\r' | b'\n')).count();
    digits * 10 >= head.len() * 9
}
