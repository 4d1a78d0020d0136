//! The server side: one conversation of SMTP, submission or LMTP as a state machine without I/O.
//!
//! Use         feed octets to [`Machine::step`], do what the [`Step`] asks, answer with [`Machine::answer`], write
//!             [`Machine::take_output`] when a step says [`Step::NeedInput`] or [`Step::Closed`]

mod base64;
mod binarymime;
mod chunk;
mod command;
mod data;
mod line;
mod machine;
mod offer;
mod reply;
mod state;
mod with;
mod xclient;

pub use base64::is_base64;
pub use binarymime::{NotMime, recode};
pub use chunk::ChunkDecoder;
pub use command::{Command, CommandError, HelloVerb, parse};
pub use data::{BarePolicy, Content, DataDecoder, Policy, Problem};
pub use line::{AUTH_MAX, COMMAND_MAX, Line, LineReader};
pub use machine::{Machine, Request, Step};
pub use offer::{Offer, refused_param};
pub use reply::Reply;
pub use state::{Role, Settings};
pub use with::with_keyword;
pub use xclient::{Attribute, attributes};

#[cfg(test)]
mod tests;
