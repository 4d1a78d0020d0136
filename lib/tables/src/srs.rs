//! Sender rewriting: a forwarded message leaves with a sender of ours, so that SPF passes, and a bounce finds its way back.
//!
//! Format      `SRS0=hash=day=domain=local@ours`; a sender that is rewritten already becomes
//!             `SRS1=hash=first=rest@ours`, where `rest` is what only `first` can check (the Sender Rewriting Scheme,
//!             M. S. Wong and S. Khan, 2003-2004)
//! Invariants  1. only what was signed here is turned back, so nobody relays through it   2. a signature ends after
//!             [`DAYS`]   3. letter case may change on the way
//! Trust       addresses come from strangers; the keys never leave lookup

use hmac::{Hmac, Mac};
use sha2::Sha256;

/// Days for which a rewritten sender can be answered.
const DAYS: u64 = 21;
/// Days after which the time stamp repeats (two letters of base32).
const CYCLE: u64 = 1024;
/// Letters of base32 (RFC 4648 6, in lower case).
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
/// Letters of the signature: 25 bits, for one guess each over SMTP.
const HASH: usize = 5;

/// Why an address is not turned back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// It was not signed here.
    Forged,
    /// It was signed too long ago.
    Old,
}

/// Keys, the first of which signs.
#[derive(Debug, Clone)]
pub struct Srs {
    keys: Vec<Vec<u8>>,
    domain: String,
}

impl Srs {
    /// With keys (one a line of the key file) and the domain of rewritten senders; `None` without either.
    pub fn new(keys: &str, domain: &str) -> Option<Srs> {
        let keys: Vec<Vec<u8>> = keys.lines().map(str::trim).filter(|k| !k.is_empty()).map(Vec::from).collect();
        (!keys.is_empty() && !domain.is_empty()).then(|| Srs { keys, domain: domain.to_ascii_lowercase() })
    }

    /// The sender to forward with. `now` is in seconds since 1970.
    pub fn forward(&self, local: &str, domain: &str, now: u64) -> String {
        let rewritten = |tag: &str| strip(local, tag);
        let body = if let Some(rest) = rewritten("SRS1") {
            // keeps the first forwarder and what it signed: the way back skips everyone between
            let (_, kept) = rest.split_once('=').unwrap_or(("", rest));
            ("SRS1", kept.to_owned())
        } else if let Some(rest) = local.get(..4).filter(|t| t.eq_ignore_ascii_case("SRS0")).and(local.get(4..)) {
            ("SRS1", format!("{domain}={rest}"))
        } else {
            ("SRS0", format!("{}={domain}={local}", day(now)))
        };
        let (tag, body) = body;
        format!("{tag}={}={body}@{}", self.sign(0, tag, &body), self.domain)
    }

    /// Whether an address is a rewritten sender of ours, signed or not.
    pub fn is_ours(&self, local: &str, domain: &str) -> bool {
        domain.eq_ignore_ascii_case(&self.domain) && (strip(local, "SRS0").is_some() || strip(local, "SRS1").is_some())
    }

    /// Where a bounce to a rewritten sender goes.
    pub fn reverse(&self, local: &str, now: u64) -> Result<String, Refused> {
        let (tag, rest) = match (strip(local, "SRS0"), strip(local, "SRS1")) {
            (Some(rest), _) => ("SRS0", rest),
            (_, Some(rest)) => ("SRS1", rest),
            _ => return Err(Refused::Forged),
        };
        let (hash, body) = rest.split_once('=').ok_or(Refused::Forged)?;
        if !(0..self.keys.len()).any(|n| self.sign(n, tag, body).eq_ignore_ascii_case(hash)) {
            return Err(Refused::Forged);
        }
        let (first, rest) = body.split_once('=').ok_or(Refused::Forged)?;
        if tag == "SRS1" {
            return Ok(format!("SRS0{rest}@{first}"));
        }
        if !is_recent(first, now) {
            return Err(Refused::Old);
        }
        let (domain, local) = rest.split_once('=').ok_or(Refused::Forged)?;
        Ok(format!("{local}@{domain}"))
    }

    fn sign(&self, key: usize, tag: &str, body: &str) -> String {
        let key = self.keys.get(key).map(Vec::as_slice).unwrap_or_default();
        // an HMAC takes keys of every length
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return String::new() };
        mac.update(format!("{tag}={}", body.to_ascii_lowercase()).as_bytes());
        let mut bits = mac.finalize().into_bytes().iter().take(8).fold(0u64, |n, b| n << 8 | u64::from(*b));
        let mut out = String::new();
        for _ in 0..HASH {
            out.push(letter(bits >> 59));
            bits <<= 5;
        }
        out
    }
}

/// What follows the tag and its separator.
fn strip<'a>(local: &'a str, tag: &str) -> Option<&'a str> {
    let found = local.get(..tag.len()).filter(|t| t.eq_ignore_ascii_case(tag))?;
    local.get(found.len()..)?.strip_prefix(['=', '+', '-'])
}

fn letter(five: u64) -> char {
    // masked to five bits, so it is in the table
    char::from(ALPHABET.get((five & 31) as usize).copied().unwrap_or(b'a'))
}

fn day(now: u64) -> String {
    let day = now / 86_400 % CYCLE;
    [letter(day >> 5), letter(day)].iter().collect()
}

fn is_recent(stamp: &str, now: u64) -> bool {
    let value = |c: u8| ALPHABET.iter().position(|a| *a == c.to_ascii_lowercase()).map(|n| n as u64);
    let [a, b] = stamp.as_bytes() else { return false };
    let (Some(a), Some(b)) = (value(*a), value(*b)) else { return false };
    let age = (now / 86_400 % CYCLE + CYCLE - (a << 5 | b)) % CYCLE;
    // the clock of yesterday's message may have been ahead by a day
    age <= DAYS || age == CYCLE - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn srs(domain: &str) -> Srs {
        Srs::new("secret\nolder\n", domain).unwrap()
    }

    fn local(address: &str) -> &str {
        address.rsplit_once('@').unwrap().0
    }

    #[test]
    fn a_sender_goes_and_comes_back() {
        let s = srs("fwd.test");
        let out = s.forward("joe+x", "far.test", NOW);
        assert!(out.starts_with("SRS0=") && out.ends_with("=far.test=joe+x@fwd.test"), "{out}");
        assert!(s.is_ours(local(&out), "FWD.test") && !s.is_ours("joe", "fwd.test"));
        assert_eq!(s.reverse(local(&out), NOW).unwrap(), "joe+x@far.test");
        assert_eq!(s.reverse(&local(&out).to_uppercase(), NOW).unwrap(), "JOE+X@FAR.TEST", "case may change");
        assert_eq!(s.reverse(local(&out), NOW + 21 * 86_400).unwrap(), "joe+x@far.test");
        assert_eq!(s.reverse(local(&out), NOW + 23 * 86_400), Err(Refused::Old));
    }

    #[test]
    fn what_was_not_signed_here_goes_nowhere() {
        let s = srs("fwd.test");
        let out = s.forward("joe", "far.test", NOW);
        let forged = local(&out).replace("joe", "jim");
        for bad in [forged.as_str(), "SRS0=aaaaa=aa=far.test=joe", "SRS0=", "SRS1=x", "SRS0=a=b", "joe", "SRS0"] {
            assert_eq!(s.reverse(bad, NOW), Err(Refused::Forged), "{bad}");
        }
        let other = Srs::new("another", "fwd.test").unwrap();
        assert_eq!(other.reverse(local(&out), NOW), Err(Refused::Forged));
        let rotated = Srs::new("new\nsecret", "fwd.test").unwrap();
        assert!(rotated.reverse(local(&out), NOW).is_ok(), "older keys still check");
        assert!(Srs::new("\n", "x").is_none() && Srs::new("k", "").is_none());
    }

    #[test]
    fn a_chain_of_forwarders_is_cut_short() {
        let (a, b, c) = (srs("a.test"), Srs::new("b", "b.test").unwrap(), Srs::new("c", "c.test").unwrap());
        let first = a.forward("joe", "far.test", NOW);
        let second = b.forward(local(&first), "a.test", NOW);
        assert!(second.starts_with("SRS1=") && second.contains("=a.test=="), "{second}");
        let third = c.forward(local(&second), "b.test", NOW);
        assert!(third.contains("=a.test==") && third.ends_with("@c.test"), "{third}");
        assert_eq!(c.reverse(local(&third), NOW).unwrap(), first, "straight back to the first");
        assert_eq!(b.reverse(local(&second), NOW).unwrap(), first);
        assert_eq!(a.reverse(local(&first), NOW).unwrap(), "joe@far.test");
    }
}
