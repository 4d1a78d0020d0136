//! Readers of container and document formats, one file each, all pure.

pub mod ar;
pub mod arj;
pub mod cab;
pub mod cpio;
pub mod elf;
pub mod flash;
pub mod html;
pub mod iso;
pub mod lha;
pub mod lzh;
pub mod lzw;
pub mod ole;
pub mod onenote;
pub mod pdf;
mod pdf_crypt;
mod pdf_filter;
pub mod pe;
pub mod rar;
pub mod rtf;
pub mod sevenz;
mod sevenz_coder;
pub mod stream;
pub mod szdd;
pub mod tar;
pub mod vba;
pub mod zip;
