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
        Kind::Bzip2 => Box::new(Spent::new(bzip2::bufread::MultiBzDecoder::new(data))),
        Kind::Xz => Box::new(Spent::new(lzma_rust2::XzReader::new(data, true))),
        Kind::Lzip => Box::new(Spent::new(lzma_rust2::LzipReader::new(data))),
        Kind::Lzma => {
            Box::new(Spent::new(lzma_rust2::LzmaReader::new_mem_limit(data, DICTIONARY_MAX >> 9, None).ok()?))
        }
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
        Kind::Zstd => zstd_window(data).unwrap_or(0),
        _ => 0,
    }
}

/// The window of a frame, where its header names one (RFC 8878 3.1.1.1.2).
fn zstd_window(data: &[u8]) -> Option<u32> {
    let [_, _, _, _, flags, window, ..] = *data else { return None };
    let base = 1u64 << (10 + (window >> 3));
    (flags & 0x20 == 0).then(|| u32::try_from(base + base / 8 * u64::from(window & 7)).unwrap_or(u32::MAX))
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

/// A decoder that is given back at its end: what came out of it is walked while its caller still holds this.
pub struct Spent<R>(Option<R>);

impl<R: Read> Spent<R> {
    /// Holds `decoder` until it ends or fails.
    pub fn new(decoder: R) -> Spent<R> {
        Spent(Some(decoder))
    }
}

impl<R: Read> Read for Spent<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let Some(decoder) = &mut self.0 else { return Ok(0) };
        let got = decoder.read(buf);
        if !buf.is_empty() && !matches!(got, Ok(1..)) {
            self.0 = None;
        }
        got
    }
}

/// A frame whose magic number was read already.
type Frame<R> = ruzstd::decoding::StreamingDecoder<io::Chain<&'static [u8], R>, ruzstd::decoding::FrameDecoder>;

static ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Frames one after another, skippable ones left out.
pub struct Zstd<R: Read> {
    between: Option<R>,
    frame: Option<Frame<R>>,
    any: bool,
}

impl<R: Read> Zstd<R> {
    /// Decodes what `from` gives.
    pub fn new(from: R) -> Zstd<R> {
        Zstd { between: Some(from), frame: None, any: false }
    }

    fn next_frame(&mut self) -> io::Result<bool> {
        let Some(mut from) = self.between.take() else { return Ok(false) };
        let mut magic = first_four(&mut from)?;
        // RFC 8878 3.1.2
        while let [m, 0x2a, 0x4d, 0x18] = magic
            && m & 0xf0 == 0x50
        {
            let mut size = [0; 4];
            from.read_exact(&mut size)?;
            io::copy(&mut from.by_ref().take(u32::from_le_bytes(size).into()), &mut io::sink())?;
            self.any = true;
            magic = first_four(&mut from)?;
        }
        if magic != ZSTD {
            return if self.any { Ok(false) } else { Err(io::ErrorKind::InvalidData.into()) };
        }
        let mut decoder = ruzstd::decoding::FrameDecoder::new();
        decoder.set_max_window_size(DICTIONARY_MAX.into());
        let frame = Frame::new_with_decoder(ZSTD.as_slice().chain(from), decoder);
        self.frame = Some(frame.map_err(|_| io::ErrorKind::InvalidData)?);
        self.any = true;
        Ok(true)
    }
}

/// The four octets a frame begins with; zeros at the end of the input.
fn first_four(from: &mut impl Read) -> io::Result<[u8; 4]> {
    let mut four = [0; 4];
    match from.read_exact(&mut four) {
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok([0; 4]),
        other => other.map(|()| four),
    }
}

impl<R: Read> Read for Zstd<R> {
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
            self.between = self.frame.take().map(|frame| frame.into_inner().into_inner().1);
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

    /// One frame of RFC 8878: a window of 1 KiB, one raw block.
    fn zstd(text: &[u8]) -> Vec<u8> {
        let block = (text.len() as u32) << 3 | 1;
        [&ZSTD, &[0, 0][..], &block.to_le_bytes()[..3], text].concat()
    }

    #[test]
    fn frames_of_zstd_from_any_reader() {
        let skipped = b"\x5a\x2a\x4d\x18\x03\x00\x00\x00abc";
        let all = [skipped, zstd(b"one ").as_slice(), skipped, &zstd(b"two"), skipped].concat();
        let mut out = String::new();
        Zstd::new(all.as_slice()).read_to_string(&mut out).unwrap();
        assert_eq!(out, "one two");
        // what is behind the frames is no frame, and an input without any is none
        out.clear();
        Zstd::new([&all, &b"behind"[..]].concat().as_slice()).read_to_string(&mut out).unwrap();
        assert_eq!(out, "one two");
        assert!(Zstd::new(&b"nothing"[..]).read_to_end(&mut Vec::new()).is_err());
        assert!(Zstd::new(&b""[..]).read_to_end(&mut Vec::new()).is_err());
        let cut = all.len() - skipped.len() - 1;
        assert!(Zstd::new(&all[..cut]).read_to_end(&mut Vec::new()).is_err());
    }

    #[test]
    fn a_window_larger_than_we_make_room_for_is_a_limit() {
        let mut d = zstd(b"text");
        d[5] = 17 << 3; // 128 MiB
        let mut c = Collect::default();
        read(Kind::Zstd, &d, false, &mut c);
        assert!(c.members.is_empty() && c.troubles[0].0 == Trouble::Limit, "{:?}", c.troubles);
        assert!(Zstd::new(d.as_slice()).read_to_end(&mut Vec::new()).is_err());
    }

    #[test]
    fn what_has_ended_is_given_back() {
        let held = std::rc::Rc::new(());
        struct Holds<'a>(&'a [u8], #[allow(dead_code)] std::rc::Rc<()>);
        impl Read for Holds<'_> {
            fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
                self.0.read(buf)
            }
        }
        let mut r = Spent::new(Holds(b"ab", held.clone()));
        assert_eq!((r.read(&mut []).unwrap(), r.read(&mut [0; 9]).unwrap()), (0, 2));
        assert_eq!(std::rc::Rc::strong_count(&held), 2);
        assert_eq!((r.read(&mut [0; 9]).unwrap(), r.read(&mut [0; 9]).unwrap()), (0, 0));
        assert_eq!(std::rc::Rc::strong_count(&held), 1);
    }
}
