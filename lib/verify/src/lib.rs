//! SPF, DKIM, DMARC, ARC: exact verdicts about where a message comes from.
//!
//! Standards   RFC 7208, 6376, 8301, 8463, 9989, 8617, 8601
//! Invariants  1. the DNS is asked only through [`penny_dns::Resolve`]; nothing here does I/O of its own
//!             2. a DNS failure is `temperror`, never a verdict   3. OpenSSL is touched only in crypto.rs
//! Trust       messages, signatures and records are hostile; every count is bounded

pub mod arc;
pub mod assess;
pub mod authres;
pub mod bimi;
pub mod crypto;
pub mod dkim;
pub mod dmarc;
pub mod message;
pub mod spf;
pub mod tags;
