//! Modified UTF-7, the encoding of mailbox names on the wire and on disk.
//!
//! Standards   RFC 3501 5.1.3
//! Invariants  decode accepts exactly what encode writes: `encode(decode(x)) == x`
//! Trust       input hostile

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

/// Encodes a Unicode name.
pub fn encode(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut wide: Vec<u16> = Vec::new();
    for c in name.chars() {
        if (' '..='~').contains(&c) {
            flush(&mut wide, &mut out);
            out.push(c);
            if c == '&' {
                out.push('-');
            }
        } else {
            let mut units = [0u16; 2];
            wide.extend_from_slice(c.encode_utf16(&mut units));
        }
    }
    flush(&mut wide, &mut out);
    out
}

/// Writes the collected UTF-16 units as one `&...-` group.
fn flush(wide: &mut Vec<u16>, out: &mut String) {
    if wide.is_empty() {
        return;
    }
    out.push('&');
    let (mut bits, mut have) = (0u32, 0u32);
    for unit in wide.drain(..) {
        bits = bits << 16 | u32::from(unit);
        have += 16;
        while have >= 6 {
            have -= 6;
            push_sextet(out, bits >> have);
        }
        bits &= (1 << have) - 1;
    }
    if have > 0 {
        push_sextet(out, bits << (6 - have));
    }
    out.push('-');
}

fn push_sextet(out: &mut String, value: u32) {
    let index = (value & 63) as usize;
    out.push(char::from(ALPHABET.get(index).copied().unwrap_or(b'A')));
}

/// Decodes a name; `None` if it is not valid modified UTF-7 in its one canonical form.
pub fn decode(name: &str) -> Option<String> {
    let decoded = decode_loose(name)?;
    // One form only (RFC 3501 5.1.3: no superfluous shifts, no encoded printable ASCII, no stray bits): re-encoding decides.
    (encode(&decoded) == name).then_some(decoded)
}

fn decode_loose(name: &str) -> Option<String> {
    let mut out = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(i) = rest.find('&') {
        let (plain, group) = rest.split_at(i);
        out.push_str(plain);
        let group = group.get(1..)?;
        let end = group.find('-')?;
        match group.get(..end)? {
            "" => out.push('&'),
            coded => out.push_str(&decode_group(coded)?),
        }
        rest = group.get(end + 1..)?;
    }
    out.push_str(rest);
    Some(out)
}

fn decode_group(coded: &str) -> Option<String> {
    let (mut bits, mut have) = (0u32, 0u32);
    let mut units = Vec::new();
    for c in coded.bytes() {
        let value = ALPHABET.iter().position(|a| *a == c)? as u32;
        bits = bits << 6 | value;
        have += 6;
        if have >= 16 {
            have -= 16;
            units.push((bits >> have) as u16);
            bits &= (1 << have) - 1;
        }
    }
    String::from_utf16(&units).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_pairs() {
        for (utf8, coded) in [
            // RFC 3501 5.1.3 example
            ("~peter/mail/台北/日本語", "~peter/mail/&U,BTFw-/&ZeVnLIqe-"),
            ("Dòk à & vu", "D&API-k &AOA- &- vu"),
            ("Entwürfe", "Entw&APw-rfe"),
            ("😀", "&2D3eAA-"),
            ("plain", "plain"),
            ("a\u{7f}b", "a&AH8-b"),
        ] {
            assert_eq!(encode(utf8), coded);
            assert_eq!(decode(coded).as_deref(), Some(utf8));
        }
    }

    #[test]
    fn other_forms_are_refused() {
        for bad in ["&", "&AGE-", "&U,BT-&Fw-", "&U,BTF-", "&2D0-", "&!!-", "&APw", "ü", "&AP\u{fc}-"] {
            assert_eq!(decode(bad), None, "{bad}");
        }
    }

    #[test]
    fn round_trip_of_many() {
        let mut seed = 12345u32;
        for _ in 0..2000 {
            let mut s = String::new();
            for _ in 0..8 {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let pick = seed >> 8;
                let c = if pick & 1 == 0 { pick % 0x7f } else { pick % 0x11_0000 };
                s.extend(char::from_u32(c));
            }
            assert_eq!(decode(&encode(&s)).as_deref(), Some(s.as_str()));
        }
    }
}
