//! SZDD, the compression of Microsoft's COMPRESS.EXE.
//!
//! Standards   public notes: `SZDD\x88\xf0\x27\x33A`, missing character, u32 size, LZSS with a window of 4096 from 4080

use crate::sink::{Meta, Sink};

/// Unpacks the file.
pub fn read(data: &[u8], sink: &mut dyn Sink) {
    let Some(size) = data.get(10..14).and_then(|b| b.first_chunk::<4>()) else { return };
    let size = (u32::from_le_bytes(*size) as usize).min(64 << 20);
    let plain = decode(data.get(14..).unwrap_or_default(), size);
    sink.member(&Meta::plain("SZDD"), &plain);
}

fn decode(data: &[u8], size: usize) -> Vec<u8> {
    let mut window = [b' '; 4096];
    let mut at = 4080;
    let mut out = Vec::new();
    let mut input = data.iter().copied();
    let mut put = |b: u8, out: &mut Vec<u8>, window: &mut [u8; 4096]| {
        window[at & 4095] = b;
        at += 1;
        out.push(b);
    };
    while out.len() < size {
        let Some(flags) = input.next() else { break };
        for bit in 0..8 {
            if flags & (1 << bit) != 0 {
                let Some(b) = input.next() else { return out };
                put(b, &mut out, &mut window);
                continue;
            }
            let (Some(low), Some(high)) = (input.next(), input.next()) else { return out };
            let from = usize::from(low) | usize::from(high & 0xf0) << 4;
            for n in 0..usize::from(high & 0x0f) + 3 {
                let b = window[(from + n) & 4095];
                put(b, &mut out, &mut window);
            }
        }
    }
    out.truncate(size);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_and_copies() {
        // "abc", then five octets from 4080: "abcab"
        assert_eq!(decode(&[0x07, b'a', b'b', b'c', 0xf0, 0xf2], 8), b"abcabcab");
    }
}
