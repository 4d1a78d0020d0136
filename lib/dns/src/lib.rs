//! DNS as mail needs it: a blocking stub resolver with time limits, and the look-ups of RFC 5321 on top.
//!
//! Standards   RFC 1035 (messages), 2308 (negative answers), 6891 (EDNS), 5966/7766 (TCP), 6840 5.7 (AD in queries),
//!             5321 5.1 and 7505 (MX), 7208 5.5 (confirmed names), 3492 (Punycode), 5782 (lists of addresses)
//! Invariants  1. every query ends by its deadline   2. "does not exist" and "could not be asked" are never confused:
//!             the first is an [`Answer`], the second an [`Error`]   3. `Answer::authentic` is set only by a resolver
//!             the administrator trusts (loopback, or `trust-ad`)
//! Trust       answers are hostile bytes: bounded, checked against the question, never indexed unchecked
//! Not here    recursion and validation (the resolver's job); DANE and MTA-STS policy (program `remote`)

mod cache;
pub mod dnsbl;
mod fake;
mod idna;
mod lookup;
mod name;
mod random;
mod record;
mod resolvconf;
mod resolver;
mod transport;
pub mod wire;

pub use fake::Zone;
pub use idna::to_ascii;
pub use lookup::{MailHost, MailHosts, addresses, confirmed_name, mail_hosts, reverse_name, txt};
pub use name::{BadName, Name};
pub use record::{Answer, Data, Error, Record, Soa, Type};
pub use resolvconf::{RESOLVER_ENV, Settings};
pub use resolver::{Resolve, Resolver};
