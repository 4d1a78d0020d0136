//! TNEF (winmail.dat): attachments inside one opaque part.
//!
//! Standards   MS-OXTNEF: signature, key, then attributes: level, id, length, data, checksum
//! Not here    the MAPI properties are searched for embedded formats by the walker's markers

use super::params;
use crate::sink::{Meta, Sink, Trouble};

const ATTACH_TITLE: u32 = 0x0001_8010;
const ATTACH_DATA: u32 = 0x0006_800f;
const ATTACH_PROPS: u32 = 0x0006_9005;
const MESSAGE_PROPS: u32 = 0x0006_9003;

/// Reads attributes from the signature at the start of `data`.
pub fn read(data: &[u8], sink: &mut dyn Sink) {
    let mut at = 6;
    let mut pending: Option<&[u8]> = None;
    let mut title = String::new();
    while let Some((id, body, next)) = attribute(data, at) {
        if sink.done() {
            return;
        }
        match id {
            ATTACH_DATA => pending = Some(body),
            ATTACH_TITLE => title = params::text(body.split(|c| *c == 0).next().unwrap_or_default()),
            ATTACH_PROPS | MESSAGE_PROPS => properties(body, &title, sink),
            _ => {}
        }
        // the title may stand behind the data, and ends with its attachment
        if id == ATTACH_TITLE || id == ATTACH_PROPS {
            flush(&mut pending, &title, sink);
        }
        at = next;
    }
    flush(&mut pending, &title, sink);
    if at < data.len() && data.len() - at > 16 {
        sink.trouble(Trouble::Damaged, "TNEF attributes do not add up");
    }
}

fn flush(pending: &mut Option<&[u8]>, title: &str, sink: &mut dyn Sink) {
    if let Some(body) = pending.take() {
        sink.member(&Meta::named("TNEF", title), body);
    }
}

fn attribute(data: &[u8], at: usize) -> Option<(u32, &[u8], usize)> {
    let head = data.get(at..at + 9)?;
    let id = u32::from_le_bytes(head.get(1..5)?.try_into().ok()?);
    let len = u32::from_le_bytes(head.get(5..9)?.try_into().ok()?) as usize;
    let body = data.get(at + 9..)?;
    // a length beyond the end: what is there is still looked at
    let taken = body.get(..len).unwrap_or(body);
    matches!(head.first(), Some(1 | 2)).then_some((id, taken, (at + 9).saturating_add(len).saturating_add(2)))
}

/// Binary and object properties (0x0102, 0x000d), wherever their length fits: attached messages and files.
fn properties(body: &[u8], title: &str, sink: &mut dyn Sink) {
    for tag in [[0x02, 0x01, 0x01, 0x37], [0x0d, 0x00, 0x01, 0x37]] {
        for at in memchr::memmem::find_iter(body, &tag).take(100) {
            let Some(found) = property(body, at) else { continue };
            // an object begins with the identifier of its interface
            let found = if tag[0] == 0x0d { found.get(16..).unwrap_or(found) } else { found };
            sink.member(&Meta::named("TNEF", title), found);
        }
    }
}

fn property(body: &[u8], at: usize) -> Option<&[u8]> {
    let rest = body.get(at + 4..)?;
    let len = u32::from_le_bytes(rest.get(4..8)?.try_into().ok()?) as usize;
    rest.get(8..8usize.checked_add(len)?).filter(|d| !d.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::Collect;

    fn put(out: &mut Vec<u8>, id: u32, body: &[u8]) {
        out.push(2);
        out.extend(id.to_le_bytes());
        out.extend((body.len() as u32).to_le_bytes());
        out.extend(body);
        out.extend(body.iter().fold(0u16, |s, b| s.wrapping_add(u16::from(*b))).to_le_bytes());
    }

    #[test]
    fn attachments_with_names() {
        let mut t = b"\x78\x9f\x3e\x22\x01\x00".to_vec();
        put(&mut t, ATTACH_DATA, b"first");
        put(&mut t, ATTACH_TITLE, b"one.txt\0");
        put(&mut t, ATTACH_DATA, b"second");
        let mut c = Collect::default();
        read(&t, &mut c);
        assert_eq!(c.members[0], ("one.txt".to_owned(), b"first".to_vec()));
        assert!(c.has(b"second"));
    }

    #[test]
    fn a_wrong_length_still_gives_the_rest() {
        let mut t = b"\x78\x9f\x3e\x22\x01\x00\x02".to_vec();
        t.extend(ATTACH_DATA.to_le_bytes());
        t.extend(0xffff_0000u32.to_le_bytes());
        t.extend(b"payload");
        let mut c = Collect::default();
        read(&t, &mut c);
        assert!(c.has(b"payload"));
    }
}
