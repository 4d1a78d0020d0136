//! When and in which order things are tried: pure bookkeeping of the scheduler, no clock, no I/O.
//!
//! Invariants  1. no destination can hold another: each has its own queue and its own limit
//!             2. within a destination, and among destinations that could start something, senders take turns, within a
//!                sender entries take turns, and a turn costs what it moves
//!             3. a destination that keeps failing is left alone for a while, never for ever
//!             4. what waits is bounded in memory; what does not fit is found again by a scan

mod backoff;
mod clock;
mod fair;
mod pace;
mod plan;
mod ring;
mod waiting;
mod window;

pub use backoff::Backoff;
pub use clock::{Clock, Jump};
pub use fair::{FairQueue, Turn, cost};
pub use pace::{Pace, Rate};
pub use plan::{DestKey, Next, Plan};
pub use waiting::Waiting;
pub use window::{Limits, Window};
