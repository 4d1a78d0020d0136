//! All targets, one file an area.

mod auth;
mod smtp;

use crate::Target;

/// Every target.
pub fn all() -> impl Iterator<Item = &'static Target> {
    auth::TARGETS.iter().chain(smtp::TARGETS)
}
