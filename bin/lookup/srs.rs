//! The keys of sender rewriting, made at first use, and the addresses they sign.
//!
//! Format      `paths.state`/lookup/srs.key: one key a line, the first signs, all of them check; mode 0600

use penny_base::{Config, log};
use penny_tables::srs::{Refused, Srs};
use std::path::Path;

/// Reads the keys, or makes one; nothing where the configuration names no domain.
pub fn open(config: &Config) -> Option<Srs> {
    let domain = &config.queue.srs_domain;
    if domain.is_empty() {
        return None;
    }
    let file = config.paths.state.join("lookup/srs.key");
    let keys = std::fs::read_to_string(&file).or_else(|e| match e.kind() {
        std::io::ErrorKind::NotFound => make(&file),
        _ => Err(e),
    });
    match keys {
        Ok(keys) => Srs::new(&keys, domain),
        Err(e) => {
            log::error("srs-key", None, &[("file", &file.display()), ("error", &e)]);
            None
        }
    }
}

fn make(file: &Path) -> std::io::Result<String> {
    if let Some(dir) = file.parent() {
        std::fs::create_dir_all(dir)?;
    }
    let key: String = (0..4).map(|_| format!("{:016x}", penny_sys::random::u64())).collect();
    let text = format!("{key}\n");
    penny_sys::fs::replace_file(file, text.as_bytes(), 0o600)?;
    Ok(text)
}

/// Where mail for a rewritten sender goes; `None` when the address is none. An error is what RCPT says.
pub fn back(srs: Option<&Srs>, address: &str, now: u64) -> Option<Result<String, &'static str>> {
    let (srs, (local, domain)) = (srs?, address.rsplit_once('@')?);
    let local = local.trim_matches('"');
    srs.is_ours(local, domain).then(|| {
        srs.reverse(local, now).map_err(|e| match e {
            Refused::Forged => "5.1.1 no such address",
            Refused::Old => "5.1.6 the address has expired",
        })
    })
}
