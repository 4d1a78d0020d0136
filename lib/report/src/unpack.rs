//! From a file to the text of a report: plain, gzip, or zip.
//!
//! Standards   RFC 1952 (gzip), APPNOTE 4.3 (zip; stored and deflate)
//! Invariants  the result is at most `TEXT_MAX` octets, whatever the file claims

use flate2::read::{DeflateDecoder, MultiGzDecoder};
use std::io::Read;

/// Largest report we unpack.
const TEXT_MAX: u64 = 64 << 20;
/// Length of a local header of a zip file without name and extra field.
const ZIP_LOCAL: usize = 30;

/// What a text seems to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// XML: a DMARC aggregate report.
    Aggregate,
    /// JSON: a TLS report.
    Tls,
}

/// Why there is no text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// The compressed data is broken, or too large.
    Broken,
    /// Neither XML nor JSON.
    Unknown,
}

/// The text and its kind.
pub fn unpack(bytes: &[u8]) -> Result<(Kind, String), Lost> {
    let text = match bytes {
        [0x1f, 0x8b, ..] => bounded(MultiGzDecoder::new(bytes))?,
        [b'P', b'K', 3, 4, ..] => zip(bytes)?,
        _ => bytes.to_vec(),
    };
    let text = String::from_utf8_lossy(&text).into_owned();
    match text.trim_start_matches('\u{feff}').trim_start().chars().next() {
        Some('<') => Ok((Kind::Aggregate, text)),
        Some('{') => Ok((Kind::Tls, text)),
        _ => Err(Lost::Unknown),
    }
}

/// The gzip form of a report, as it is attached to a mail (RFC 9990 3.5).
pub fn pack(text: &str) -> std::io::Result<Vec<u8>> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::Write::write_all(&mut packer, text.as_bytes())?;
    packer.finish()
}

fn bounded(reader: impl Read) -> Result<Vec<u8>, Lost> {
    let mut out = Vec::new();
    let read = reader.take(TEXT_MAX + 1).read_to_end(&mut out).map_err(|_| Lost::Broken)?;
    if read as u64 > TEXT_MAX { Err(Lost::Broken) } else { Ok(out) }
}

/// The first file of an archive: reports hold one.
fn zip(bytes: &[u8]) -> Result<Vec<u8>, Lost> {
    let number = |at: usize, len: usize| -> Result<usize, Lost> {
        let part = bytes.get(at..at + len).ok_or(Lost::Broken)?;
        Ok(part.iter().rev().fold(0, |n, b| n << 8 | usize::from(*b)))
    };
    let start = ZIP_LOCAL + number(26, 2)? + number(28, 2)?;
    let data = bytes.get(start..).ok_or(Lost::Broken)?;
    match number(8, 2)? {
        0 => Ok(data.get(..number(18, 4)?).ok_or(Lost::Broken)?.to_vec()),
        8 => bounded(DeflateDecoder::new(data)), // ends by itself, so sizes in a trailer don't matter
        _ => Err(Lost::Broken),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder};
    use std::io::Write;

    fn zipped(method: u8, data: &[u8]) -> Vec<u8> {
        let mut file = b"PK\x03\x04\x14\0\0\0".to_vec();
        file.extend_from_slice(&[method, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        file.extend_from_slice(&(data.len() as u32).to_le_bytes());
        file.extend_from_slice(&[0; 4]);
        file.extend_from_slice(&[1, 0, 0, 0, b'x']);
        file.extend_from_slice(data);
        file.extend_from_slice(b"PK\x01\x02rest");
        file
    }

    #[test]
    fn all_packings() {
        let text = b"<a/>";
        let mut gz = GzEncoder::new(Vec::new(), Compression::fast());
        gz.write_all(text).unwrap();
        let mut deflate = DeflateEncoder::new(Vec::new(), Compression::fast());
        deflate.write_all(text).unwrap();
        for file in [text.to_vec(), gz.finish().unwrap(), zipped(0, text), zipped(8, &deflate.finish().unwrap())] {
            assert_eq!(unpack(&file), Ok((Kind::Aggregate, "<a/>".into())));
        }
        assert_eq!(unpack(b"{}"), Ok((Kind::Tls, "{}".into())));
    }

    #[test]
    fn bombs_and_rubbish() {
        let mut gz = GzEncoder::new(Vec::new(), Compression::best());
        let zeros = vec![b' '; 1 << 20];
        for _ in 0..70 {
            gz.write_all(&zeros).unwrap();
        }
        assert_eq!(unpack(&gz.finish().unwrap()), Err(Lost::Broken));
        for bad in [
            b"".as_slice(),
            b"hello",
            b"\x1f\x8bxx",
            b"PK\x03\x04",
            b"PK\x03\x04\x14\0\0\0\x63\0aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        ] {
            assert!(unpack(bad).is_err(), "{bad:?}");
        }
    }
}
