//! TLS by OpenSSL: the server's context and the process that stands between a socket and a plain program; the client
//! side of `remote`.
//!
//! Standard    RFC 8446, RFC 5246, RFC 9266 (tls-exporter channel binding), RFC 8314, UCSPI-TLS
//! Invariants  1. keys are read by the process that starts as root and live in no process that runs a protocol parser
//!             2. TLS 1.2 is the lowest version   3. no renegotiation, no compression
//! Not here    DANE and MTA-STS policy (the caller judges the certificate chain it is shown)

pub mod certificate;
pub mod client;
pub mod dane;
mod handshake;
mod pump;
pub mod server;

pub use handshake::{Session, accept};
pub use pump::pump;
pub use server::Context;
