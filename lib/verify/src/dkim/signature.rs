//! One signature field: DKIM-Signature, and ARC-Message-Signature which shares its form.
//!
//! Standards   RFC 6376 3.5 (tags), 3.7 (what is hashed), 5.4.2 (choosing fields); RFC 8617 4.1.2 (differences of AMS)
//! Invariants  a [`Signature`] has all required tags, in their syntax, of an algorithm we believe

use super::canon::Canon;
use crate::crypto::{Algorithm, from_base64};
use crate::message::{Field, Message};
use crate::tags::{Tags, squeeze};
use penny_dns::Name;

/// Names in one `h=`; a real list has two dozen.
const NAMES_MAX: usize = 500;

/// Which field it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// DKIM-Signature.
    Dkim,
    /// ARC-Message-Signature.
    Arc,
}

/// A signature in its parts.
#[derive(Clone, Debug)]
pub struct Signature {
    /// `a=`
    pub algorithm: Algorithm,
    /// `b=`
    pub signature: Vec<u8>,
    /// `bh=`
    pub body_hash: Vec<u8>,
    /// `c=`: header and body.
    pub canon: (Canon, Canon),
    /// `d=`
    pub domain: Name,
    /// `s=`
    pub selector: String,
    /// `h=`, in lower case.
    pub names: Vec<String>,
    /// `i=` of DKIM, given or implied.
    pub auid: String,
    /// `l=`
    pub limit: Option<u64>,
    /// `t=`
    pub time: Option<u64>,
    /// `x=`
    pub expires: Option<u64>,
}

impl Signature {
    /// Parses the value of a field.
    pub fn parse(value: &str, kind: Kind) -> Result<Self, String> {
        let tags = Tags::parse(value).map_err(|e| e.to_string())?;
        // 3.5: v= is required and 1 is all there is; RFC 8617 4.1.2: AMS has none
        if kind == Kind::Dkim && tags.get("v") != Some("1") {
            return Err("version is missing or not 1".into());
        }
        let need = |name: &str| tags.get(name).filter(|v| !v.is_empty()).ok_or_else(|| format!("no {name}= tag"));
        let algorithm = need("a")?;
        let algorithm =
            Algorithm::from_word(algorithm).ok_or_else(|| format!("algorithm {algorithm} is not accepted"))?;
        let base64 =
            |name: &str| need(name).and_then(|v| from_base64(&squeeze(v)).ok_or(format!("{name}= is no base64")));
        let (signature, body_hash) = (base64("b")?, base64("bh")?);
        let canon = Canon::pair(tags.get("c").unwrap_or("simple/simple")).ok_or("unknown c=")?;
        let domain = Name::parse(need("d")?).ok().filter(valid_domain).ok_or("d= is no domain name")?;
        let selector = need("s")?.to_owned();
        if domain.child(&format!("{selector}._domainkey")).is_err() {
            return Err("s= is no selector".into());
        }
        check_query_method(&tags)?;
        Ok(Self {
            algorithm,
            signature,
            body_hash,
            canon,
            selector,
            names: names(&tags, kind)?,
            auid: auid(&tags, &domain, kind)?,
            domain,
            limit: number(&tags, "l")?,
            time: number(&tags, "t")?,
            expires: expiry(&tags)?,
        })
    }

    /// The octets that were signed (3.7): the chosen fields, then this one without its `b=` value.
    pub fn signed_data(&self, message: &Message<'_>, own: &Field<'_>) -> Vec<u8> {
        let canon = self.canon.0;
        let mut data = Vec::with_capacity(4096);
        for field in choose(message, &self.names, own) {
            canon.field(field.raw, &mut data);
            data.extend_from_slice(b"\r\n");
        }
        canon.field(&without_b(own.raw), &mut data);
        data
    }
}

/// RFC 8616 allows U-labels; [`Name`] turned them into A-labels. Odd octets are never part of a mail domain.
fn valid_domain(name: &Name) -> bool {
    let label_ok = |l: &[u8]| l.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    name.labels().all(label_ok) && name.label_count() > 0
}

/// 3.5: `q=` lists methods; only dns/txt exists.
fn check_query_method(tags: &Tags<'_>) -> Result<(), String> {
    let methods = tags.get("q").unwrap_or("dns/txt");
    let known = methods.split(':').any(|m| m.trim() == "dns/txt");
    if known { Ok(()) } else { Err("no known query method in q=".into()) }
}

fn names(tags: &Tags<'_>, kind: Kind) -> Result<Vec<String>, String> {
    let list = tags.get("h").ok_or("no h= tag")?;
    let names: Vec<String> = list.split(':').map(|n| squeeze(n).to_ascii_lowercase()).collect();
    if names.len() > NAMES_MAX {
        return Err("too many names in h=".into());
    }
    match kind {
        // 5.4: From must be signed
        Kind::Dkim if !names.iter().any(|n| n == "from") => Err("From is not signed".into()),
        // RFC 8617 4.1.2: seals are never part of an AMS
        Kind::Arc if names.iter().any(|n| n == "arc-seal") => Err("h= holds ARC-Seal".into()),
        _ => Ok(names),
    }
}

/// 3.5: `i=` defaults to @d; its domain must be d or below.
fn auid(tags: &Tags<'_>, domain: &Name, kind: Kind) -> Result<String, String> {
    let Some(auid) = tags.get("i").filter(|_| kind == Kind::Dkim) else { return Ok(format!("@{domain}")) };
    let (_, host) = auid.rsplit_once('@').ok_or("i= without @")?;
    let host = Name::parse(host).map_err(|_| "i= is no address")?;
    if host.is_within(domain) { Ok(squeeze(auid)) } else { Err("i= lies outside d=".into()) }
}

fn number(tags: &Tags<'_>, name: &str) -> Result<Option<u64>, String> {
    let Some(text) = tags.get(name) else { return Ok(None) };
    let digits = !text.is_empty() && text.len() <= 76 && text.bytes().all(|b| b.is_ascii_digit());
    // 3.5: up to 76 digits; what is beyond our numbers lies beyond any body or clock
    if digits { Ok(Some(text.parse().unwrap_or(u64::MAX))) } else { Err(format!("{name}= is no number")) }
}

/// `x=`, which must lie after `t=`.
fn expiry(tags: &Tags<'_>) -> Result<Option<u64>, String> {
    let (time, expires) = (number(tags, "t")?, number(tags, "x")?);
    match (time, expires) {
        (Some(t), Some(x)) if x <= t => Err("x= is not after t=".into()),
        _ => Ok(expires),
    }
}

/// 5.4.2: each name takes the lowest field not yet taken; a name beyond what is there signs the absence.
pub(crate) fn choose<'m, 'a>(message: &'m Message<'a>, names: &[String], own: &Field<'_>) -> Vec<&'m Field<'a>> {
    let mut taken = vec![false; message.fields.len()];
    let mut chosen = Vec::with_capacity(names.len());
    for name in names.iter().filter(|n| !n.is_empty()) {
        let free = |(i, f): &(usize, &Field<'_>)| {
            !taken.get(*i).copied().unwrap_or(true) && f.is(name) && !std::ptr::eq(f.raw.as_ptr(), own.raw.as_ptr())
        };
        if let Some((i, field)) = message.fields.iter().enumerate().rev().find(free) {
            taken.iter_mut().skip(i).take(1).for_each(|t| *t = true);
            chosen.push(field);
        }
    }
    chosen
}

/// The field with the value of its `b=` tag removed, surrounding white space included (3.5).
pub(crate) fn without_b(raw: &[u8]) -> Vec<u8> {
    let colon = raw.iter().position(|&b| b == b':').map_or(0, |n| n + 1);
    let (name, value) = raw.split_at(colon);
    let mut out = name.to_vec();
    for (i, spec) in value.split(|&b| b == b';').enumerate() {
        if i > 0 {
            out.push(b';');
        }
        let equals = spec.iter().position(|&b| b == b'=').unwrap_or(spec.len());
        let is_b = spec.get(..equals).unwrap_or_default().trim_ascii() == b"b";
        let keep = if is_b { equals + 1 } else { spec.len() };
        out.extend_from_slice(spec.get(..keep).unwrap_or(spec));
    }
    out
}
