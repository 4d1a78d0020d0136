//! Verifies the signatures of a message.
//!
//! Standards   RFC 6376 6.1 (steps), 6.1.1 (validate the field), 6.1.2 (key), 6.1.3 (compute)

use super::canon::{BodyHash, Canon, body_hash};
use super::key::{Key, Keys, NoKey};
use super::signature::{Kind, Signature};
use super::{Outcome, SIGNATURES_MAX, Verdict};
use crate::message::{Field, Message};
use crate::tags::{Tags, squeeze};
use penny_dns::{Name, Resolve};
use std::cell::RefCell;

/// A canonical form and its limit.
type Form = (Canon, Option<u64>);

/// Body hashes of one message, by form and limit: signatures mostly share one.
pub(crate) struct Bodies<'a> {
    body: &'a [u8],
    known: RefCell<Vec<(Form, BodyHash)>>,
}

impl<'a> Bodies<'a> {
    pub fn new(body: &'a [u8]) -> Self {
        Self { body, known: RefCell::default() }
    }

    pub fn hash(&self, canon: Canon, limit: Option<u64>) -> BodyHash {
        let wanted = (canon, limit);
        if let Some((_, hash)) = self.known.borrow().iter().find(|(k, _)| *k == wanted) {
            return *hash;
        }
        let hash = body_hash(canon, self.body, limit);
        self.known.borrow_mut().push((wanted, hash));
        hash
    }
}

/// What every check of one message needs.
pub(crate) struct Context<'a> {
    pub message: &'a Message<'a>,
    pub bodies: Bodies<'a>,
    pub dns: &'a dyn Resolve,
    pub keys: &'a Keys,
}

impl<'a> Context<'a> {
    pub fn new(message: &'a Message<'a>, dns: &'a dyn Resolve, keys: &'a Keys) -> Self {
        Self { message, bodies: Bodies::new(message.body), dns, keys }
    }
}

/// Verifies every DKIM-Signature, topmost first; an unsigned message gives an empty list.
pub fn verify(message: &Message<'_>, dns: &dyn Resolve, keys: &Keys, now: u64) -> Vec<Verdict> {
    let context = Context::new(message, dns, keys);
    let fields = message.all("DKIM-Signature").enumerate();
    fields.map(|(i, field)| one(&context, i, field, now)).collect()
}

/// The verdict on the signature that is number `i` from the top.
fn one(context: &Context<'_>, i: usize, field: &Field<'_>, now: u64) -> Verdict {
    let value = String::from_utf8_lossy(field.value()).into_owned();
    let mut verdict = described(&value);
    if i >= SIGNATURES_MAX {
        (verdict.outcome, verdict.reason) = (Outcome::Policy, "too many signatures".into());
    } else if context.message.overlong {
        verdict.reason = "too many header fields".into();
    } else {
        judge(&mut verdict, &value, field, context, now);
    }
    verdict
}

/// A verdict with what can be told from the field, whatever its faults.
fn described(value: &str) -> Verdict {
    let tags = Tags::parse(value).unwrap_or_default();
    let get = |name| squeeze(tags.get(name).unwrap_or_default());
    let domain = Name::parse(&get("d")).map(|n| n.to_string()).unwrap_or_default();
    Verdict {
        outcome: Outcome::PermError,
        auid: tags.get("i").map_or_else(|| format!("@{domain}"), squeeze),
        domain,
        selector: get("s"),
        algorithm: get("a"),
        b_start: get("b").chars().take(8).collect(),
        reason: String::new(),
        testing: false,
        unsigned_octets: 0,
    }
}

fn judge(verdict: &mut Verdict, value: &str, field: &Field<'_>, context: &Context<'_>, now: u64) {
    let checked = Signature::parse(value, Kind::Dkim).map_err(|reason| (Outcome::PermError, reason)).and_then(|s| {
        if s.expires.is_some_and(|x| now > x) {
            return Err((Outcome::Fail, "signature has expired".to_owned()));
        }
        let key = check(&s, field, context)?;
        Ok((s, key))
    });
    match checked {
        Ok((signature, key)) => accept(verdict, &signature, &key, &context.bodies),
        Err((outcome, reason)) => (verdict.outcome, verdict.reason) = (outcome, reason),
    }
}

fn accept(verdict: &mut Verdict, signature: &Signature, key: &Key, bodies: &Bodies<'_>) {
    verdict.testing = key.testing;
    // 3.6.1 t=s: i= must not lie below d=
    let host = signature.auid.rsplit_once('@').and_then(|(_, host)| Name::parse(host).ok());
    if key.strict && host.as_ref() != Some(&signature.domain) {
        verdict.reason = "the key forbids i= below d=".into();
        return;
    }
    verdict.outcome = Outcome::Pass;
    if let Some(limit) = signature.limit {
        let length = bodies.hash(signature.canon.1, signature.limit).length;
        verdict.unsigned_octets = length.saturating_sub(limit);
        if verdict.unsigned_octets > 0 {
            verdict.reason = format!("{} octets of the body are not signed", verdict.unsigned_octets);
        }
    }
}

/// Body hash, key and signature; shared with ARC.
pub(crate) fn check(signature: &Signature, field: &Field<'_>, context: &Context<'_>) -> Result<Key, (Outcome, String)> {
    let Context { message, bodies, dns, keys } = context;
    let body = bodies.hash(signature.canon.1, signature.limit);
    // 3.5: l= must not be larger than the body
    if signature.limit.is_some_and(|limit| limit > body.length) {
        return Err((Outcome::Fail, "l= is larger than the body".into()));
    }
    if body.hash.is_none_or(|hash| hash.as_slice() != signature.body_hash) {
        return Err((Outcome::Fail, "body has changed since it was signed".into()));
    }
    let key =
        keys.fetch(*dns, &signature.domain, &signature.selector, signature.algorithm).map_err(
            |no_key| match no_key {
                NoKey::Temporary(why) => (Outcome::TempError, why),
                NoKey::Permanent(why) => (Outcome::PermError, why),
            },
        )?;
    let data = signature.signed_data(message, field);
    if !key.public.verify(&data, &signature.signature) {
        return Err((Outcome::Fail, "header has changed since it was signed".into()));
    }
    Ok(key)
}
