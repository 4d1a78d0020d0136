//! The containers ClamAV databases come in: .cvd (gzip) and .cld (plain) tar behind a 512-octet header.
//!
//! Format      `ClamAV-VDB:time:version:signatures:level:md5:dsig:builder:stime`, space-padded; the MD5 is of what follows
//! Failures    a wrong checksum is an error: half a database must not replace a whole one
//! Trust       the RSA signature (`dsig`) is not verified here: fetch databases with a tool that does

use crate::format::tar;
use std::io::Read;

/// Length of the header.
const HEADER: usize = 512;

/// Whether a file is such a container.
pub fn is_container(data: &[u8]) -> bool {
    data.starts_with(b"ClamAV-VDB:")
}

/// The members, name and content.
pub fn members(data: &[u8]) -> Result<Vec<(String, Vec<u8>)>, String> {
    let (head, body) = data.split_at_checked(HEADER).ok_or("cut short")?;
    check_digest(head, body)?;
    let mut plain = Vec::new();
    let body = if body.starts_with(b"\x1f\x8b") {
        flate2::bufread::MultiGzDecoder::new(body).read_to_end(&mut plain).map_err(|e| e.to_string())?;
        &plain
    } else {
        body
    };
    Ok(tar::entries(body).map(|e| (String::from_utf8_lossy(&e.name).into_owned(), e.data.to_vec())).collect())
}

fn check_digest(head: &[u8], body: &[u8]) -> Result<(), String> {
    let head = String::from_utf8_lossy(head);
    let stated = head.split(':').nth(5).unwrap_or_default().trim();
    let found: String = super::hashes::Algorithm::Md5.digest(body).iter().map(|b| format!("{b:02x}")).collect();
    // a .cld is patched in place by its updater, which leaves the field of the .cvd it grew from
    let packed = body.starts_with(b"\x1f\x8b");
    if packed && stated.len() == 32 && !stated.eq_ignore_ascii_case(&found) {
        return Err(format!("checksum {found}, header says {stated}"));
    }
    Ok(())
}
