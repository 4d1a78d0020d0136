//! Compressors of one stream: gzip, zlib, bzip2, xz, lzma, lzip, zstd, compress.
//!
//! Standards   RFC 1952, RFC 1950, the xz and lzma file formats, lzip 1.x, RFC 8878; checksums are not required to hold
//! Leniency    several members follow each other and are one content; what stands behind the last is a member of its own

use super::lzw::Lzw;
use crate::kind::Kind;
use crate::sink::{Decoded, Meta, Sink, Trouble};
use flate2::bufread::{DeflateDecoder, ZlibDecoder};
use std::io::{self, Read};

/// Largest dictionary of an LZMA-like stream we make room for.
pub const DICTIONARY_MAX: u32 = 64 << 20;

/// Opens a stream; on a guess nothing is said when it does not decode.
pub fn read(kind: Kind, data: &[u8], guess: bool, sink: &mut dyn Sink) {
    let meta = Meta { packed: Some(data.len() as u64), guess, ..Meta::plain(container(kind)) };
    let mut tail: &[u8] = &[];
    let decoded = match kind {
        Kind::Gzip => return gzip(data, guess, sink),
        Kind::Zlib => {
            let mut z = ZlibDecoder::new(data);
            let d = sink.decode(&Meta { guess: true, ..meta }, &mut z);
            tail = if d.failed { &[] } else { z.into_inner() };
            Decoded { failed: false, ..d } // two octets are a weak magic
        }
        _ if dictionary(kind, data) > DICTIONARY_MAX => return too_large(guess, sink),
        _ => {
            let Some(mut r) = decoder(kind, data) else { return };
            let weak = kind == Kind::Lzma;
            let d = sink.decode(&Meta { guess: guess || weak, ..meta }, &mut r);
            Decoded { failed: d.failed && !weak, ..d } // most data with LZMA's magic are not LZMA at all
        }
    };
    if decoded.failed && !guess {
        sink.trouble(Trouble::Damaged, "a compressed stream that does not decode to its end");
    }
    rest(tail, sink);
}

/// Boxed and never inlined: see zip.rs.
#[inline(never)]
fn decoder<'a>(kind: Kind, data: &'a [u8]) -> Option<Box<dyn Read + 'a>> {
    Some(match kind {
        Kind::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(data)),
        Kind::Xz => Box::new(lzma_rust2::XzReader::new(data, true)),
        Kind::Lzip => Box::new(lzma_rust2::LzipReader::new(data)),
        Kind::Lzma => Box::new(lzma_rust2::LzmaReader::new_mem_limit(data, DICTIONARY_MAX >> 9, None).ok()?),
        Kind::Zstd => Box::new(Zstd::new(data)),
        Kind::Compress => Box::new(Lzw::compress(data)?),
        _ => return None,
    })
}

/// What the stream's header asks for.
fn dictionary(kind: Kind, data: &[u8]) -> u32 {
    match kind {
        Kind::Xz => xz_dictionary(data).unwrap_or(0),
        Kind::Lzip => data.get(5).map_or(0, |d| 1u32.checked_shl(u32::from(d & 31)).unwrap_or(u32::MAX)),
        _ => 0,
    }
}

fn container(kind: Kind) -> &'static str {
    match kind {
        Kind::Bzip2 => "BZIP2",
        Kind::Xz => "XZ",
        Kind::Lzma => "LZMA",
        Kind::Lzip => "LZIP",
        Kind::Zstd => "ZSTD",
        Kind::Compress => "COMPRESS",
        _ => "ZLIB",
    }
}

fn too_large(guess: bool, sink: &mut dyn Sink) {
    if !guess {
        sink.trouble(Trouble::Limit, "a dictionary larger than we make room for");
    }
}

/// What follows a complete stream.
fn rest(tail: &[u8], sink: &mut dyn Sink) {
    if tail.len() > 4 && tail.iter().any(|b| *b != 0) && !sink.done() {
        sink.member(&Meta::plain("ZLIB"), tail);
    }
}

/// Dictionary of the first LZMA2 filter (xz file format 3.1.5, 5.3.1).
pub(super) fn xz_dictionary(data: &[u8]) -> Option<u32> {
    let block = data.get(12..)?;
    let len = (usize::from(*block.first()?) + 1) * 4;
    let header = block.get(..len.min(block.len()))?;
    let at = header.windows(2).position(|w| w == [0x21, 0x01])?;
    let bits = u32::from(*header.get(at + 2)?);
    Some(if bits >= 40 { u32::MAX } else { (2 | (bits & 1)) << (bits / 2 + 11) })
}

fn gzip(data: &[u8], guess: bool, sink: &mut dyn Sink) {
    let Some(head) = gzip_header(data) else {
        if !guess {
            sink.trouble(Trouble::Damaged, "a gzip header that does not parse");
        }
        return;
    };
    let names = head.1.map(crate::mime::params::text).into_iter().collect();
    let meta = Meta { container: "GZ", names, packed: Some(data.len() as u64), guess, ..Meta::default() };
    let mut r = Gunzip { inner: Some(DeflateDecoder::new(data.get(head.0..).unwrap_or_default())), tail: &[] };
    let decoded = sink.decode(&meta, &mut r);
    if decoded.failed && !guess {
        sink.trouble(Trouble::Damaged, "a gzip stream that does not decode to its end");
    }
    if !guess {
        rest(r.tail, sink);
    }
}

/// Length of a gzip header and the name in it.
fn gzip_header(data: &[u8]) -> Option<(usize, Option<&[u8]>)> {
    let [0x1f, 0x8b, 8, flags, ..] = data else { return None };
    (flags & 0xe0 == 0).then_some(())?;
    let mut at = 10;
    if flags & 4 != 0 {
        at += 2 + usize::from(u16::from_le_bytes(data.get(at..at + 2)?.try_into().ok()?));
    }
    let mut name = None;
    for bit in [8, 16] {
        if flags & bit != 0 {
            let rest = data.get(at..)?;
            let len = memchr::memchr(0, rest)?;
            if bit == 8 {
                name = rest.get(..len);
            }
            at += len + 1;
        }
    }
    at += if flags & 2 != 0 { 2 } else { 0 };
    (at <= data.len()).then_some((at, name))
}

/// Members one after another as one content.
struct Gunzip<'a> {
    inner: Option<DeflateDecoder<&'a [u8]>>,
    tail: &'a [u8],
}

impl Read for Gunzip<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while let Some(inner) = &mut self.inner {
            let n = inner.read(buf)?;
            if n > 0 {
                return Ok(n);
            }
            // eight octets of checksum and length
            let rest = self.inner.take().map(DeflateDecoder::into_inner).unwrap_or_default();
            let rest = rest.get(8..).unwrap_or_default();
            self.tail = rest;
            self.inner = gzip_header(rest).map(|(at, _)| DeflateDecoder::new(rest.get(at..).unwrap_or_default()));
        }
        Ok(0)
    }
}

/// Frames one after another, skippable ones left out.
pub struct Zstd<'a> {
    data: &'a [u8],
    frame: Option<ruzstd::decoding::StreamingDecoder<&'a [u8], ruzstd::decoding::FrameDecoder>>,
    any: bool,
}

impl<'a> Zstd<'a> {
    /// Decodes `data`.
    pub fn new(data: &'a [u8]) -> Zstd<'a> {
        Zstd { data, frame: None, any: false }
    }

    fn next_frame(&mut self) -> io::Result<bool> {
        // RFC 8878 3.1.2
        while let Some((head, rest)) = self.data.split_at_checked(8) {
            let [m, 0x2a, 0x4d, 0x18, size @ ..] = head else { break };
            let Ok(size) = <[u8; 4]>::try_from(size) else { break };
            if m & 0xf0 != 0x50 {
                break;
            }
            self.data = rest.get(u32::from_le_bytes(size) as usize..).unwrap_or_default();
        }
        if !self.data.starts_with(b"\x28\xb5\x2f\xfd") {
            return if self.any { Ok(false) } else { Err(io::ErrorKind::InvalidData.into()) };
        }
        let frame = ruzstd::decoding::StreamingDecoder::new(self.data).map_err(|_| io::ErrorKind::InvalidData)?;
        self.frame = Some(frame);
        self.any = true;
        Ok(true)
    }
}

impl Read for Zstd<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.frame.is_none() && !self.next_frame()? {
                return Ok(0);
            }
            if let Some(frame) = &mut self.frame {
                let n = frame.read(buf)?;
                if n > 0 {
                    return Ok(n);
                }
            }
            if let Some(frame) = self.frame.take() {
                self.data = frame.into_inner();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::Collect;
    use flate2::Compression;
    use std::io::Write;

    fn gz(data: &[u8]) -> Vec<u8> {
        let mut e = flate2::write::GzEncoder::new(Vec::new(), Compression::default());
        e.write_all(data).unwrap();
        e.finish().unwrap()
    }

    #[test]
    fn members_and_tails() {
        let mut d = gz(b"one ");
        d.extend(gz(b"two"));
        d.extend(b"behind it");
        let mut c = Collect::default();
        read(Kind::Gzip, &d, false, &mut c);
        assert!(c.has(b"one two") && c.has(b"behind it"), "{:?}", c.members);
        assert!(c.troubles.is_empty());
    }

    #[test]
    fn damage_keeps_what_came_out() {
        let data: Vec<u8> = (0..100_000u32).flat_map(|n| n.wrapping_mul(n).to_le_bytes()).collect();
        let mut d = gz(&data);
        d.truncate(d.len() / 2);
        let mut c = Collect::default();
        read(Kind::Gzip, &d, false, &mut c);
        assert!(c.members.iter().any(|(_, m)| !m.is_empty() && data.starts_with(m)));
        assert_eq!(c.troubles.len(), 1);
    }

    #[test]
    fn zlib_is_a_guess() {
        let mut e = flate2::write::ZlibEncoder::new(Vec::new(), Compression::default());
        e.write_all(b"hello").unwrap();
        let mut c = Collect::default();
        read(Kind::Zlib, &e.finish().unwrap(), false, &mut c);
        assert!(c.has(b"hello"));
        read(Kind::Zlib, b"\x78\x9cnot at all", false, &mut c);
        assert!(c.troubles.is_empty());
    }
}
