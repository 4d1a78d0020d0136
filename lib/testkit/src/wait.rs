//! Waiting for what must happen some time.
//!
//! Invariants  1. a wait looks for the event itself, never for a moment at which it should be over
//!             2. its limit is that of a machine that does many other things: nothing is proven by being early

use std::time::{Duration, Instant};

/// How long anything may take before a test takes it for missing.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// What a look can give: whether it is so, or the thing looked for.
pub trait Look {
    /// What is known once it has happened.
    type Found;
    /// That, or nothing yet.
    fn found(self) -> Option<Self::Found>;
}

impl Look for bool {
    type Found = ();
    fn found(self) -> Option<()> {
        self.then_some(())
    }
}

impl<T> Look for Option<T> {
    type Found = T;
    fn found(self) -> Option<T> {
        self
    }
}

/// Looks again and again until it has happened.
///
/// # Panics
/// After [`PATIENCE`].
#[track_caller]
pub fn until<L: Look>(what: &str, mut look: impl FnMut() -> L) -> L::Found {
    let end = Instant::now() + PATIENCE;
    let mut nap = Duration::from_millis(1);
    loop {
        if let Some(found) = look().found() {
            return found;
        }
        assert!(Instant::now() < end, "{what} did not come");
        std::thread::sleep(nap);
        nap = (nap * 2).min(Duration::from_millis(20));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_looks_until_there_is_something() {
        let mut looks = 0;
        let mut count = || {
            looks += 1;
            looks
        };
        until("the third look", || count() == 3);
        assert_eq!(until("the fifth look", || Some(count()).filter(|n| *n == 5)), 5);
    }
}
