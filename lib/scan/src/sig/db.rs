//! An opened signature file and the sweep of one object over it.
//!
//! Why         one multiply and one bit of a bitmap a position; only candidates touch the pattern pages, so start-up
//!             costs nothing and memory is what the mapping shares
//! Invariants  1. a sweep is linear but for the verification budget   2. an exhausted budget sets `overrun`
//! Failures    a file that is not ours: `None` from `open`

use super::build::MIX;
use super::hashes::Table;
use super::logic::{Attribute, Logic};
use super::place::{Layout, Target};
use super::store::{Reader, Section, directory, u32_at};
use super::verify::{Budget, Head};
use super::yara;
use std::cell::OnceCell;
use std::collections::HashMap;

/// A signature file in memory.
pub struct Db<'a> {
    bitmap: &'a [u8],
    buckets: &'a [u8],
    entries: &'a [u8],
    patterns: &'a [u8],
    placed: &'a [u8],
    sigs: &'a [u8],
    names: &'a [u8],
    logic: &'a [u8],
    log: u32,
    /// Container rules, one line each.
    pub container: &'a [u8],
    /// MD5, SHA-1, SHA-256 of whole objects, then of executable sections.
    pub hashes: [Option<Table<'a>>; 6],
    /// Allow-listed objects.
    pub allowed: [Option<Table<'a>>; 3],
    yara: &'a [u8],
    rules: OnceCell<yara::Rules>,
    /// Provenance as text.
    pub info: &'a [u8],
    /// Whether some signature wants normalised text.
    pub wants_text: bool,
}

/// What is swept.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    /// The bytes.
    pub data: &'a [u8],
    /// What kind of object they are.
    pub target: Target,
    /// Layout when it is an executable.
    pub layout: &'a Layout,
    /// Whether `data` is normalised text (then only text signatures look, else only the others).
    pub normalised: bool,
}

/// What a sweep found.
#[derive(Default)]
pub struct Hits {
    /// Numbers of the signatures that matched.
    pub found: Vec<u32>,
    /// Marker number and place.
    pub markers: Vec<(u16, usize)>,
    /// Verification ran out of budget.
    pub overrun: bool,
    counts: HashMap<u32, Vec<u32>>,
}

/// One signature record.
pub struct Sig {
    name: u32,
    kind: u8,
    target: Target,
    marker: u16,
    data: u32,
}

const MARKERS: usize = 100_000; // places kept of one object; beyond it the walk is told through `overrun`

impl<'a> Db<'a> {
    /// Opens a compiled file.
    pub fn open(data: &'a [u8]) -> Option<Db<'a>> {
        let dir = directory(data)?;
        let section = |id: u32| {
            dir.iter().find(|(n, _)| *n == id).and_then(|(_, range)| data.get(range.clone())).unwrap_or_default()
        };
        let of = |s: Section| section(s as u32);
        let buckets = of(Section::Buckets);
        let slots = (buckets.len() / 4).checked_sub(1)?;
        slots.is_power_of_two().then_some(())?;
        let mut db = Db {
            bitmap: of(Section::Bitmap),
            buckets,
            entries: of(Section::Entries),
            patterns: of(Section::Patterns),
            placed: of(Section::Placed),
            sigs: of(Section::Sigs),
            names: of(Section::Names),
            logic: of(Section::Logic),
            log: slots.ilog2(),
            container: of(Section::Container),
            hashes: std::array::from_fn(|n| Table::open(section(Section::Hashes as u32 + n as u32))),
            allowed: std::array::from_fn(|n| Table::open(section(Section::Allowed as u32 + n as u32))),
            yara: of(Section::Yara),
            rules: OnceCell::new(),
            info: of(Section::Info),
            wants_text: false,
        };
        db.wants_text = db.info.windows(11).any(|w| w == b"text-view 1");
        (1..32).contains(&db.log).then_some(db)
    }

    /// The record of a signature.
    pub fn sig(&self, n: u32) -> Option<Sig> {
        let mut r = Reader(self.sigs.get((n as usize).checked_mul(12)?..)?);
        Some(Sig { name: r.u32()?, kind: r.u8()?, target: Target(r.u8()?), marker: r.u16()?, data: r.u32()? })
    }

    /// The name at an offset of the name section.
    pub fn name(&self, at: u32) -> String {
        let read = || {
            let mut r = Reader(self.names.get(at as usize..)?);
            let len = usize::from(r.u16()?);
            r.take(len)
        };
        read().map_or_else(|| "unnamed".to_owned(), |b| String::from_utf8_lossy(b).into_owned())
    }

    /// The name of signature `n`.
    pub fn sig_name(&self, n: u32) -> String {
        self.sig(n).map_or_else(|| "unnamed".to_owned(), |s| self.name(s.name))
    }

    /// What YARA rules say; they are made ready when first asked.
    pub fn yara(&self, data: &[u8]) -> yara::Answer {
        match self.yara.is_empty() {
            true => yara::Answer::default(),
            false => self.rules.get_or_init(|| yara::Rules::open(self.yara)).scan(data),
        }
    }

    /// Sweeps one object.
    pub fn scan(&self, subject: &Subject<'_>, hits: &mut Hits) {
        let mut budget = Budget { left: 64_000_000 + 128 * subject.data.len() as u64 };
        let mut on_hit = |at: usize, value: u32| self.candidate(subject, at, value, hits, &mut budget);
        match self.bitmap.len() {
            0x2000 => sweep::<0x2000>(self.bitmap, subject.data, &mut on_hit),
            0x4_0000 => sweep::<0x4_0000>(self.bitmap, subject.data, &mut on_hit),
            0x20_0000 => sweep::<0x20_0000>(self.bitmap, subject.data, &mut on_hit),
            _ => {}
        }
        self.fixed_places(subject, hits, &mut budget);
        hits.overrun |= budget.left == 0;
        self.decide(subject, hits);
    }

    #[inline(never)]
    fn candidate(&self, subject: &Subject<'_>, at: usize, value: u32, hits: &mut Hits, budget: &mut Budget) {
        let slot = (value.wrapping_mul(MIX) >> (32 - self.log)) as usize;
        let (Some(from), Some(to)) = (u32_at(self.buckets, 4 * slot), u32_at(self.buckets, 4 * slot + 4)) else {
            return;
        };
        let Some(entries) = self.entries.get(8 * from as usize..8 * to as usize) else { return };
        let wanted = value.to_le_bytes();
        for entry in entries.chunks_exact(8).filter(|e| e.starts_with(&wanted)) {
            let Some(pattern) = u32_at(entry, 4) else { continue };
            self.compare(subject, at, pattern, hits, budget);
        }
    }

    fn compare(
        &self,
        subject: &Subject<'_>,
        at: usize,
        pattern: u32,
        hits: &mut Hits,
        budget: &mut Budget,
    ) -> Option<()> {
        let head = Head::read(self.patterns, pattern)?;
        head.run_matches(subject.data, at).then_some(())?;
        let sig = self.sig(head.sig)?;
        wanted(&sig, subject).then_some(())?;
        if sig.kind == 0 && hits.found.contains(&head.sig) {
            return None;
        }
        let span = head.place.span(subject.data.len(), subject.layout)?;
        let start = head.matches(subject.data, at, span, budget)?;
        self.note(&head, &sig, start, hits);
        Some(())
    }

    fn note(&self, head: &Head<'_>, sig: &Sig, start: usize, hits: &mut Hits) {
        match sig.kind {
            0 => hits.found.push(head.sig),
            1 => {
                let counts = hits.counts.entry(head.sig).or_insert_with(|| vec![0; 64]);
                if let Some(n) = counts.get_mut(usize::from(head.sub)) {
                    *n = n.saturating_add(1);
                }
            }
            _ if hits.markers.len() < MARKERS => hits.markers.push((sig.marker, start)),
            _ => hits.overrun = true,
        }
    }

    fn fixed_places(&self, subject: &Subject<'_>, hits: &mut Hits, budget: &mut Budget) {
        for at in self.placed.chunks_exact(4).filter_map(|c| u32_at(c, 0)) {
            let Some(head) = Head::read(self.patterns, at) else { continue };
            let Some(sig) = self.sig(head.sig).filter(|s| wanted(s, subject)) else { continue };
            let Some((start, _)) = head.place.span(subject.data.len(), subject.layout) else { continue };
            if head.matches_from(subject.data, start, budget) {
                self.note(&head, &sig, start, hits);
            }
        }
    }

    /// Evaluates the logical signatures of which some part matched.
    fn decide(&self, subject: &Subject<'_>, hits: &mut Hits) {
        let counts = std::mem::take(&mut hits.counts);
        let mut found: Vec<u32> = counts
            .iter()
            .filter(|(n, counts)| self.logical(**n, counts, subject).unwrap_or(false))
            .map(|(n, _)| *n)
            .collect();
        found.sort_unstable();
        hits.found.append(&mut found);
    }

    fn logical(&self, n: u32, counts: &[u32], subject: &Subject<'_>) -> Option<bool> {
        let sig = self.sig(n)?;
        let logic = Logic::read(self.logic.get(sig.data as usize..)?, sig.target)?;
        let fits = logic.attributes.iter().all(|a| match *a {
            Attribute::FileSize(low, high) => (low..=high).contains(&(subject.data.len() as u64)),
            Attribute::EntryPoint(low, high) => {
                subject.layout.entry.is_some_and(|e| (low..=high).contains(&(e as u64)))
            }
            Attribute::Sections(low, high) => (low..=high).contains(&(subject.layout.sections.len() as u64)),
        });
        Some(fits && logic.eval(counts)?)
    }
}

fn wanted(sig: &Sig, subject: &Subject<'_>) -> bool {
    if sig.target.is_normalised() {
        subject.normalised && (sig.target == Target::TEXT || sig.target == subject.target)
    } else {
        !subject.normalised && (sig.target == Target::ANY || sig.target == subject.target)
    }
}

/// The inner loop: `N` is the bitmap's size in octets, a power of two.
fn sweep<const N: usize>(bitmap: &[u8], data: &[u8], hit: &mut impl FnMut(usize, u32)) {
    let Ok(bitmap) = <&[u8; N]>::try_from(bitmap) else { return };
    let shift = 32 - (N * 8).ilog2();
    for (at, window) in data.windows(4).enumerate() {
        let &[a, b, c, d] = window else { continue };
        let value = u32::from_le_bytes([a, b, c, d]);
        let h = (value.wrapping_mul(MIX) >> shift) as usize;
        if bitmap[(h >> 3) & (N - 1)] & (1 << (h & 7)) != 0 {
            hit(at, value);
        }
    }
}
