//! Sequence sets and UID sets.
//!
//! Standards   RFC 3501 9 (sequence-set), RFC 5182 (`$`), RFC 4315 (uid-set)
//! Invariants  resolved sets are sorted, disjoint, never adjacent; work is O(ranges log ranges), not O(numbers)
/// One end of a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bound {
    Number(u32),
    Star,
}

/// A set as the client wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SequenceSet {
    /// `$`: the saved search result.
    Saved,
    /// Ranges as written.
    Ranges(Vec<(SeqBound, SeqBound)>),
}

/// One end of a written range; opaque.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeqBound(Bound);

/// Why a set does not parse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetError(pub &'static str);

impl SequenceSet {
    /// Reads a whole set.
    pub fn parse(text: &[u8]) -> Result<Self, SetError> {
        if text == b"$" {
            return Ok(SequenceSet::Saved);
        }
        let ranges = text.split(|&b| b == b',').map(range).collect::<Result<_, _>>()?;
        Ok(SequenceSet::Ranges(ranges))
    }

    /// The numbers from one to another; none where the first is the larger.
    pub fn between(low: u32, high: u32) -> SequenceSet {
        let bound = |n| SeqBound(Bound::Number(n));
        SequenceSet::Ranges(if low > high { Vec::new() } else { vec![(bound(low), bound(high))] })
    }

    /// Replaces `*` by `max` and sorts; `None` for `$`.
    pub fn resolve(&self, max: u32) -> Option<NumberSet> {
        let SequenceSet::Ranges(ranges) = self else { return None };
        let value = |b: SeqBound| if let Bound::Number(n) = b.0 { n } else { max };
        Some(NumberSet::from_ranges(ranges.iter().map(|&(a, b)| (value(a).min(value(b)), value(a).max(value(b))))))
    }

    /// Whether `*` stands in it.
    pub fn has_star(&self) -> bool {
        matches!(self, SequenceSet::Ranges(r) if r.iter().any(|(a, b)| a.0 == Bound::Star || b.0 == Bound::Star))
    }
}

fn range(text: &[u8]) -> Result<(SeqBound, SeqBound), SetError> {
    let mut ends = text.splitn(2, |&b| b == b':');
    let first = bound(ends.next().unwrap_or_default())?;
    let second = ends.next().map_or(Ok(first), bound)?;
    Ok((first, second))
}

fn bound(text: &[u8]) -> Result<SeqBound, SetError> {
    if text == b"*" {
        return Ok(SeqBound(Bound::Star));
    }
    let number =
        std::str::from_utf8(text).ok().filter(|t| t.bytes().all(|b| b.is_ascii_digit())).and_then(|t| t.parse().ok());
    match number {
        Some(n) if n > 0 => Ok(SeqBound(Bound::Number(n))),
        _ => Err(SetError("Invalid message set")),
    }
}

/// A sorted set of numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NumberSet {
    ranges: Vec<(u32, u32)>,
}

impl NumberSet {
    /// From ranges in any order (low, high).
    pub fn from_ranges(ranges: impl Iterator<Item = (u32, u32)>) -> Self {
        let mut sorted: Vec<(u32, u32)> = ranges.filter(|r| r.0 <= r.1).collect();
        sorted.sort_unstable();
        let mut out: Vec<(u32, u32)> = Vec::with_capacity(sorted.len());
        for (low, high) in sorted {
            match out.last_mut() {
                Some(last) if low <= last.1.saturating_add(1) => last.1 = last.1.max(high),
                _ => out.push((low, high)),
            }
        }
        NumberSet { ranges: out }
    }

    /// From numbers in any order.
    pub fn from_numbers(numbers: impl Iterator<Item = u32>) -> Self {
        Self::from_ranges(numbers.map(|n| (n, n)))
    }

    /// Adds a number not smaller than any in the set.
    pub fn push(&mut self, n: u32) {
        match self.ranges.last_mut() {
            Some(last) if n == last.1.wrapping_add(1) && n != 0 => last.1 = n,
            Some(last) if n <= last.1 => {}
            _ => self.ranges.push((n, n)),
        }
    }

    /// The ranges, sorted.
    pub fn ranges(&self) -> &[(u32, u32)] {
        &self.ranges
    }

    /// True when it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// How many numbers it holds.
    pub fn count(&self) -> u64 {
        self.ranges.iter().map(|r| u64::from(r.1 - r.0) + 1).sum()
    }

    /// Whether it holds `n`.
    pub fn contains(&self, n: u32) -> bool {
        let index = self.ranges.partition_point(|r| r.1 < n);
        self.ranges.get(index).is_some_and(|r| r.0 <= n)
    }

    /// The smallest number.
    pub fn first(&self) -> Option<u32> {
        self.ranges.first().map(|r| r.0)
    }

    /// The largest number.
    pub fn last(&self) -> Option<u32> {
        self.ranges.last().map(|r| r.1)
    }

    /// All numbers, rising. Only for sets known to be small (already cut to what exists).
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = u32> + '_ {
        self.ranges.iter().flat_map(|r| r.0..=r.1)
    }
}

impl std::fmt::Display for NumberSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, (low, high)) in self.ranges.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            if low == high { write!(f, "{comma}{low}")? } else { write!(f, "{comma}{low}:{high}")? }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(text: &str, max: u32) -> String {
        SequenceSet::parse(text.as_bytes()).unwrap().resolve(max).unwrap().to_string()
    }

    #[test]
    fn resolves_and_joins() {
        assert_eq!(set("5,1:3,2,4", 9), "1:5");
        assert_eq!(set("*:7,1", 9), "1,7:9");
        assert_eq!(set("3:*", 2), "2:3"); // RFC 3501 9: order of a range does not matter, so this holds 2
        assert_eq!(set("1:4294967295,4294967295", 1), "1:4294967295");
        assert_eq!(SequenceSet::parse(b"$"), Ok(SequenceSet::Saved));
        assert!(SequenceSet::parse(b"1:*").unwrap().has_star());
    }

    #[test]
    fn rejects_nonsense() {
        for bad in ["", "0", "1,,2", "1:2:3", ":1", "1:", "4294967296", "$,1", "+1", "a"] {
            assert!(SequenceSet::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn membership_and_counts() {
        let s = NumberSet::from_numbers([1, 2, 3, 7, 9, 8].into_iter());
        assert_eq!(s.to_string(), "1:3,7:9");
        assert!(s.contains(2) && s.contains(9) && !s.contains(4) && !s.contains(10) && !s.contains(0));
        assert_eq!((s.count(), s.first(), s.last()), (6, Some(1), Some(9)));
        assert_eq!(s.iter().collect::<Vec<_>>(), [1, 2, 3, 7, 8, 9]);
        let mut p = NumberSet::default();
        for n in [1, 2, 4, 4, 5] {
            p.push(n);
        }
        assert_eq!(p.to_string(), "1:2,4:5");
        assert_eq!(NumberSet::from_ranges([(0, u32::MAX)].into_iter()).count(), 1 << 32);
    }
}
