//! All targets, one file an area.

mod auth;
mod mail;
mod scan;
mod smtp;
mod spam;

use crate::Target;

/// Every target.
pub fn all() -> impl Iterator<Item = &'static Target> {
    auth::TARGETS.iter().chain(smtp::TARGETS).chain(scan::TARGETS).chain(spam::TARGETS).chain(mail::TARGETS)
}
