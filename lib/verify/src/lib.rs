//! SPF, DKIM, DMARC, ARC engines over a Resolve trait.
pub mod spf;
