//! Queue entry format, states, journal, client of enqueue.
//!
//! | module | what it holds | does I/O |
//! |---|---|---|
//! | [`client`] | the connection to enqueue, a message that is still arriving | sockets |
//! | [`commit`] | writing one entry durably (enqueue only) | files |
//! | [`envelope`] | the header block of an entry: the native envelope form of every program | no |
//! | [`journal`] | outcomes of an entry so far, as lines | no |
//! | [`active`] | an entry being worked on: what is left to do | no |
//! | [`control`] | client of qrun's control socket | socket |
//! | [`entry`] | where entries lie, and the order of calls between states | files |
//! | [`filter`] | how a filter is asked, what it may say | its files |
//! | [`name`] | entry names, never reused | no |
//! | [`job`] | packets between qrun and remote | no |
//! | [`json`] | JSON lines for qctl | no |
//! | [`report`] | delivery reports as messages | no |
//! | [`schedule`] | when and in which order entries are tried | no |
//!
//! The format is specified in pennypost-queue(5).

pub mod active;
pub mod client;
pub mod commit;
pub mod control;
pub mod entry;
pub mod envelope;
pub mod filter;
pub mod job;
pub mod journal;
pub mod json;
pub mod name;
pub mod report;
pub mod schedule;

pub use client::{Enqueue, Spool};
pub use commit::{Directories, Message};
pub use entry::Queue;
pub use envelope::{Address, Envelope, Line, Param, Recipient, Sender};
pub use name::Name;
