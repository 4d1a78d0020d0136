//! Making keys, printing their records, comparing them with the DNS.
//!
//! Rotation    make a key under a new selector, publish, wait for `--check`, change the table, and after a week publish the
//!             old record with an empty p= (RFC 6376 3.6.1)

use crate::args::Options;
use crate::table;
use penny_base::{Config, Failure, Kind, Outcome};
use penny_dns::{Name, Resolver, Settings};
use penny_verify::crypto::{Algorithm, SigningKey};
use penny_verify::dkim::Keys;
use penny_verify::dkim::key::{Key, NoKey};
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::Path;

/// Characters of one string in a zone file (RFC 1035 3.3 allows 255 octets).
const STRING_MAX: usize = 250;

/// Reads a private key.
pub fn load(path: &Path) -> Result<SigningKey, Failure> {
    let pem = std::fs::read(path).map_err(|e| Failure::io(path.display(), &e))?;
    SigningKey::from_pem(&pem).map_err(|why| Failure::config(format!("{}: {why}", path.display())))
}

/// `--generate`: a new key in a new file, readable by its owner only. Made by root it belongs to whoever owns the
/// directory, so that the signing id can read it.
pub fn generate(options: &Options) -> Result<Outcome, Failure> {
    let path = Options::need(&options.key, "key")?;
    let kind = options.generate.as_deref().unwrap_or_default();
    let key = match kind.split_once(':').unwrap_or((kind, "2048")) {
        ("ed25519", "2048") => SigningKey::generate_ed25519(),
        ("rsa", bits) => {
            let bits: u32 = bits
                .parse()
                .ok()
                .filter(|b| (1024..=8192).contains(b))
                .ok_or_else(|| Failure::usage("an RSA key has 1024 to 8192 bits (2048 is usual)"))?;
            SigningKey::generate_rsa(bits)
        }
        _ => return Err(Failure::usage("--generate takes rsa, rsa:BITS or ed25519")),
    };
    let key = key.map_err(|why| Failure::temporary("4.3.0", why))?;
    let pem = key.to_pem().map_err(|why| Failure::temporary("4.3.0", why))?;
    // never over an existing key: its signatures are out there
    let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let mut file = file.map_err(|e| Failure::io(path.display(), &e))?;
    let written = file.write_all(&pem).and_then(|()| to_owner(&file, path)).and_then(|()| file.sync_all());
    written.map_err(|e| Failure::io(path.display(), &e))?;
    record(options)
}

fn to_owner(file: &File, path: &Path) -> std::io::Result<()> {
    let directory = std::fs::metadata(penny_sys::files::dir_of(path))?;
    match file.metadata()?.uid() {
        0 if directory.uid() != 0 => fchown(file, Some(directory.uid()), Some(directory.gid())),
        _ => Ok(()),
    }
}

/// `--record`: the line for the zone file.
pub fn record(options: &Options) -> Result<Outcome, Failure> {
    let key = load(Options::need(&options.key, "key")?)?;
    let selector = Options::need(&options.selector, "selector")?;
    let domain = Options::need(&options.domain, "domain")?;
    print(&format!("{selector}._domainkey.{domain}. IN TXT {}", quoted(&text(&key)?)))
}

/// The value of the record.
fn text(key: &SigningKey) -> Result<String, Failure> {
    let public = key.public_base64().map_err(|why| Failure::temporary("4.3.0", why))?;
    Ok(format!("v=DKIM1; k={}; p={public}", key.algorithm().key_word()))
}

/// Several strings when one is too long.
fn quoted(text: &str) -> String {
    let mut parts = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (part, tail) = rest.split_at_checked(STRING_MAX).unwrap_or((rest, ""));
        parts.push(format!("\"{part}\""));
        rest = tail;
    }
    if parts.len() == 1 { parts.concat() } else { format!("( {} )", parts.join(" ")) }
}

/// `--check`: exit 0 when every key is published as it should be.
pub fn check(options: &Options) -> Result<Outcome, Failure> {
    let settings = Settings::choose(options.resolver.as_deref()).map_err(Failure::usage)?;
    let dns = Resolver::new(settings);
    let mut all_good = true;
    for (path, selector, domain) in wanted(options)? {
        let state = compare(&dns, &load(&path)?, &selector, &domain);
        all_good &= state.is_ok();
        let line = match state {
            Ok(()) => "ok".to_owned(),
            Err(why) => why,
        };
        print(&format!("{selector}._domainkey.{domain}: {line}"))?;
    }
    if all_good { Ok(Outcome::Done) } else { Ok(Outcome::Permanent(Kind::Data)) }
}

/// The keys to compare: the one named, or the table's.
fn wanted(options: &Options) -> Result<Vec<(std::path::PathBuf, String, String)>, Failure> {
    if let Some(path) = &options.key {
        let selector = Options::need(&options.selector, "selector")?.clone();
        return Ok(vec![(path.clone(), selector, Options::need(&options.domain, "domain")?.clone())]);
    }
    let config = Config::load(options.config.as_deref())?;
    let lines = table::load(options.table.as_ref().unwrap_or(&config.dkimsign.table))?;
    let keys = lines.into_iter().filter_map(|l| l.own_domain().map(|d| (l.key.clone(), l.selector.clone(), d)));
    Ok(keys.collect())
}

fn compare(dns: &Resolver, key: &SigningKey, selector: &str, domain: &str) -> Result<(), String> {
    let name = Name::parse(domain).map_err(|e| e.to_string())?;
    let algorithm = key.algorithm();
    let found: Key = Keys::new().fetch(dns, &name, selector, algorithm).map_err(|no_key| match no_key {
        NoKey::Temporary(why) | NoKey::Permanent(why) => why,
    })?;
    let probe = b"pennypost";
    let signature = key.sign(probe).map_err(str::to_owned)?;
    if !found.public.verify(probe, &signature) {
        return Err("another key is published".into());
    }
    match (found.testing, algorithm, found.public.bits()) {
        (true, ..) => Err("published, but marked as a test (t=y)".into()),
        (_, Algorithm::RsaSha256, bits) if bits < 2048 => Err(format!("published; {bits} bits are too short by now")),
        _ => Ok(()),
    }
}

fn print(text: &str) -> Result<Outcome, Failure> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush()).map_err(|e| Failure::io("standard output", &e))?;
    Ok(Outcome::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_records_are_split() {
        assert_eq!(quoted("v=DKIM1"), "\"v=DKIM1\"");
        let long = quoted(&"x".repeat(600));
        assert!(long.starts_with("( \"") && long.ends_with("\" )"));
        assert_eq!(long.matches('x').count(), 600);
        assert!(long.split_whitespace().all(|w| w.len() <= 255));
    }
}
