//! Spam scoring: bounded view, features, table, rules.

pub mod decode;
pub mod html;
pub mod view;
