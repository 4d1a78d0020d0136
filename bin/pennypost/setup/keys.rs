//! TLS and DKIM keys.

use super::Options;
use super::plan::{Plan, put};
use crate::table::say;
use penny_base::{Config, Failure};
use penny_tls::certificate;
use std::path::Path;

/// Life of a certificate that vouches for itself.
const DAYS: u32 = 825;

/// The certificate: the given one, the one there is, or a new self-signed one.
pub fn tls(plan: &mut Plan, config: &Config, options: &Options) -> Result<(), Failure> {
    let (chain, key) = (&config.tls.certificate, &config.tls.key);
    if chain.exists() || key.exists() {
        let facts = pair(chain, key)?;
        return plan.step(&format!("{} (for {})", chain.display(), facts.names.join(", ")), false, || Ok(()));
    }
    if options.certificate.is_some() {
        // a configuration of the admin's own names another one
        return Err(Failure::usage(format!("there is no {}", chain.display())));
    }
    let host = config.hostname();
    let names = [host.as_str(), options.domain.as_str()];
    plan.step(&format!("{} (self-signed, for {})", chain.display(), names.join(", ")), true, || {
        let (pem, private) = certificate::self_signed(&names, DAYS).map_err(Failure::config)?;
        put(key, &private, 0o600)?;
        put(chain, &pem, 0o644)
    })
}

/// A certificate and the key that belongs to it.
pub fn pair(chain: &Path, key: &Path) -> Result<certificate::Facts, Failure> {
    let facts = certificate::facts(chain).map_err(Failure::config)?;
    match certificate::fits(chain, key).map_err(Failure::config)? {
        true => Ok(facts),
        false => Err(Failure::config(format!("{} is not the key of {}", key.display(), chain.display()))),
    }
}

/// An RSA key that every receiver understands and an Ed25519 one (RFC 8463).
pub fn dkim(plan: &mut Plan, config: &Config, options: &Options) -> Result<(), Failure> {
    let domain = options.domain.as_str();
    if let Ok(found) = crate::dkim::records(config, domain)
        && !found.is_empty()
    {
        let selectors: Vec<String> = found.into_iter().map(|(s, _)| s).collect();
        return plan.step(&format!("DKIM keys {}", selectors.join(", ")), false, || Ok(()));
    }
    if !crate::dkim::program(config).exists() {
        return say("no DKIM keys: dkimsign is not installed; with it, setup once more makes them").map(drop);
    }
    let selector = options.selector.clone().unwrap_or_else(selector);
    let table = &config.dkimsign.table;
    let directory = config.paths.tables.join("dkim.d");
    for (kind, suffix) in [("rsa", ""), ("ed25519", "e")] {
        let selector = format!("{selector}{suffix}");
        let key = directory.join(format!("{domain}.{selector}.pem"));
        plan.step(&format!("{} ({kind})", key.display()), !key.exists(), || {
            crate::dkim::generate(config, kind, domain, &selector, &key)
        })?;
        // the reports of this host are from a name below the domain
        let key = key.display();
        let line = format!("{domain} {selector} {key}\n.{domain} {selector} {key} d={domain}\n");
        let old = std::fs::read_to_string(table).unwrap_or_default();
        plan.file(table, &(old + &line), 0o644)?;
    }
    Ok(())
}

/// `pp2026`: a selector of a year is easy to retire.
fn selector() -> String {
    let seconds = penny_sys::time::now().as_secs();
    format!("pp{}", penny_mime::date::civil_from_days(i64::try_from(seconds / 86400).unwrap_or(0)).0)
}
