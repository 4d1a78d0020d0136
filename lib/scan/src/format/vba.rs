//! VBA source: decompressed, and what in it runs by itself.
//!
//! Standards   MS-OVBA 2.4.1 (compression)
//! Limits      a chunk gives 4096 octets; at most 4 MiB a module

use crate::sink::{Class, Meta, Sink};

const MAX: usize = 4 << 20;
/// Procedures that Office runs without being asked.
const AUTO: &[&str] = &[
    "autoopen",
    "autoexec",
    "autoexit",
    "autoclose",
    "autonew",
    "auto_open",
    "auto_close",
    "document_open",
    "document_close",
    "document_new",
    "documentopen",
    "workbook_open",
    "workbook_activate",
    "workbook_beforeclose",
    "workbook_close",
];
/// Things that a macro which runs by itself does when it means harm.
const DOES: &[&str] = &[
    "shell",
    "createobject",
    "urldownloadtofile",
    "powershell",
    "wscript",
    "getobject",
    "winmgmts",
    "environ",
    "adodb.stream",
    "xmlhttp",
    "declare ",
    "callbyname",
    "shellexecute",
    "open ",
];

/// Reads the compressed source whose first `Attribute` line is marked at `at`.
pub fn read(data: &[u8], at: usize, sink: &mut dyn Sink) {
    let Some(packed) = at.checked_sub(3).and_then(|s| data.get(s..)).filter(|d| d.first() == Some(&1)) else { return };
    let source = decompress(packed);
    if source.is_empty() {
        return;
    }
    judge(&source, sink);
    sink.member(&Meta { piece: true, ..Meta::named("OLE2", "macro source") }, &source);
}

fn judge(source: &[u8], sink: &mut dyn Sink) {
    let text = String::from_utf8_lossy(source).to_ascii_lowercase();
    sink.class(Class::Macro, "VBA source");
    let auto = AUTO.iter().find(|name| text.contains(&format!("sub {name}")));
    let does = DOES.iter().find(|word| text.contains(*word));
    if let (Some(auto), Some(does)) = (auto, does) {
        sink.class(Class::AutoMacro, &format!("{auto} with {}", does.trim()));
    }
}

/// Decompresses a container.
pub fn decompress(data: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut at = 1;
    while let Some(head) = data.get(at..at + 2).and_then(|h| h.first_chunk::<2>()) {
        let head = u16::from_le_bytes(*head);
        let size = usize::from(head & 0x0fff) + 3;
        if head >> 12 & 7 != 3 || out.len() > MAX {
            break;
        }
        let rest = data.get(at + 2..).unwrap_or_default();
        let body = rest.get(..size - 2).unwrap_or(rest);
        if head & 0x8000 == 0 {
            out.extend_from_slice(body);
        } else {
            chunk(body, &mut out);
        }
        at += size;
    }
    out
}

fn chunk(body: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    let mut at = 0;
    while let Some(&flags) = body.get(at) {
        at += 1;
        for bit in 0..8 {
            if flags & (1 << bit) == 0 {
                let Some(&b) = body.get(at) else { return };
                out.push(b);
                at += 1;
                continue;
            }
            let Some(token) = body.get(at..at + 2).and_then(|t| t.first_chunk::<2>()) else { return };
            at += 2;
            let token = usize::from(u16::from_le_bytes(*token));
            let done = out.len() - start;
            let bits = (usize::BITS - done.saturating_sub(1).leading_zeros()).clamp(4, 12);
            let (len, offset) = ((token & (0xffff >> bits)) + 3, (token >> (16 - bits)) + 1);
            if offset > done || done + len > 8192 {
                return;
            }
            for _ in 0..len {
                let b = out.get(out.len() - offset).copied().unwrap_or(0);
                out.push(b);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_normal_compression_example() {
        // MS-OVBA 3.2.2
        let packed = [
            0x01, 0x2f, 0xb0, 0x00, 0x23, 0x61, 0x61, 0x61, 0x62, 0x63, 0x64, 0x65, 0x82, 0x66, 0x00, 0x70, 0x61, 0x67,
            0x68, 0x69, 0x6a, 0x01, 0x38, 0x08, 0x61, 0x6b, 0x6c, 0x00, 0x30, 0x6d, 0x6e, 0x6f, 0x70, 0x06, 0x71, 0x02,
            0x70, 0x04, 0x10, 0x72, 0x73, 0x74, 0x75, 0x76, 0x10, 0x77, 0x78, 0x79, 0x7a, 0x00, 0x3c,
        ];
        assert_eq!(decompress(&packed), b"#aaabcdefaaaaghijaaaaaklaaamnopqaaaaaaaaaaaarstuvwxyzaaa");
    }

    #[test]
    fn noise_ends() {
        let noise: Vec<u8> = (0..20_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 9) as u8 | 0x30).collect();
        decompress(&noise);
    }
}
