//! The way out for mails we write.

use penny_base::{Config, Failure};
pub use penny_report::mail::{Mail, Part, mailto};
use std::path::Path;

/// Hands a mail to the queue, or writes it into a directory.
pub fn deliver(config: &Config, mail: &Mail<'_>, parts: &[Part], into: Option<&Path>) -> Result<(), Failure> {
    let boundary = format!("=_{:016x}{:016x}", penny_sys::random::u64(), penny_sys::random::u64());
    let bytes = mail.write(parts, &boundary);
    if let Some(dir) = into {
        let path = dir.join(format!("{}.eml", mail.id.replace(['/', '@'], "_")));
        return std::fs::write(&path, bytes).map_err(|e| Failure::io(path.display(), &e));
    }
    penny_base::services::submit(config, mail.from, mail.to, &bytes)
}
