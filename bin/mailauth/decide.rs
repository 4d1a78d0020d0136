//! What becomes of a message: the domain's wish, our configuration, our exceptions.
//!
//! Standards   RFC 9989 5.4 (enforcement is the receiver's choice), 7.3 (rejecting), RFC 7372 (5.7.23)
//! Invariants  1. a policy is never made stricter than the domain published it   2. a failing DNS defers, it never rejects

use penny_base::config::{DmarcAction, Mailauth};
use penny_dns::Name;
use penny_verify::assess::Assessment;
use penny_verify::dmarc::{Outcome, Policy};
use penny_verify::spf;

/// A decision and its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Let it in.
    Accept,
    /// Let it in although DMARC failed, for this reason (an RFC 9990 override type).
    Excused(&'static str),
    /// To the junk folder.
    Junk,
    /// Refuse, with this line for the client.
    Reject(String),
    /// Try again later, with this reason.
    Defer(String),
}

/// Decides.
pub fn decide(a: &Assessment, config: &Mailauth) -> Decision {
    if config.spf_reject && a.spf.outcome == spf::Outcome::Fail {
        let why = a.spf.explanation.clone().unwrap_or_else(|| format!("{} does not allow this client", a.spf.domain));
        return Decision::Reject(format!("5.7.23 SPF: {why}"));
    }
    match a.dmarc.outcome {
        Outcome::Fail => failed(a, config),
        Outcome::TempError if config.defer && config.dmarc != DmarcAction::None => {
            Decision::Defer(format!("DMARC of {}: {}", a.dmarc.author, a.dmarc.reason))
        }
        _ => Decision::Accept,
    }
}

fn failed(a: &Assessment, config: &Mailauth) -> Decision {
    if a.dmarc.policy == Policy::None || config.dmarc == DmarcAction::None {
        return Decision::Accept;
    }
    if is_listed(&a.dmarc.author, &config.except) {
        return Decision::Excused("local_policy");
    }
    if a.excused_by(&config.trusted_sealers).is_some() {
        return Decision::Excused("trusted_forwarder");
    }
    match (a.dmarc.policy, config.dmarc) {
        (Policy::Reject, DmarcAction::Reject) => {
            Decision::Reject(format!("5.7.1 Rejected by the DMARC policy of {}", a.dmarc.domain))
        }
        _ => Decision::Junk,
    }
}

/// Whether a domain is one of a list, or below one.
fn is_listed(domain: &str, list: &[String]) -> bool {
    let Ok(domain) = Name::parse(domain) else { return false };
    list.iter().filter_map(|d| Name::parse(d).ok()).any(|d| domain.is_within(&d))
}
