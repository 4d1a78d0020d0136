//! RTF: embedded objects and binary runs.
//!
//! Standards   RTF 1.9.1 `\objdata`, `\bin`; MS-OLEDS 2.2.4 (ObjectHeader), 2.2.5 (EmbeddedObject)
//! Leniency    digits may be broken by groups, control words, line ends and anything else; Word reads them so

use super::ole;
use crate::sink::{Class, Meta, Sink};

const MAX: usize = 64 << 20;

/// Reads the object whose `\objdata` is at `at`.
pub fn object(data: &[u8], at: usize, sink: &mut dyn Sink) {
    let plain = digits(data.get(at + 8..).unwrap_or_default());
    if plain.len() < 8 {
        return;
    }
    sink.class(Class::Active, "an object in RTF");
    if let Some((class, body)) = embedded(&plain) {
        if let Some((names, start, size)) =
            ole::native_head(&with_size(body)).filter(|_| class.eq_ignore_ascii_case("package"))
        {
            // the copy in `with_size` is four octets longer in front
            let inner = start.checked_sub(4).and_then(|s| body.get(s..)).unwrap_or_default();
            let size = usize::try_from(size).unwrap_or(usize::MAX);
            sink.member(&Meta { names, ..Meta::plain("RTF") }, inner.get(..size).unwrap_or(inner));
        }
        sink.member(&Meta::named("RTF", class), body);
    }
    sink.member(&Meta { piece: true, ..Meta::plain("RTF") }, &plain);
}

fn with_size(body: &[u8]) -> Vec<u8> {
    let head = body.get(..4096).unwrap_or(body);
    [&[0; 4], head].concat()
}

/// Class and native data of an OLE 1 object.
fn embedded(d: &[u8]) -> Option<(String, &[u8])> {
    let number = |at: usize| Some(u32::from_le_bytes(d.get(at..at.checked_add(4)?)?.try_into().ok()?) as usize);
    matches!(number(4)?, 2).then_some(())?;
    let len = number(8)?;
    let class = d.get(12..12usize.checked_add(len)?)?;
    let mut at = 12 + len;
    for _ in 0..2 {
        at = at.checked_add(4)?.checked_add(number(at)?)?;
    }
    let size = number(at)?;
    let rest = d.get(at + 4..)?;
    let class = crate::mime::params::text(class.split(|c| *c == 0).next()?);
    Some((class, rest.get(..size).unwrap_or(rest)))
}

/// Hexadecimal digits up to the end of the group, everything else skipped.
fn digits(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let (mut depth, mut half) = (0i32, None);
    let mut at = 0;
    while let Some(&c) = text.get(at) {
        at += 1;
        match c {
            b'{' => depth += 1,
            b'}' if depth == 0 => break,
            b'}' => depth -= 1,
            b'\\' => at += control(text, at, &mut out),
            _ => {
                if let Some(d) = char::from(c).to_digit(16) {
                    match half.take() {
                        None => half = Some(d),
                        Some(h) => out.push((h << 4 | d) as u8),
                    }
                }
            }
        }
        if out.len() > MAX {
            break;
        }
    }
    out
}

/// Length of a control word behind its backslash; the octets of `\bin` are taken as they are.
fn control(text: &[u8], at: usize, out: &mut Vec<u8>) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    if rest.starts_with(b"'") {
        return 3;
    }
    let word = rest.iter().take_while(|c| c.is_ascii_alphabetic()).count();
    let number = rest.iter().skip(word).take(12).take_while(|c| c.is_ascii_digit() || **c == b'-').count();
    let mut len = (word + number).max(1);
    if rest.get(..word) == Some(b"bin") {
        let count =
            rest.get(word..word + number).and_then(|n| std::str::from_utf8(n).ok()).and_then(|n| n.parse().ok());
        len += 1;
        if let Some(bytes) = count.and_then(|n: usize| rest.get(len..len.checked_add(n)?)) {
            out.extend_from_slice(bytes);
            len += bytes.len();
        }
    }
    len
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::Collect;

    #[test]
    fn broken_digits() {
        assert_eq!(digits(b" 41{\\*\\x 42}4\r\n3\\bin2 }z44}45"), b"AB\x43}zD");
    }

    #[test]
    fn an_embedded_object() {
        let mut o = vec![1, 5, 0, 0, 2, 0, 0, 0, 8, 0, 0, 0];
        o.extend(b"Word.x\0\0");
        o.extend([0; 8]);
        o.extend(4u32.to_le_bytes());
        o.extend(b"DATA");
        let hex: String = o.iter().map(|b| format!("{b:02x}")).collect();
        let text = format!("{{\\rtf1{{\\object{{\\*\\objdata {hex}}}}}}}");
        let at = text.find("\\objdata").unwrap();
        let mut c = Collect::default();
        object(text.as_bytes(), at, &mut c);
        assert!(c.has(b"DATA"), "{:?}", c.members);
    }
}
