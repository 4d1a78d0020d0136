//! The client side: what `remote` and the tests need.

mod ehlo;
mod encode;
mod reply;

pub use ehlo::Extensions;
pub use encode::{DataEncoder, wire_len};
pub use reply::{Enhanced, LINE_MAX, Reply, ReplyError, ReplyParser};
