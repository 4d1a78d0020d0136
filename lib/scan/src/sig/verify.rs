//! Compares one stored pattern with an object around the place of its anchor.
//!
//! Format      build.rs
//! Invariants  every comparison is paid from a budget, so a pattern with gaps cannot make an object cost more than
//!             the caller allows; an exhausted budget is reported, never silently "no match"
//! Trust       object bytes hostile; the signature file may be damaged (reads are checked)

use super::build::{FULL_WORD, PLAIN};
use super::pattern::UNBOUNDED;
use super::place::Place;
use super::store::Reader;

/// The head of a stored pattern.
pub struct Head<'a> {
    /// Signature number.
    pub sig: u32,
    /// Sub-pattern number.
    pub sub: u8,
    flags: u8,
    /// Where it may begin.
    pub place: Place,
    before: usize,
    run: &'a [u8],
    rest: Reader<'a>,
}

/// A segment as stored.
struct Seg<'a> {
    min: usize,
    max: usize,
    kind: u8,
    data: &'a [u8],
    count: usize,
}

/// Where comparisons are paid from.
pub struct Budget {
    /// Bytes that may still be compared.
    pub left: u64,
}

impl Budget {
    fn pay(&mut self, n: usize) -> bool {
        self.left = self.left.saturating_sub(n as u64);
        self.left > 0
    }
}

impl<'a> Head<'a> {
    /// Reads the head of the pattern at `at`.
    pub fn read(patterns: &'a [u8], at: u32) -> Option<Head<'a>> {
        let mut r = Reader(patterns.get(at as usize..)?);
        let (sig, sub, flags) = (r.u32()?, r.u8()?, r.u8()?);
        let place = Place::read(&mut r)?;
        let (before, run) = (usize::from(r.u8()?), usize::from(r.u8()?));
        let run = r.take(run)?;
        Some(Head { sig, sub, flags, place, before, run, rest: r })
    }

    /// Whether the exact bytes around an anchor at `at` are there.
    pub fn run_matches(&self, data: &[u8], at: usize) -> bool {
        let Some(start) = at.checked_sub(self.before) else { return false };
        data.get(start..).is_some_and(|d| d.starts_with(self.run))
    }

    /// Whether the whole pattern matches with its anchor at `at` and its start within `span`; gives the start.
    pub fn matches(&self, data: &[u8], at: usize, span: (usize, usize), budget: &mut Budget) -> Option<usize> {
        if self.flags & PLAIN != 0 {
            let start = at.checked_sub(self.before)?;
            let fits = span.0 <= start && start <= span.1 && self.word(data, start, start + self.run.len());
            return fits.then_some(start);
        }
        let mut r = self.rest;
        let (count, segment, offset) = (r.u16()?, usize::from(r.u16()?), r.u32()? as usize);
        let segs = read_segments(r, count)?;
        let start = at.checked_sub(offset)?;
        let end = fixed_end(segs.get(segment)?, data, start, budget)?;
        let first = left(&segs, segment, data, start, span, budget)?;
        let last = right(&segs, segment + 1, data, end, budget)?;
        self.word(data, first, last).then_some(first)
    }

    /// Whether the pattern matches with its first byte at `start`.
    pub fn matches_from(&self, data: &[u8], start: usize, budget: &mut Budget) -> bool {
        let mut r = self.rest;
        let Some(count) = r.u16() else { return false };
        let _ = (r.u16(), r.u32());
        let Some(segs) = read_segments(r, count) else { return false };
        right(&segs, 0, data, start, budget).is_some_and(|end| self.word(data, start, end))
    }

    fn word(&self, data: &[u8], start: usize, end: usize) -> bool {
        self.flags & FULL_WORD == 0 || (!word_at(data, start.checked_sub(1)) && !word_at(data, Some(end)))
    }
}

fn word_at(data: &[u8], at: Option<usize>) -> bool {
    at.and_then(|at| data.get(at)).is_some_and(u8::is_ascii_alphanumeric)
}

fn read_segments(mut r: Reader<'_>, count: u16) -> Option<Vec<Seg<'_>>> {
    (0..count).map(|_| read_segment(&mut r)).collect()
}

fn read_segment<'a>(r: &mut Reader<'a>) -> Option<Seg<'a>> {
    let (min, max) = (r.u32()?, r.u32()?);
    let (kind, count) = (r.u8()?, usize::from(r.u16()?));
    let data = match kind {
        0 => r.take(count)?,
        1 => r.take(2 * count)?,
        2 | 3 => {
            let whole = r.0;
            for _ in 0..count {
                let len = usize::from(r.u16()?);
                r.take(2 * len)?;
            }
            whole.get(..whole.len() - r.0.len())?
        }
        _ => &[],
    };
    let max = if max == UNBOUNDED { usize::MAX } else { max as usize };
    Some(Seg { min: min as usize, max, kind, data, count })
}

/// End of a fixed segment at `start`, if it matches.
fn fixed_end(seg: &Seg<'_>, data: &[u8], start: usize, budget: &mut Budget) -> Option<usize> {
    let end = start.checked_add(seg.count)?;
    let found = data.get(start..end)?;
    budget.pay(seg.count + 1).then_some(())?;
    let same = match seg.kind {
        0 => found == seg.data,
        _ => masked(seg.data, found),
    };
    same.then_some(end)
}

fn masked(elems: &[u8], found: &[u8]) -> bool {
    elems.chunks_exact(2).zip(found).all(|(e, b)| matches!(e, [value, mask] if b & mask == *value))
}

/// Calls `f` with each end of `seg` when it begins at `start`, until one call gives an answer.
fn ends<T>(
    seg: &Seg<'_>,
    data: &[u8],
    start: usize,
    budget: &mut Budget,
    mut f: impl FnMut(usize, &mut Budget) -> Option<T>,
) -> Option<T> {
    match seg.kind {
        0 | 1 => {
            let end = fixed_end(seg, data, start, budget)?;
            f(end, budget)
        }
        2 => choices(seg).find_map(|elems| {
            let end = start + elems.len() / 2;
            let fits = budget.pay(elems.len()) && data.get(start..end).is_some_and(|found| masked(elems, found));
            fits.then(|| f(end, budget)).flatten()
        }),
        3 => {
            let len = choices(seg).next().map_or(0, |c| c.len() / 2);
            let found = data.get(start..start.checked_add(len)?)?;
            let other = budget.pay(seg.data.len()) && choices(seg).all(|elems| !masked(elems, found));
            other.then(|| f(start + len, budget)).flatten()
        }
        _ => border(seg.count as u8, data, start).then(|| f(start, budget)).flatten(),
    }
}

fn choices<'a>(seg: &Seg<'a>) -> impl Iterator<Item = &'a [u8]> + use<'a> {
    let mut r = Reader(seg.data);
    (0..seg.count).map_while(move |_| {
        let len = usize::from(r.u16()?);
        r.take(2 * len)
    })
}

fn border(kind: u8, data: &[u8], at: usize) -> bool {
    let before = at.checked_sub(1);
    match kind {
        b'L' => {
            at == 0 || at == data.len() || before.and_then(|b| data.get(b)).is_some_and(|c| matches!(c, b'\n' | b'\r'))
        }
        b'B' => word_at(data, before) != word_at(data, Some(at)),
        _ => !word_at(data, before) || !word_at(data, Some(at)),
    }
}

/// Matches the segments from `n` on, the one before having ended at `from`; gives the end of the last.
fn right(segs: &[Seg<'_>], n: usize, data: &[u8], from: usize, budget: &mut Budget) -> Option<usize> {
    let Some(seg) = segs.get(n) else { return Some(from) };
    let first = from.checked_add(seg.min)?;
    let last = from.saturating_add(seg.max).min(data.len());
    let mut at = first;
    while at <= last && budget.pay(1) {
        if let (0, Some(b)) = (seg.kind, seg.data.first()) {
            // an exact run: jump to its next possible first byte
            at += memchr::memchr(*b, data.get(at..data.len().min(last + 1))?)?;
        }
        if let Some(end) = ends(seg, data, at, budget, |end, budget| right(segs, n + 1, data, end, budget)) {
            return Some(end);
        }
        at += 1;
    }
    None
}

/// Matches the segments before `n`, which begins at `to`; gives the start of the first.
fn left(
    segs: &[Seg<'_>],
    n: usize,
    data: &[u8],
    to: usize,
    span: (usize, usize),
    budget: &mut Budget,
) -> Option<usize> {
    let (Some(here), Some(seg)) = (segs.get(n), n.checked_sub(1).and_then(|p| segs.get(p))) else {
        return (span.0 <= to && to <= span.1).then_some(to);
    };
    let nearest = to.checked_sub(here.min)?;
    let farthest = to.saturating_sub(here.max);
    let lengths: Vec<usize> = match seg.kind {
        0 | 1 => vec![seg.count],
        2 | 3 => choices(seg).map(|c| c.len() / 2).collect(),
        _ => vec![0],
    };
    let mut end = nearest;
    loop {
        for len in &lengths {
            let Some(start) = end.checked_sub(*len) else { continue };
            if n == 1 && !(span.0 <= start && start <= span.1) {
                continue;
            }
            let fits = ends(seg, data, start, budget, |e, _| (e == end).then_some(())).is_some();
            if let Some(first) = fits.then(|| left(segs, n - 1, data, start, span, budget)).flatten() {
                return Some(first);
            }
        }
        if end <= farthest || !budget.pay(1) {
            return None;
        }
        // a first segment with a known place: go there at once
        end = match lengths.first() {
            Some(len) if n == 1 && lengths.len() == 1 && span.1.saturating_add(*len) < end - 1 => {
                (span.1 + len).max(farthest)
            }
            _ => end - 1,
        };
    }
}
