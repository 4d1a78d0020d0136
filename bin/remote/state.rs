//! What is remembered of domains: one small file each, in folders of `paths.state`/out. Names in any letter case.
//!
//! Invariants  a name is a plain file name: no slash, no dot before it
//! Failures    what cannot be read is not known; what cannot be written is forgotten

use crate::dialogue::Settings;
use std::path::PathBuf;

fn file(settings: &Settings, folder: &str, name: &str) -> Option<PathBuf> {
    let name = name.to_ascii_lowercase();
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
    let safe = !name.is_empty() && name.len() < 255 && !name.starts_with('.') && name.bytes().all(plain);
    safe.then(|| settings.state.join("out").join(folder).join(name))
}

/// The text kept for a domain.
pub fn read(settings: &Settings, folder: &str, name: &str, limit: u64) -> Option<String> {
    let bytes = penny_sys::fs::read_limited(&file(settings, folder, name)?, limit).ok()?;
    String::from_utf8(bytes).ok()
}

/// Keeps a text for a domain.
pub fn write(settings: &Settings, folder: &str, name: &str, text: &str) {
    let Some(path) = file(settings, folder, name) else { return };
    if let Some(dir) = path.parent() {
        let _ = std::fs::create_dir_all(dir);
    }
    let _ = penny_sys::fs::replace_file(&path, text.as_bytes(), 0o600);
}
