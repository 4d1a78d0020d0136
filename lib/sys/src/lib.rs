//! System calls with a small safe face: the only crate with unsafe code.

pub mod files;
