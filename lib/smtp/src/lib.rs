//! SMTP and LMTP without I/O: bytes in, typed events and bytes out.
//!
//! Standards   RFC 5321, RFC 2033 (LMTP), RFC 2920, 1870, 6152, 6531, 3461, 2034, 3207, 4954, 3030, 8689, 9422, 4865,
//!             2852, 6710
//! Parts       [`server`]: line reader, commands, DATA and BDAT decoders, the state machine of one conversation
//!             [`milter`]: the milter protocol
//!             [`client`]: reply parser, EHLO keywords, DATA and BDAT encoders
//! Invariants  1. every decoder gives the same events wherever its input is cut
//!             2. message content leaves with LF line ends and comes back with CRLF; only CRLF . CRLF ends it
//!             3. memory is bounded by the limits given, whatever the peer sends
//! Trust       the peer is hostile

pub mod client;
pub mod milter;
pub mod server;
