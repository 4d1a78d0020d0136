//! zip: every member that any reader could find.
//!
//! Standards   PKWARE APPNOTE 6.3.10
//! Why         readers go by the last end record, the first, or by local headers; so central entries behind every end
//!             record, and every local header wherever it stands, are tried, sizes and methods of both included
//! Rules       a stretch of data is decoded once a method; small members first, so that a bomb cannot hide a find
//! Troubles    encrypted members whose plain reading fails; methods without a decoder; members that share their data

use super::stream::{DICTIONARY_MAX, Spent, Zstd};
use crate::marker::Marker;
use crate::sink::{Decoded, Meta, Sink, Trouble};
use std::collections::BTreeMap;
use std::io::Read;

/// One way to read one stretch of data.
#[derive(Clone, Debug, Default)]
struct Entry {
    names: Vec<String>,
    packed: Vec<usize>,
    size: Option<u64>,
    crc: Option<u32>,
    encrypted: bool,
    central: usize,
    flags: u16,
}

type Entries = BTreeMap<(usize, u16), Entry>;

struct Zip<'a> {
    data: &'a [u8],
    entries: Entries,
    bases: Vec<usize>,
    ends: usize,
}

fn u16_at(data: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(data.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

fn u32_at(data: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(data.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

fn u64_at(data: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(data.get(at..at.checked_add(8)?)?.try_into().ok()?))
}

/// Reads everything the marked places point to.
pub fn read(data: &[u8], places: &[(Marker, usize)], sink: &mut dyn Sink) {
    let of = |m: Marker| places.iter().filter(move |(k, _)| *k == m).map(|(_, at)| *at);
    let mut zip = Zip { data, entries: Entries::new(), bases: vec![0], ends: 0 };
    of(Marker::ZipEnd).for_each(|at| zip.end_record(at));
    of(Marker::ZipCentral).for_each(|at| {
        zip.central(at);
    });
    // the three magics alone are in every program that knows zip
    let real = zip.entries.values().any(|e| e.central > 0);
    let stored = zip.stored();
    // local headers inside a stored member belong to that member's own walk
    let inside = |at: usize| stored.iter().any(|(from, to)| (*from..*to).contains(&at));
    of(Marker::ZipLocal).filter(|at| !inside(*at)).for_each(|at| {
        zip.local(at);
    });
    let guess = !real && !data.starts_with(b"PK");
    zip.shared(sink);
    zip.extract(guess, sink);
}

impl Zip<'_> {
    /// End of central directory: how far the archive is moved inside the file.
    fn end_record(&mut self, at: usize) {
        let (Some(len), Some(offset)) = (u32_at(self.data, at + 12), u32_at(self.data, at + 16)) else { return };
        self.ends += 1;
        let base = at.checked_sub(len as usize).and_then(|n| n.checked_sub(offset as usize));
        if let Some(base) = base.filter(|b| !self.bases.contains(b) && self.bases.len() < 64) {
            self.bases.push(base);
        }
    }

    /// A central directory entry.
    fn central(&mut self, at: usize) -> Option<()> {
        let d = self.data;
        let (flags, method) = (u16_at(d, at + 8)?, u16_at(d, at + 10)?);
        let (crc, packed, size) = (u32_at(d, at + 16)?, u32_at(d, at + 20)?, u32_at(d, at + 24)?);
        let (name_len, extra_len) = (usize::from(u16_at(d, at + 28)?), usize::from(u16_at(d, at + 30)?));
        let name = d.get(at + 46..at + 46 + name_len)?;
        let extra = d.get(at + 46 + name_len..at + 46 + name_len + extra_len).unwrap_or_default();
        let wide = Wide::read(extra, size, packed, u32_at(d, at + 42)?);
        let names = member_names(name, extra);
        let locals: Vec<usize> = self.bases.iter().filter_map(|b| b.checked_add(wide.offset)).collect();
        let good: Vec<usize> = locals.iter().copied().filter(|l| self.is_local(*l)).collect();
        let broken = good.is_empty();
        for local in if broken { locals } else { good } {
            let own = usize::from(u16_at(d, local.saturating_add(26)).unwrap_or(0));
            let extra = usize::from(u16_at(d, local.saturating_add(28)).unwrap_or(0));
            let mut starts = vec![local.saturating_add(30 + own + extra)];
            if broken {
                // nothing of the local header can be trusted
                starts.extend(
                    [30 + name_len + extra, 30 + name_len, 30 + name_len + extra_len].map(|n| local.saturating_add(n)),
                );
                starts.sort_unstable();
                starts.dedup();
            }
            for start in starts.into_iter().filter(|s| *s < d.len()) {
                let e = self.entry(start, method, &names, wide.packed, flags);
                e.size = Some(wide.size);
                e.crc = Some(crc);
                e.central += usize::from(!broken);
            }
        }
        Some(())
    }

    /// A local header.
    fn local(&mut self, at: usize) -> Option<()> {
        let d = self.data;
        let (flags, method) = (u16_at(d, at + 6)?, u16_at(d, at + 8)?);
        let (crc, packed, size) = (u32_at(d, at + 14)?, u32_at(d, at + 18)?, u32_at(d, at + 22)?);
        let (name_len, extra_len) = (usize::from(u16_at(d, at + 26)?), usize::from(u16_at(d, at + 28)?));
        let name = d.get(at + 30..at + 30 + name_len)?;
        let extra = d.get(at + 30 + name_len..at + 30 + name_len + extra_len).unwrap_or_default();
        let wide = Wide::read(extra, size, packed, 0);
        let names = member_names(name, extra);
        let e = self.entry(at + 30 + name_len + extra_len, method, &names, wide.packed, flags);
        if e.size.is_none() && flags & 8 == 0 {
            e.size = Some(wide.size);
            e.crc = Some(crc);
        }
        Some(())
    }

    fn is_local(&self, at: usize) -> bool {
        self.data.get(at..).is_some_and(|d| d.starts_with(b"PK\x03\x04"))
    }

    fn entry(&mut self, start: usize, method: u16, names: &[String], packed: usize, flags: u16) -> &mut Entry {
        let e = self.entries.entry((start, method)).or_default();
        for n in names {
            if !e.names.contains(n) && e.names.len() < 8 {
                e.names.push(n.clone());
            }
        }
        if !e.packed.contains(&packed) && e.packed.len() < 8 {
            e.packed.push(packed);
        }
        e.encrypted |= flags & 1 != 0;
        e.flags |= flags;
        e
    }

    /// Stretches of the stored members that the directory names.
    fn stored(&self) -> Vec<(usize, usize)> {
        let stored = self.entries.iter().filter(|((_, method), e)| *method == 0 && !e.encrypted);
        let ranges =
            stored.flat_map(|((start, _), e)| e.packed.iter().map(move |p| (*start, start.saturating_add(*p))));
        ranges.filter(|(from, to)| to > from && *to <= self.data.len()).take(1000).collect()
    }

    /// Members of the directory that lie on each other are a bomb or a trick.
    fn shared(&self, sink: &mut dyn Sink) {
        let doubled = self.entries.values().any(|e| e.central > self.ends.max(1));
        let central = self.entries.iter().filter(|(_, e)| e.central > 0 && e.names.iter().all(|n| !n.ends_with('/')));
        let mut end = 0;
        let mut over = 0;
        for ((start, _), e) in central {
            over += usize::from(*start < end);
            end = end.max(start + e.packed.iter().copied().min().unwrap_or(0));
        }
        if doubled || over > self.ends {
            sink.trouble(Trouble::Limit, "members of a zip archive share their data");
        }
    }

    fn extract(&self, guess: bool, sink: &mut dyn Sink) {
        let mut order: Vec<_> = self.entries.iter().collect();
        order.sort_by_key(|(_, e)| e.packed.iter().copied().max().filter(|p| *p > 0).unwrap_or(usize::MAX));
        let mut good: Vec<usize> = Vec::new();
        let mut bad: Vec<(usize, Trouble, &str)> = Vec::new();
        for (n, ((start, method), e)) in order.into_iter().enumerate() {
            if sink.done() {
                return;
            }
            let meta = Meta {
                container: "ZIP",
                names: e.names.clone(),
                packed: e.packed.iter().max().map(|p| *p as u64),
                size: e.size,
                encrypted: e.encrypted,
                position: n as u64 + 1,
                guess,
                ..Meta::default()
            };
            match self.one(*start, *method, e, &meta, sink) {
                None => good.push(*start),
                Some((trouble, detail)) => bad.push((*start, trouble, detail)),
            }
        }
        // another reading of the same stretch may have worked
        for (start, trouble, detail) in
            bad.into_iter().filter(|(start, t, _)| !good.contains(start) || *t == Trouble::Encrypted)
        {
            if !guess && !good.contains(&start) {
                sink.trouble(trouble, detail);
            }
        }
    }

    fn one(
        &self,
        start: usize,
        method: u16,
        e: &Entry,
        meta: &Meta,
        sink: &mut dyn Sink,
    ) -> Option<(Trouble, &'static str)> {
        let body = self.data.get(start..).unwrap_or_default();
        if e.size == Some(0) && e.packed.iter().all(|p| *p == 0) {
            sink.listed(meta);
            return None;
        }
        if method == 99 || e.flags & 0x2040 != 0 {
            sink.listed(meta);
            return Some((Trouble::Encrypted, "an encrypted member of a zip archive"));
        }
        if method == 0 {
            return self.plain(start, e, meta, sink);
        }
        let Some(decoded) = decode(method, body, e, meta, sink) else {
            sink.listed(meta);
            return Some((Trouble::Unsupported, "a zip method without a decoder"));
        };
        let whole = e.size.is_none_or(|s| s == decoded.bytes);
        match (decoded.failed, e.encrypted) {
            (false, false) => None,
            (false, true) if whole => None,
            (_, true) => Some((Trouble::Encrypted, "an encrypted member of a zip archive")),
            (true, false) => Some((Trouble::Damaged, "a member of a zip archive that does not decode")),
        }
    }

    /// A stored member, by every size that is stated.
    fn plain(&self, start: usize, e: &Entry, meta: &Meta, sink: &mut dyn Sink) -> Option<(Trouble, &'static str)> {
        let body = self.data.get(start..).unwrap_or_default();
        let mut sizes: Vec<usize> = e.packed.iter().copied().filter(|p| *p > 0).collect();
        sizes.extend(e.size.and_then(|s| usize::try_from(s).ok()).filter(|s| *s > 0 && !sizes.contains(s)));
        if sizes.is_empty() {
            // streamed: it ends where the next record begins
            let ends = [&b"PK\x07\x08"[..], b"PK\x03\x04", b"PK\x01\x02"];
            sizes.extend(ends.iter().filter_map(|m| memchr::memmem::find(body, m)).min().or(Some(body.len())));
        }
        let mut intact = false;
        for size in &sizes {
            let found = body.get(..*size).unwrap_or(body);
            intact |= !e.encrypted || e.crc.is_some_and(|crc| crc == crc32(found));
            sink.member(meta, found);
        }
        let cut = sizes.iter().all(|s| *s > body.len());
        match (intact, cut) {
            (false, _) => Some((Trouble::Encrypted, "an encrypted member of a zip archive")),
            (true, true) => Some((Trouble::Damaged, "a member of a zip archive is cut short")),
            (true, false) => None,
        }
    }
}

fn crc32(data: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(data);
    crc.sum()
}

/// Decodes one member; `None` when there is no decoder.
fn decode(method: u16, body: &[u8], e: &Entry, meta: &Meta, sink: &mut dyn Sink) -> Option<Decoded> {
    let mut reader = decoder(method, body, e)?;
    Some(sink.decode(meta, &mut reader))
}

/// Boxed and never inlined: the state of some decoders is large, and this frame must not stay under the members' walks.
#[inline(never)]
fn decoder<'a>(method: u16, body: &'a [u8], e: &Entry) -> Option<Box<dyn Read + 'a>> {
    let exact = e.packed.iter().copied().max().filter(|p| *p > 0).and_then(|p| body.get(..p)).unwrap_or(body);
    Some(match method {
        8 => Box::new(flate2::bufread::DeflateDecoder::new(body)),
        9 => Box::new(deflate64::Deflate64Decoder::with_buffer(exact)),
        12 => Box::new(bzip2::bufread::BzDecoder::new(body)),
        14 => Box::new(Spent::new(lzma(body, e)?)),
        93 | 20 => Box::new(Zstd::new(exact)),
        95 if super::stream::xz_dictionary(exact).is_none_or(|d| d <= DICTIONARY_MAX) => {
            Box::new(Spent::new(lzma_rust2::XzReader::new(exact, false)))
        }
        98 => Box::new(Spent::new(ppmd(body)?)),
        _ => return None,
    })
}

/// APPNOTE 5.8.8: version, length of the properties, properties, stream.
fn lzma<'a>(body: &'a [u8], e: &Entry) -> Option<lzma_rust2::LzmaReader<&'a [u8]>> {
    let len = usize::from(u16_at(body, 2)?);
    let props = *body.get(4)?;
    let dictionary = u32_at(body, 5)?.clamp(4096, DICTIONARY_MAX);
    let ends = e.flags & 2 != 0;
    let size = e.size.filter(|_| !ends).unwrap_or(u64::MAX);
    lzma_rust2::LzmaReader::new_with_props(body.get(4 + len..)?, size, props, dictionary, None).ok()
}

/// APPNOTE 5.10: order, memory and restoration in one word.
fn ppmd(body: &[u8]) -> Option<ppmd_rust::Ppmd8Decoder<&[u8]>> {
    let word = u32::from(u16_at(body, 0)?);
    let (order, memory) = ((word & 15) + 1, ((word >> 4 & 0xff) + 1) << 20);
    let method = match word >> 12 {
        0 => ppmd_rust::RestoreMethod::Restart,
        1 => ppmd_rust::RestoreMethod::CutOff,
        _ => return None,
    };
    ppmd_rust::Ppmd8Decoder::new(body.get(2..)?, order, memory.min(DICTIONARY_MAX), method).ok()
}

/// Sizes and offset, with the zip64 field (APPNOTE 4.5.3) applied.
struct Wide {
    size: u64,
    packed: usize,
    offset: usize,
}

impl Wide {
    fn read(extra: &[u8], size: u32, packed: u32, offset: u32) -> Wide {
        let mut w = Wide { size: size.into(), packed: packed as usize, offset: offset as usize };
        let Some(mut field) = extra_field(extra, 1) else { return w };
        let mut next = || {
            let v = u64_at(field, 0)?;
            field = field.get(8..)?;
            Some(v)
        };
        if size == u32::MAX {
            w.size = next().unwrap_or(w.size);
        }
        if packed == u32::MAX {
            w.packed = next().and_then(|v| usize::try_from(v).ok()).unwrap_or(w.packed);
        }
        if offset == u32::MAX {
            w.offset = next().and_then(|v| usize::try_from(v).ok()).unwrap_or(w.offset);
        }
        w
    }
}

fn extra_field(mut extra: &[u8], want: u16) -> Option<&[u8]> {
    loop {
        let (id, len) = (u16_at(extra, 0)?, usize::from(u16_at(extra, 2)?));
        let body = extra.get(4..)?.get(..len)?;
        if id == want {
            return Some(body);
        }
        extra = extra.get(4 + len..)?;
    }
}

/// The name as it stands and the Unicode name of the extra field (APPNOTE 4.6.9).
fn member_names(name: &[u8], extra: &[u8]) -> Vec<String> {
    let unicode = extra_field(extra, 0x7075).and_then(|f| f.get(5..));
    let mut out: Vec<String> = [Some(name), unicode].into_iter().flatten().map(crate::mime::params::text).collect();
    out.retain(|n| !n.is_empty());
    out.dedup();
    out
}
