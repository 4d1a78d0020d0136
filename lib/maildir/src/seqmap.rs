//! Message sequence numbers: the map between positions and UIDs that one session keeps.
//!
//! Standards   RFC 9051 2.3.1.2 (numbers run from 1 without gaps), 7.5.1 (an EXPUNGE renumbers at once)
//! Invariants  1. runs are sorted, do not overlap and do not touch   2. `len` is the sum of their lengths
//!
//! UIDs mostly follow each other, so a map of 100,000 messages is a handful of runs: an idle session stays small.

/// A run of UIDs without gaps, and how many messages come before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    first: u32,
    len: u32,
    before: u32,
}

/// UIDs in rising order, addressed by sequence number from 1.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SeqMap {
    runs: Vec<Run>,
}

impl SeqMap {
    /// An empty map.
    pub fn new() -> SeqMap {
        SeqMap::default()
    }

    /// Number of messages.
    pub fn len(&self) -> u32 {
        self.runs.last().map_or(0, |r| r.before + r.len)
    }

    /// True without messages.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Adds a UID that is higher than all before; others are ignored.
    pub fn push(&mut self, uid: u32) {
        let before = self.len();
        match self.runs.last_mut() {
            Some(run) if u64::from(uid) < u64::from(run.first) + u64::from(run.len) => {}
            Some(run) if u64::from(uid) == u64::from(run.first) + u64::from(run.len) => run.len += 1,
            _ => self.runs.push(Run { first: uid, len: 1, before }),
        }
    }

    /// UID of a sequence number.
    pub fn uid(&self, seq: u32) -> Option<u32> {
        let zero = seq.checked_sub(1)?;
        let at = self.runs.partition_point(|r| r.before <= zero).checked_sub(1)?;
        let run = self.runs.get(at)?;
        let offset = zero - run.before;
        (offset < run.len).then(|| run.first + offset)
    }

    /// Sequence number of a UID.
    pub fn seq(&self, uid: u32) -> Option<u32> {
        let run = self.runs.get(self.run_of(uid)?)?;
        Some(run.before + (uid - run.first) + 1)
    }

    /// Sequence number of the first message whose UID is not below this one.
    pub fn seq_from(&self, uid: u32) -> Option<u32> {
        let at = self.runs.partition_point(|r| r.first + (r.len - 1) < uid);
        let run = self.runs.get(at)?;
        Some(run.before + uid.saturating_sub(run.first) + 1)
    }

    /// The highest UID.
    pub fn last_uid(&self) -> Option<u32> {
        self.runs.last().map(|r| r.first + (r.len - 1))
    }

    /// Index of the run that holds the UID.
    fn run_of(&self, uid: u32) -> Option<usize> {
        let at = self.runs.partition_point(|r| r.first <= uid).checked_sub(1)?;
        let run = self.runs.get(at)?;
        (uid - run.first < run.len).then_some(at)
    }

    /// Takes a UID out; returns the sequence number it had (what EXPUNGE reports).
    pub fn remove(&mut self, uid: u32) -> Option<u32> {
        let at = self.run_of(uid)?;
        let run = *self.runs.get(at)?;
        let offset = uid - run.first;
        let left = Run { len: offset, ..run };
        let right = Run { first: uid.wrapping_add(1), len: run.len - offset - 1, before: run.before + offset };
        let parts = [left, right].into_iter().filter(|r| r.len > 0);
        let added: Vec<Run> = parts.collect();
        let next = at + added.len();
        self.runs.splice(at..=at, added);
        for later in self.runs.iter_mut().skip(next) {
            later.before -= 1;
        }
        Some(run.before + offset + 1)
    }

    /// Takes many UIDs (sorted, rising) out in one pass.
    pub fn remove_all(&mut self, sorted: &[u32]) {
        match sorted {
            [] => {}
            few if few.len() < 16 => {
                for uid in few {
                    self.remove(*uid);
                }
            }
            many => {
                let kept: SeqMap = self.iter().filter(|uid| many.binary_search(uid).is_err()).collect();
                *self = kept;
            }
        }
    }

    /// All UIDs in order.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.runs.iter().flat_map(|r| (0..r.len).map(move |i| r.first + i))
    }

    /// The runs as (first UID, last UID).
    pub fn ranges(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        self.runs.iter().map(|r| (r.first, r.first + (r.len - 1)))
    }
}

impl FromIterator<u32> for SeqMap {
    fn from_iter<I: IntoIterator<Item = u32>>(uids: I) -> SeqMap {
        let mut map = SeqMap::new();
        uids.into_iter().for_each(|uid| map.push(uid));
        map
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_a_plain_vector() {
        let mut plain: Vec<u32> = (1..400).filter(|u| u % 7 != 0 && !(100..200).contains(u)).collect();
        plain.push(u32::MAX - 1);
        let mut map: SeqMap = plain.iter().copied().collect();
        let mut seed = 7u32;
        while !plain.is_empty() {
            assert_eq!(map.len() as usize, plain.len());
            assert_eq!(map.last_uid(), plain.last().copied());
            for (i, uid) in plain.iter().enumerate() {
                assert_eq!(map.uid(i as u32 + 1), Some(*uid));
                assert_eq!(map.seq(*uid), Some(i as u32 + 1));
            }
            for probe in [0, 1, 50, 150, 399, 1000] {
                let expected = plain.iter().position(|u| *u >= probe).map(|i| i as u32 + 1);
                assert_eq!(map.seq_from(probe), expected, "{probe}");
            }
            assert_eq!(map.uid(0), None);
            assert_eq!(map.uid(plain.len() as u32 + 1), None);
            assert_eq!(map.remove(1_000_000), None);
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let at = (seed >> 8) as usize % plain.len();
            let uid = plain.remove(at);
            assert_eq!(map.remove(uid), Some(at as u32 + 1));
            if plain.len() == 150 {
                let gone: Vec<u32> = plain.iter().copied().step_by(3).collect();
                plain.retain(|u| gone.binary_search(u).is_err());
                map.remove_all(&gone);
            }
        }
        assert!(map.is_empty());
    }

    #[test]
    fn runs_are_few_and_order_is_kept() {
        let mut map: SeqMap = (1..=100_000).collect();
        assert_eq!(map.runs.len(), 1);
        map.push(5);
        assert_eq!(map.len(), 100_000);
        assert_eq!(map.remove(50_000), Some(50_000));
        assert_eq!(map.ranges().collect::<Vec<_>>(), [(1, 49_999), (50_001, 100_000)]);
    }
}
