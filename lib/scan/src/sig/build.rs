//! Builds the compiled signature file from parsed signatures.
//!
//! Format      store.rs (sections), below (patterns, signatures, logic); all little-endian
//! Pattern     u32 sig, u8 sub, u8 flags, place (10), u8 before, u8 run, run bytes, u16 segments, u16 anchor segment,
//!             u32 anchor offset, segments: u32 min, u32 max, u8 kind, u16 count, data. `run` is a stretch of exact
//!             bytes around the anchor that begins `before` bytes in front of it: one memcmp settles most candidates
//! Signature   u32 name, u8 kind, u8 target, u16 marker, u32 logic offset
//! Failures    `Err(reason)` for a signature that cannot be compiled; the caller lists it

use super::anchor::{self, Anchor, Usage};
use super::hashes::{self, Algorithm, Record};
use super::logic::Logic;
use super::pattern::{Elem, Pattern, Piece, Segment};
use super::place::{Place, Target};
use super::store::{Section, assemble};
use std::collections::HashMap;

/// Multiplier of the anchor hash.
pub const MIX: u32 = 0x9E37_79B1;
/// The match must stand between non-word bytes.
pub const FULL_WORD: u8 = 1;
/// The pattern is one exact run: after the memcmp nothing is left to compare.
pub const PLAIN: u8 = 2;

/// What a signature record means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SigKind {
    /// A body pattern.
    Body,
    /// A logical signature.
    Logical,
    /// Not a signature: a place of interest for the walker.
    Marker,
}

/// Where hash signatures look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HashOf {
    /// A whole object.
    Object,
    /// A section of a Windows executable.
    Section,
}

/// Collects signatures.
#[derive(Default)]
pub struct Builder {
    names: Vec<u8>,
    known: HashMap<String, u32>,
    sigs: Vec<u8>,
    count: u32,
    patterns: Vec<u8>,
    entries: Vec<(u32, u32)>,
    placed: Vec<u32>,
    logic: Vec<u8>,
    container: Vec<u8>,
    /// YARA rules; see `yara.rs`.
    pub yara: Vec<u8>,
    hashes: [Vec<Record>; 6],
    allowed: [Vec<Record>; 3],
    usage: Usage,
}

/// One pattern of a logical signature.
pub struct SubPattern {
    /// The number the expression knows it by; several patterns may share one.
    pub number: u8,
    /// Where it may begin.
    pub place: Place,
    /// What it is.
    pub pattern: Pattern,
    /// [`FULL_WORD`] or 0.
    pub flags: u8,
}

impl Builder {
    fn name(&mut self, name: &str) -> u32 {
        if let Some(at) = self.known.get(name) {
            return *at;
        }
        let at = self.names.len() as u32;
        let bytes = name.as_bytes();
        let bytes = bytes.get(..bytes.len().min(1024)).unwrap_or_default();
        self.names.extend_from_slice(&(bytes.len() as u16).to_le_bytes());
        self.names.extend_from_slice(bytes);
        self.known.insert(name.to_owned(), at);
        at
    }

    fn signature(&mut self, name: &str, kind: SigKind, target: Target, marker: u16, data: u32) -> u32 {
        let name = self.name(name);
        self.sigs.extend_from_slice(&name.to_le_bytes());
        self.sigs.extend_from_slice(&[kind as u8, target.0]);
        self.sigs.extend_from_slice(&marker.to_le_bytes());
        self.sigs.extend_from_slice(&data.to_le_bytes());
        self.count += 1;
        self.count - 1
    }

    /// Adds a body signature.
    pub fn body(&mut self, name: &str, target: Target, place: Place, pattern: &Pattern) -> Result<(), &'static str> {
        let anchor = self.anchor(pattern, place)?;
        let sig = self.signature(name, SigKind::Body, target, 0, 0);
        self.pattern(sig, 0, 0, place, pattern, anchor);
        Ok(())
    }

    /// Adds a marker that the walker wants to know the places of.
    pub fn marker(&mut self, id: u16, pattern: &Pattern) -> Result<(), &'static str> {
        let anchor = self.anchor(pattern, Place::ANY)?;
        let sig = self.signature("", SigKind::Marker, Target::ANY, id, 0);
        self.pattern(sig, 0, 0, Place::ANY, pattern, anchor);
        Ok(())
    }

    /// Adds a logical signature; nothing of it is kept when one part cannot be compiled.
    pub fn logical(&mut self, name: &str, logic: &Logic, subs: &[SubPattern]) -> Result<(), &'static str> {
        let anchors = subs.iter().map(|s| self.anchor(&s.pattern, s.place)).collect::<Result<Vec<_>, _>>()?;
        let at = self.logic.len() as u32;
        logic.write(&mut self.logic);
        let sig = self.signature(name, SigKind::Logical, logic.target, 0, at);
        for (sub, anchor) in subs.iter().zip(anchors) {
            self.pattern(sig, sub.number, sub.flags, sub.place, &sub.pattern, anchor);
        }
        Ok(())
    }

    /// Adds a hash signature.
    pub fn hash(&mut self, of: HashOf, digest: Vec<u8>, size: u32, name: &str) -> Result<(), &'static str> {
        let algorithm = Algorithm::by_len(digest.len()).ok_or("not an MD5, SHA-1 or SHA-256 digest")?;
        let name = self.name(name);
        let table = algorithm as usize + if of == HashOf::Section { 3 } else { 0 };
        self.hashes[table].push(Record { digest, size, name });
        Ok(())
    }

    /// Adds a hash that takes back every finding in the object that has it.
    pub fn allow(&mut self, digest: Vec<u8>, size: u32, name: &str) -> Result<(), &'static str> {
        let algorithm = Algorithm::by_len(digest.len()).ok_or("not an MD5, SHA-1 or SHA-256 digest")?;
        let name = self.name(name);
        self.allowed[algorithm as usize].push(Record { digest, size, name });
        Ok(())
    }

    /// Adds a container rule in its stored form.
    pub fn container(&mut self, line: &str) {
        self.container.extend_from_slice(line.as_bytes());
        self.container.push(b'\n');
    }

    fn anchor(&self, pattern: &Pattern, place: Place) -> Result<Option<Anchor>, &'static str> {
        match anchor::choose(pattern, &self.usage) {
            Some(anchor) => Ok(Some(anchor)),
            None if place.is_point() => Ok(None),
            None => Err("no four neighbouring bytes are known and the place is not fixed"),
        }
    }

    fn pattern(&mut self, sig: u32, sub: u8, flags: u8, place: Place, pattern: &Pattern, anchor: Option<Anchor>) {
        let at = self.patterns.len() as u32;
        let run = anchor.and_then(|a| exact_run(pattern, a));
        let plain = matches!((&pattern.0[..], &run), ([one], Some(r)) if one.piece == Piece::Fixed(r.1.clone()));
        self.patterns.extend_from_slice(&sig.to_le_bytes());
        self.patterns.extend_from_slice(&[sub, flags | if plain { PLAIN } else { 0 }]);
        place.write(&mut self.patterns);
        let (before, bytes) = run.unwrap_or_default();
        self.patterns.extend_from_slice(&[before as u8, bytes.len() as u8]);
        self.patterns.extend(bytes.iter().map(|e| e.value));
        let a = anchor.unwrap_or(Anchor { segment: 0, offset: 0 });
        self.patterns.extend_from_slice(&(pattern.0.len() as u16).to_le_bytes());
        self.patterns.extend_from_slice(&(a.segment as u16).to_le_bytes());
        self.patterns.extend_from_slice(&(a.offset as u32).to_le_bytes());
        pattern.0.iter().for_each(|s| write_segment(s, &mut self.patterns));
        match anchor.and_then(|a| window(pattern, a)) {
            Some(window) => self.enter(&anchor::variants(window), at),
            None => self.placed.push(at),
        }
    }

    fn enter(&mut self, values: &[u32], at: u32) {
        for v in values {
            *self.usage.entry(*v).or_default() += 1;
            self.entries.push((*v, at));
        }
    }

    /// Number of body, logical and marker records so far.
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether nothing was added.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The finished file. `info` is kept in it as text.
    pub fn finish(mut self, info: &str) -> Vec<u8> {
        let mut sections = self.index();
        sections.push((Section::Patterns as u32, self.patterns));
        sections.push((Section::Placed as u32, self.placed.iter().flat_map(|n| n.to_le_bytes()).collect()));
        sections.push((Section::Sigs as u32, self.sigs));
        sections.push((Section::Names as u32, self.names));
        sections.push((Section::Logic as u32, self.logic));
        sections.push((Section::Container as u32, self.container));
        sections.push((Section::Yara as u32, self.yara));
        for (n, table) in self.hashes.iter_mut().enumerate().filter(|(_, t)| !t.is_empty()) {
            let algorithm = Algorithm::ALL[n % 3];
            sections.push((Section::Hashes as u32 + n as u32, hashes::write(algorithm, table)));
        }
        for (n, table) in self.allowed.iter_mut().enumerate().filter(|(_, t)| !t.is_empty()) {
            sections.push((Section::Allowed as u32 + n as u32, hashes::write(Algorithm::ALL[n], table)));
        }
        sections.push((Section::Info as u32, info.as_bytes().to_vec()));
        assemble(&sections)
    }

    /// Bitmap, buckets and entries. The bitmap grows with the number of anchors so that few windows pass by chance.
    fn index(&mut self) -> Vec<(u32, Vec<u8>)> {
        let bits = match self.entries.len() {
            0..=2_000 => 16,
            2_001..=300_000 => 21,
            _ => 24,
        };
        let mut bitmap = vec![0u8; 1 << (bits - 3)];
        for (v, _) in &self.entries {
            let h = v.wrapping_mul(MIX) >> (32 - bits);
            bitmap[(h >> 3) as usize] |= 1 << (h & 7);
        }
        let log = (self.entries.len().max(2) as u32).ilog2() + 1;
        self.entries.sort_unstable_by_key(|(v, at)| (v.wrapping_mul(MIX), *at));
        let mut buckets = vec![0u32; (1 << log) + 1];
        for (v, _) in &self.entries {
            buckets[(v.wrapping_mul(MIX) >> (32 - log)) as usize + 1] += 1;
        }
        for n in 1..buckets.len() {
            buckets[n] += buckets[n - 1];
        }
        let entries = self.entries.iter().flat_map(|(v, at)| [v.to_le_bytes(), at.to_le_bytes()]).flatten();
        vec![
            (Section::Bitmap as u32, bitmap),
            (Section::Buckets as u32, buckets.iter().flat_map(|n| n.to_le_bytes()).collect()),
            (Section::Entries as u32, entries.collect()),
        ]
    }
}

fn window(pattern: &Pattern, a: Anchor) -> Option<&[Elem]> {
    match &pattern.0.get(a.segment)?.piece {
        Piece::Fixed(run) => run.get(a.offset..a.offset + anchor::WIDTH),
        _ => None,
    }
}

/// The exact bytes around an anchor, at most 200, and how many of them stand in front of it.
fn exact_run(pattern: &Pattern, a: Anchor) -> Option<(usize, Vec<Elem>)> {
    let Piece::Fixed(run) = &pattern.0.get(a.segment)?.piece else { return None };
    if window(pattern, a)?.iter().any(|e| e.mask != 0xff) {
        return None;
    }
    let back = run.get(..a.offset)?.iter().rev().take(80).take_while(|e| e.mask == 0xff).count();
    let ahead = run.get(a.offset..)?.iter().take(120).take_while(|e| e.mask == 0xff).count();
    Some((back, run.get(a.offset - back..a.offset + ahead)?.to_vec()))
}

fn write_segment(segment: &Segment, out: &mut Vec<u8>) {
    out.extend_from_slice(&segment.gap.0.to_le_bytes());
    out.extend_from_slice(&segment.gap.1.to_le_bytes());
    match &segment.piece {
        Piece::Fixed(run) if run.iter().all(|e| e.mask == 0xff) => {
            out.push(0);
            out.extend_from_slice(&(run.len() as u16).to_le_bytes());
            out.extend(run.iter().map(|e| e.value));
        }
        Piece::Fixed(run) => {
            out.push(1);
            write_run(run, out);
        }
        Piece::Alt { negate, choices } => {
            out.push(if *negate { 3 } else { 2 });
            out.extend_from_slice(&(choices.len() as u16).to_le_bytes());
            choices.iter().for_each(|c| write_run(c, out));
        }
        Piece::Border(kind) => {
            out.push(4);
            out.extend_from_slice(&u16::from(*kind).to_le_bytes());
        }
    }
}

fn write_run(run: &[Elem], out: &mut Vec<u8>) {
    out.extend_from_slice(&(run.len() as u16).to_le_bytes());
    out.extend(run.iter().flat_map(|e| [e.value, e.mask]));
}
