//! How much TLS a host has to show: the route's word, DANE, MTA-STS, REQUIRETLS.
//!
//! Standards   RFC 7672 2.2 (when TLSA records count), 3.1 (unusable ones), RFC 8461 5 (MTA-STS, after DANE), RFC 7435,
//!             RFC 8689 4.2
//! Invariants  1. TLSA records count only when MX, address and TLSA answers were all validated
//!             2. a TLSA look-up that fails keeps mail away from the host: an attacker could make it fail
//!             3. records that exist but cannot be used still demand encryption

use crate::dialogue::Settings;
use crate::hosts::Host;
use crate::outcome::Trouble;
use crate::sts::{Mode, Policy};
use penny_dns::{Data, Name, Resolve, Type};
use penny_queue::job::{Hop, TlsWish};
use penny_tls::dane::Tlsa;

/// How TLS is to be used with a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Level {
    /// Not at all.
    Never,
    /// If it works.
    Opportunistic,
    /// If it works; what a certificate check would have said is noted (RFC 8461 5, testing).
    Observed,
    /// Encrypted, for the domain's hosts had TLS lately: without it somebody may have stripped it.
    Remembered,
    /// Encrypted, whoever the other side is.
    Encrypted,
    /// With a certificate that leads to a trusted root and names the host.
    Verified,
    /// With a certificate that TLSA records vouch for.
    Dane {
        /// The records.
        records: Vec<Tlsa>,
        /// Names that a certificate under a trust anchor may bear (RFC 7672 3.2.2).
        names: Vec<String>,
    },
}

impl Level {
    /// Whether mail stays rather than go in clear.
    pub fn is_demanded(&self) -> bool {
        !matches!(self, Level::Never | Level::Opportunistic | Level::Observed)
    }

    /// Whether a session made for another domain of the same host has it. DANE's records are the host's, but the names that
    /// count are the domain's too: those are checked again.
    pub fn is_met_by(&self, session: &Level) -> bool {
        match (self, session) {
            (Level::Dane { records: a, .. }, Level::Dane { records: b, .. }) => a == b,
            (Level::Opportunistic | Level::Observed, other) => *other != Level::Never,
            // TLS that was there need not have been demanded: the caller looks whether it is
            (Level::Remembered, _) => true,
            (Level::Encrypted, other) => other.is_demanded(),
            (a, b) => a == b,
        }
    }

    /// Whether the other side's identity is established.
    pub fn is_checked(&self) -> bool {
        matches!(self, Level::Verified | Level::Dane { .. })
    }
}

/// The domain that mail is for, and what it says about itself.
#[derive(Debug)]
pub struct Domain<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its MTA-STS policy, where the route is by MX.
    pub sts: Option<&'a Policy>,
    /// Its hosts had TLS lately.
    pub had_tls: bool,
}

/// Why no session may be begun, with its name in TLS reports (RFC 8460 4.3).
#[derive(Debug)]
pub struct Refusal {
    /// For the journal.
    pub trouble: Trouble,
    /// For the report.
    pub result: &'static str,
}

/// Decides for one host of `domain`.
pub fn decide(
    dns: &dyn Resolve,
    settings: &Settings,
    hop: &Hop,
    host: &Host,
    domain: &Domain<'_>,
    requiretls: bool,
) -> Result<Level, Refusal> {
    if hop.tls == TlsWish::None && !requiretls {
        return Ok(Level::Never);
    }
    if let Some(level) = by_dane(dns, settings, host, domain.name)? {
        // records without use do not prove whose host it is
        let enough = level.is_checked() || !(requiretls || hop.tls == TlsWish::Must);
        return Ok(if enough { level } else { Level::Verified });
    }
    let enforced = domain.sts.filter(|p| p.mode == Mode::Enforce);
    if enforced.is_some_and(|p| !p.fits(&host.name)) {
        // RFC 8461 4.1: a host outside the policy may be an attacker's MX record
        let text = format!("{} is no host of {}'s MTA-STS policy", host.name, domain.name);
        return Err(Refusal { trouble: Trouble::temporary("4.7.5", text), result: "validation-failure" });
    }
    let testing = domain.sts.is_some_and(|p| p.mode == Mode::Testing);
    Ok(match hop.tls {
        _ if requiretls || enforced.is_some() => Level::Verified,
        TlsWish::Must => Level::Verified,
        TlsWish::May if settings.starttls && domain.had_tls => Level::Remembered,
        TlsWish::May if settings.starttls && testing => Level::Observed,
        TlsWish::May if settings.starttls => Level::Opportunistic,
        _ => Level::Never,
    })
}

fn by_dane(dns: &dyn Resolve, settings: &Settings, host: &Host, domain: &str) -> Result<Option<Level>, Refusal> {
    if !settings.dane || !host.authentic || host.name.parse::<std::net::IpAddr>().is_ok() {
        return Ok(None);
    }
    let Some(name) = penny_dns::to_ascii(&host.name).and_then(|n| Name::parse(&n).ok()) else { return Ok(None) };
    // RFC 7672 2.2.2: with insecure addresses TLSA records are not even asked for
    let secure = [Type::A, Type::Aaaa]
        .iter()
        .any(|kind| dns.query(&name, *kind).is_ok_and(|answer| answer.authentic && !answer.is_empty()));
    if !secure {
        return Ok(None);
    }
    let port = name.child("_tcp").and_then(|n| n.child(&format!("_{}", host.port)));
    let Ok(base) = port else { return Ok(None) };
    let answer = dns.query(&base, Type::Tlsa).map_err(|e| {
        // RFC 7672 2.1.2: to be treated as an attack
        let text = format!("TLSA look-up for {} failed: {e}", host.name);
        Refusal { trouble: Trouble::temporary("4.7.5", text), result: "dnssec-invalid" }
    })?;
    if !answer.authentic || answer.is_empty() {
        return Ok(None);
    }
    let records: Vec<Tlsa> = answer.records.into_iter().filter_map(tlsa).filter(Tlsa::is_usable).collect();
    if records.is_empty() {
        return Ok(Some(Level::Encrypted)); // RFC 7672 3.1.3
    }
    let names = vec![host.name.clone(), domain.to_owned()];
    Ok(Some(Level::Dane { records, names }))
}

fn tlsa(data: Data) -> Option<Tlsa> {
    match data {
        Data::Tlsa(usage, selector, matching, data) => Some(Tlsa { usage, selector, matching, data }),
        _ => None,
    }
}
