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
mod rar_packed;
pub mod rtf;
pub mod sevenz;
mod sevenz_coder;
pub mod stream;
pub mod szdd;
pub mod tar;
pub mod vba;
pub mod zip;

/// Takes out escapes of a mark and two hexadecimal digits: `%41` of URLs, `#41` of PDF names.
fn hex_escapes(text: &[u8], mark: u8) -> Vec<u8> {
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(&c) = text.get(at) {
        let code = text
            .get(at + 1..at + 3)
            .and_then(|h| std::str::from_utf8(h).ok())
            .and_then(|h| u8::from_str_radix(h, 16).ok());
        match code.filter(|_| c == mark) {
            Some(b) => {
                out.push(b);
                at += 3;
            }
            None => {
                out.push(c);
                at += 1;
            }
        }
    }
    out
}
