//! Queue entry format, states, journal, client of enqueue.
//!
//! | module | what it holds | does I/O |
//! |---|---|---|
//! | [`envelope`] | the header block of an entry: the native envelope form of every program | no |
//! | [`journal`] | outcomes of an entry so far, as lines | no |
//! | [`entry`] | where entries lie, and the order of calls between states | files |
//! | [`name`] | entry names, never reused | no |
//! | [`report`] | delivery reports as messages | no |
//! | [`schedule`] | when and in which order entries are tried | no |
//!
//! The format is specified in pennypost-queue(5).

pub mod entry;
pub mod envelope;
pub mod journal;
pub mod name;
pub mod report;
pub mod schedule;

pub use entry::Queue;
pub use envelope::{Address, Envelope, Line, Param, Recipient, Sender};
pub use name::Name;
