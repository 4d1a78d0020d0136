//! Readers of container and document formats, one file each, all pure.

pub mod elf;
pub mod lzw;
pub mod pe;
pub mod stream;
pub mod tar;
pub mod zip;
