//! Answers kept by one process for as long as the DNS allows.
//!
//! Invariants  1. a positive answer lives its smallest TTL, a negative one what RFC 2308 5 allows, a failure a few
//!             seconds   2. at most `ENTRIES_MAX` entries; when full, all stale ones go, then everything
//! Why         one message asks the same names again and again (SPF, DKIM, DMARC, ARC); a dead name server must cost
//!             its time-out once, not once a check

use crate::name::Name;
use crate::record::{Answer, Error, Type};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Entries of one process; about 2 MB.
const ENTRIES_MAX: usize = 10_000;
/// RFC 2308 7.1: a failure may be kept at most five minutes; long enough for one message is enough.
const FAILURE: Duration = Duration::from_secs(10);
/// Longest time anything is kept, whatever its TTL.
const KEEP_MAX: Duration = Duration::from_secs(3600);

type Outcome = Result<Answer, Error>;

/// The cache of one resolver.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    entries: HashMap<(Name, Type), (Instant, Outcome)>,
}

impl Cache {
    /// What is known and not stale at `now`.
    pub fn find(&self, name: &Name, kind: Type, now: Instant) -> Option<Outcome> {
        let (until, outcome) = self.entries.get(&(name.clone(), kind))?;
        (now < *until).then(|| outcome.clone())
    }

    /// Keeps an outcome.
    pub fn keep(&mut self, name: &Name, kind: Type, outcome: &Outcome, now: Instant) {
        if self.entries.len() >= ENTRIES_MAX {
            self.entries.retain(|_, (until, _)| now < *until);
        }
        if self.entries.len() >= ENTRIES_MAX {
            self.entries.clear();
        }
        let life = match outcome {
            // A TTL of zero still serves the message at hand.
            Ok(answer) => Duration::from_secs(u64::from(answer.ttl.max(1))).min(KEEP_MAX),
            Err(_) => FAILURE,
        };
        self.entries.insert((name.clone(), kind), (now + life, outcome.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(ttl: u32) -> Outcome {
        let canonical = Name::parse("a.example").unwrap();
        Ok(Answer { records: Vec::new(), exists: true, authentic: false, canonical, ttl })
    }

    #[test]
    fn entries_go_stale() {
        let (mut cache, now) = (Cache::default(), Instant::now());
        let name = Name::parse("a.example").unwrap();
        cache.keep(&name, Type::A, &answer(5), now);
        cache.keep(&name, Type::Mx, &Err(Error::Timeout), now);
        let later = now + Duration::from_secs(6);
        assert!(cache.find(&name, Type::A, now).is_some());
        assert!(cache.find(&name, Type::Txt, now).is_none());
        assert!(cache.find(&name, Type::A, later).is_none());
        assert_eq!(cache.find(&name, Type::Mx, later), Some(Err(Error::Timeout)));
        assert!(cache.find(&name, Type::Mx, now + FAILURE).is_none());
    }

    #[test]
    fn size_is_bounded() {
        let (mut cache, now) = (Cache::default(), Instant::now());
        for i in 0..ENTRIES_MAX + 10 {
            cache.keep(&Name::parse(&format!("n{i}.example")).unwrap(), Type::A, &answer(60), now);
        }
        assert!(cache.entries.len() <= ENTRIES_MAX);
    }
}
