//! The tables of an admin: who has a mailbox, what an address means, where mail goes, who may come in.
//!
//! | module | table | format people already have |
//! |---|---|---|
//! | [`users`] | `users` | Dovecot passwd-file |
//! | [`aliases`] | `aliases` | sendmail aliases(5) |
//! | [`virt`] | `virtual` | Postfix virtual(5) |
//! | [`domains`] | `domains` | domain, then local, relay or alias |
//! | [`routes`] | `routes` | Postfix transport(5) |
//! | [`access`] | `access` | kind, pattern, action |
//! | [`resolve`] | all of them | what an address ends in |
//! | [`srs`] | none | rewritten senders, signed |
//! | [`edit`] | all of them | one entry changed, the rest left as written |
//! | [`apps`] | `app-passwords` | login, device, hash, date |
//! | [`behind`] | all of them | a source that is asked instead of text that was read |
//! | [`program`] | all but app-passwords | a program in place of a table: Postfix tcp_table(5) |
//! | [`compile`], [`cdb`] | all but access | NAME.cdb |
//!
//! Invariants  1. a table that cannot be read keeps its last good content and says so   2. resolving ends: cycles and
//!             depth are bounded   3. keys are compared exactly first, then folded
//! Trust       written by the admin; addresses asked about are hostile

pub mod access;
pub mod aliases;
pub mod apps;
pub mod behind;
pub mod cdb;
pub mod cidr;
pub mod compile;
pub mod domains;
pub mod edit;
mod key;
pub mod lines;
pub mod policy;
pub mod program;
mod put;
pub mod resolve;
pub mod routes;
pub mod set;
pub mod source;
pub mod srs;
pub mod users;
pub mod virt;

pub use set::Tables;
