//! HTML, SVG, XML and script: data: URIs, and files that a script builds from its own text.
//!
//! Standards   RFC 2397; what browsers run, by example
//! Forms       `base64,...`; quoted base64 and hexadecimal, joined over `+`; arrays of octet values; `\x4d` and `%4d`
//! Limits      4096 pieces of text an object, or one for 512 octets of it; shorter than 24 characters is no file

use crate::mime::base64;
use crate::sink::{Meta, Sink, Trouble};

const PIECES_MAX: usize = 4096;
const SHORT: usize = 24;
/// A chain of joined literals longer than this is not looked at from its middle.
const LONG_MAX: usize = 1 << 16;

/// Decodes what stands behind `base64,` at `at`.
pub fn data_uri(data: &[u8], at: usize, sink: &mut dyn Sink) {
    let rest = data.get(at + 7..).unwrap_or_default();
    let len =
        rest.iter().take_while(|c| base64::is_digit(**c) || c.is_ascii_whitespace() || b"=%-_\\".contains(c)).count();
    let run = rest.get(..len).unwrap_or_default();
    if run.len() >= SHORT {
        encoded(run, sink);
    }
}

/// Decodes base64 that may be percent-encoded or of the URL alphabet.
fn encoded(run: &[u8], sink: &mut dyn Sink) {
    let meta = Meta { guess: true, piece: true, packed: Some(run.len() as u64), ..Meta::plain("HTML") };
    if run.iter().any(|c| matches!(c, b'%' | b'-' | b'_')) {
        let plain: Vec<u8> = percent(run)
            .iter()
            .map(|c| match c {
                b'-' => b'+',
                b'_' => b'/',
                c => *c,
            })
            .collect();
        sink.decode(&meta, &mut base64::Decoder::new(&plain, base64::Mode::Lenient));
    } else {
        sink.decode(&meta, &mut base64::Decoder::new(run, base64::Mode::Lenient));
    }
}

/// Hands over what the literals of a script decode to; gives how many octets that were.
pub fn literals(data: &[u8], sink: &mut dyn Sink) -> usize {
    let mut at = 0;
    let (mut pieces, mut total) = (0, 0);
    let pieces_max = PIECES_MAX.max(data.len() / 512);
    while let Some(n) = data.get(at..).and_then(|d| d.iter().position(|c| matches!(c, b'"' | b'\'' | b'`' | b'['))) {
        let start = at + n;
        let (text, end) = if data.get(start) == Some(&b'[') { array(data, start) } else { joined(data, start) };
        // text that is no code may be a quote taken for the wrong one: begin again behind it
        let coded = text.len() >= SHORT && looks_coded(&text, data.get(start) == Some(&b'['));
        at = if coded || end - start > LONG_MAX { end } else { start + 1 };
        if !coded {
            continue;
        }
        pieces += 1;
        if pieces > pieces_max {
            sink.trouble(Trouble::Limit, "too many literals in a script");
            break;
        }
        if sink.done() {
            break;
        }
        total += one(&text, data.get(start) == Some(&b'['), sink);
    }
    total
}

/// Whether a literal can be data: no blanks but at line ends, or escapes all over.
fn looks_coded(text: &[u8], octets: bool) -> bool {
    let escaped = || text.iter().filter(|c| matches!(c, b'\\' | b'%')).count() * 8 > text.len();
    octets || text.iter().all(|c| base64::is_digit(*c) || c.is_ascii_whitespace() || b"=-_".contains(c)) || escaped()
}

fn one(text: &[u8], octets: bool, sink: &mut dyn Sink) -> usize {
    let meta = Meta { guess: true, piece: true, packed: Some(text.len() as u64), ..Meta::plain("HTML") };
    if octets {
        sink.member(&meta, text);
        return text.len();
    }
    if text.iter().all(u8::is_ascii_hexdigit) && text.len().is_multiple_of(2) {
        sink.member(&meta, &super::pdf_filter::hex(text));
        return text.len() / 2;
    }
    if text.iter().all(|c| base64::is_digit(*c) || c.is_ascii_whitespace() || b"=-_".contains(c)) {
        encoded(text, sink);
        return text.len() / 4 * 3;
    }
    let escaped = text.iter().filter(|c| matches!(c, b'\\' | b'%')).count();
    if escaped * 8 > text.len() {
        let plain = percent(&unescape(text));
        sink.member(&meta, &plain);
        return plain.len();
    }
    0
}

/// The literal at `start` and those joined to it by `+`.
fn joined(data: &[u8], start: usize) -> (Vec<u8>, usize) {
    let mut text = Vec::new();
    let mut at = start;
    while let Some(&quote) = data.get(at).filter(|c| matches!(c, b'"' | b'\'' | b'`')) {
        let rest = data.get(at + 1..).unwrap_or_default();
        let Some(len) = rest.iter().position(|c| *c == quote || (*c == b'\n' && quote != b'`')) else {
            return (text, at + 1);
        };
        text.extend_from_slice(rest.get(..len).unwrap_or_default());
        at += len + 2;
        let between = data.get(at..).unwrap_or_default();
        let skip = between.iter().take_while(|c| c.is_ascii_whitespace() || matches!(c, b'+' | b'\\')).count();
        if !between.get(..skip).unwrap_or_default().contains(&b'+') {
            break;
        }
        at += skip;
    }
    (text, at)
}

/// An array of numbers from 0 to 255, decimal or hexadecimal.
fn array(data: &[u8], start: usize) -> (Vec<u8>, usize) {
    let mut out = Vec::new();
    let mut at = start + 1;
    loop {
        let rest = data.get(at..).unwrap_or_default();
        let skip = rest.iter().take_while(|c| c.is_ascii_whitespace() || **c == b',').count();
        let rest = rest.get(skip..).unwrap_or_default();
        let len = rest.iter().take_while(|c| c.is_ascii_alphanumeric()).count().min(8);
        let word = std::str::from_utf8(rest.get(..len).unwrap_or_default()).unwrap_or_default();
        let number = match word.strip_prefix("0x").or_else(|| word.strip_prefix("0X")) {
            Some(hex) => u8::from_str_radix(hex, 16).ok(),
            None => word.parse().ok(),
        };
        match number {
            Some(n) => out.push(n),
            // not an array of octets: what is inside may still hold literals
            None if rest.first() != Some(&b']') => return (Vec::new(), start + 1),
            None => return (out, at + skip + 1),
        }
        at += skip + len;
    }
}

fn unescape(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(&c) = text.get(at) {
        let code = |from: usize, len: usize| {
            text.get(from..from + len)
                .and_then(|h| std::str::from_utf8(h).ok())
                .and_then(|h| u32::from_str_radix(h, 16).ok())
        };
        let (value, len) = match (c, text.get(at + 1)) {
            (b'\\', Some(b'x')) => (code(at + 2, 2), 4),
            (b'\\', Some(b'u')) => (code(at + 2, 4), 6),
            _ => (None, 1),
        };
        match value {
            Some(v) => {
                out.push(v as u8);
                at += len;
            }
            None => {
                out.push(c);
                at += 1;
            }
        }
    }
    out
}

fn percent(text: &[u8]) -> Vec<u8> {
    super::hex_escapes(text, b'%')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::Collect;

    const PLAIN: &[u8] = b"an encoded file of some length";
    const CODED: &str = "YW4gZW5jb2RlZCBmaWxlIG9mIHNvbWUgbGVuZ3Ro";

    fn all(script: &str) -> Collect {
        let mut c = Collect::default();
        literals(script.as_bytes(), &mut c);
        c
    }

    #[test]
    fn literals_of_every_form() {
        let bytes: Vec<String> = PLAIN.iter().map(u8::to_string).collect();
        let hex: String = PLAIN.iter().map(|b| format!("{b:02x}")).collect();
        let escapes: String = PLAIN.iter().map(|b| format!("\\x{b:02x}")).collect();
        let percents: String = PLAIN.iter().map(|b| format!("%{b:02x}")).collect();
        let (a, b) = CODED.split_at(11);
        for script in [
            format!("atob('{CODED}')"),
            format!("x = \"{a}\" +\n  '{b}';"),
            format!("new Uint8Array([{}])", bytes.join(", ")),
            format!("h(`{hex}`)"),
            format!("'{escapes}'"),
            format!("unescape('{percents}')"),
        ] {
            assert!(all(&script).has(PLAIN), "{script}");
        }
    }

    #[test]
    fn data_uris() {
        let text = format!("<a href=\"data:text/plain;base64,{CODED}\">");
        let at = text.find("base64,").unwrap();
        let mut c = Collect::default();
        data_uri(text.as_bytes(), at, &mut c);
        assert!(c.has(PLAIN));
    }

    #[test]
    fn prose_gives_nothing() {
        assert!(all("he said \"this is a long sentence, is it not?\" and [1, 2, three]").members.is_empty());
    }
}
