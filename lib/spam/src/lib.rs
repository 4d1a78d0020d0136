//! Spam scoring: a bounded view of a message, features, a learned table, rules, and a verdict.
//!
//! The way of a message: [`view::Message::read`] looks at it once; [`feature::Extractor`] turns that into table cells;
//! [`model::score`] adds up what was learned and [`rules::check`] what is known beforehand;
//! [`verdict::Verdict`] says spam, ham or unsure. [`model::learn`] and [`store::Writer`] go the other way.
//!
//! Only store.rs does I/O; everything else is bytes in, values out.

pub mod decode;
pub mod engine;
pub mod explain;
pub mod feature;
pub mod html;
pub mod math;
pub mod model;
pub mod roc;
pub mod rules;
pub mod senders;
pub mod store;
pub mod table;
pub mod verdict;
pub mod view;
