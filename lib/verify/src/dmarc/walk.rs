//! The DNS tree walk.
//!
//! Standards   RFC 9989 4.10 (steps), 4.10.2 (choosing the organizational domain)
//! Invariants  at most eight queries a domain, however many labels it has

use super::psl::PublicSuffixes;
use super::record::{Psd, Record};
use penny_dns::{Error, Name, Resolve, txt};

/// Labels kept when a long name is cut (4.10 step 4).
const LABELS_KEPT: usize = 7;

/// The records found on the way from a domain to the root, longest name first.
#[derive(Clone, Debug)]
pub(crate) struct Walk {
    start: Name,
    found: Vec<(Name, Record)>,
    organization: Name,
}

impl Walk {
    /// Walks. With a public suffix list, records at public suffixes count only with `psd=y`.
    pub fn new(dns: &dyn Resolve, start: &Name, suffixes: Option<&PublicSuffixes>) -> Result<Self, Error> {
        let mut found = Vec::new();
        for target in targets(start) {
            let Some(record) = record_at(dns, &target)? else { continue };
            if record.psd == Psd::Unsaid && suffixes.is_some_and(|s| s.is_suffix(&target)) {
                continue;
            }
            let stop = record.psd != Psd::Unsaid;
            found.push((target, record));
            if stop {
                break;
            }
        }
        let organization = organization(start, &found, suffixes);
        Ok(Self { start: start.clone(), found, organization })
    }

    /// The organizational domain (4.10.2).
    pub fn organization(&self) -> &Name {
        &self.organization
    }

    /// The record to apply and where it stands: the author's own, the organization's, the public suffix's (4.10.1).
    pub fn policy(&self) -> Option<&(Name, Record)> {
        let at = |name: &Name| self.found.iter().find(|(n, _)| n == name);
        let suffix = || self.found.iter().find(|(_, r)| r.psd == Psd::Yes);
        at(&self.start).or_else(|| at(&self.organization)).or_else(suffix)
    }
}

/// The names to ask at: the start, then from at most seven labels down to one.
fn targets(start: &Name) -> Vec<Name> {
    let labels = start.label_count();
    let next = if labels > LABELS_KEPT { LABELS_KEPT } else { labels.saturating_sub(1) };
    std::iter::once(start.clone()).chain((1..=next).rev().map(|n| start.suffix(n))).collect()
}

/// The one valid record at a name; several count as none (step 2).
fn record_at(dns: &dyn Resolve, name: &Name) -> Result<Option<Record>, Error> {
    let Ok(at) = name.child("_dmarc") else { return Ok(None) };
    let mut records = txt(dns, &at)?.into_iter().filter_map(|text| Record::parse(&text));
    Ok(records.next().filter(|_| records.next().is_none()))
}

fn organization(start: &Name, found: &[(Name, Record)], suffixes: Option<&PublicSuffixes>) -> Name {
    for (name, record) in found {
        match record.psd {
            Psd::No => return name.clone(),
            // one label below the public suffix, on the way from the start
            Psd::Yes if name != start => return start.suffix(name.label_count() + 1),
            _ => {}
        }
    }
    if let Some(organization) = suffixes.and_then(|s| s.organization(start)) {
        return organization; // RFC 7489 3.2
    }
    found.last().map_or_else(|| start.clone(), |(name, _)| name.clone())
}
