//! Verifies a chain.
//!
//! Standards   RFC 8617 5.2 (the seven steps), 5.1.1 (what a seal covers)

use super::set::{Chain, Seal, Set, Status, newest, present, sealed_as_failed};
use super::{Outcome, Verdict};
use crate::dkim::canon::Canon;
use crate::dkim::key::{Keys, NoKey};
use crate::dkim::signature::{Kind, Signature, without_b};
use crate::dkim::verify::{Context, check};
use crate::message::{Field, Message};
use crate::tags::Tags;
use penny_dns::Resolve;

type Stop = (Outcome, String);

/// Verifies the chain of a message.
pub fn verify(message: &Message<'_>, dns: &dyn Resolve, keys: &Keys) -> Verdict {
    let mut verdict = Verdict {
        outcome: Outcome::None,
        instance: newest(message),
        sealers: Vec::new(),
        seen: Vec::new(),
        reason: String::new(),
    };
    if !present(message) {
        return verdict;
    }
    match chain(message, dns, keys) {
        Ok((sealers, seen)) => {
            verdict.outcome = Outcome::Pass;
            (verdict.sealers, verdict.seen) = (sealers, seen);
        }
        Err((outcome, reason)) => (verdict.outcome, verdict.reason) = (outcome, reason),
    }
    verdict
}

fn fail(reason: impl Into<String>) -> Stop {
    (Outcome::Fail, reason.into())
}

fn chain(message: &Message<'_>, dns: &dyn Resolve, keys: &Keys) -> Result<(Vec<String>, Vec<String>), Stop> {
    if message.overlong {
        return Err(fail("too many header fields"));
    }
    // step 1 and 2
    if sealed_as_failed(message) {
        return Err(fail("the newest seal says the chain is broken"));
    }
    // step 3
    let chain = Chain::collect(message).map_err(fail)?;
    let seals = parsed_seals(&chain.sets)?;
    // step 4: the newest message signature must verify
    let context = Context::new(message, dns, keys);
    let last = chain.sets.last().ok_or_else(|| fail("no sets"))?;
    message_signature(last, &context)?;
    // step 6: every seal, newest first
    for (i, seal) in seals.iter().enumerate().rev() {
        verify_seal(chain.sets.get(..=i).unwrap_or_default(), seal, dns, keys)?;
    }
    let seen = chain.sets.iter().map(|set| seen(&set.results)).collect();
    Ok((seals.iter().map(|s| s.domain.to_string()).collect(), seen))
}

/// 5.2 step 3 C: the first seal says `none`, all others `pass`. Each AMS must parse too.
fn parsed_seals(sets: &[Set<'_>]) -> Result<Vec<Seal>, Stop> {
    let mut seals = Vec::new();
    for (i, set) in sets.iter().enumerate() {
        let instance = i + 1;
        let seal = Seal::parse(&text(&set.seal)).map_err(|e| fail(format!("seal {instance}: {e}")))?;
        let wanted = if i == 0 { Status::None } else { Status::Pass };
        if seal.status != wanted {
            return Err(fail(format!("seal {instance} has a wrong cv=")));
        }
        seals.push(seal);
    }
    Ok(seals)
}

fn message_signature(set: &Set<'_>, context: &Context<'_>) -> Result<(), Stop> {
    let mut signature = Signature::parse(&text(&set.signature), Kind::Arc).map_err(|e| fail(format!("AMS: {e}")))?;
    let mut result = check(&signature, &set.signature, context);
    // quirk_ams_without_c: DKIM's default is simple/simple, yet early sealers (and the public suite, ams_fields_c_na)
    // leave c= out and mean relaxed/relaxed. Either way the signature itself must verify.
    if result.is_err() && Tags::parse(&text(&set.signature)).is_ok_and(|t| t.get("c").is_none()) {
        signature.canon = (Canon::Relaxed, Canon::Relaxed);
        result = check(&signature, &set.signature, context);
    }
    result.map(|_| ()).map_err(|(outcome, reason)| {
        use crate::dkim::Outcome::TempError;
        (if outcome == TempError { Outcome::TempError } else { Outcome::Fail }, format!("AMS: {reason}"))
    })
}

fn verify_seal(sets: &[Set<'_>], seal: &Seal, dns: &dyn Resolve, keys: &Keys) -> Result<(), Stop> {
    let instance = sets.len();
    let key = keys.fetch(dns, &seal.domain, &seal.selector, seal.algorithm).map_err(|no_key| match no_key {
        NoKey::Temporary(why) => (Outcome::TempError, why),
        NoKey::Permanent(why) => fail(format!("seal {instance}: {why}")),
    })?;
    if key.public.verify(&sealed_data(sets), &seal.signature) {
        Ok(())
    } else {
        Err(fail(format!("seal {instance} does not verify")))
    }
}

/// 5.1.1: all sets in order, each as results, message signature, seal, in the relaxed form; the last seal without `b=`.
pub(crate) fn sealed_data(sets: &[Set<'_>]) -> Vec<u8> {
    let mut data = Vec::with_capacity(4096);
    for (i, set) in sets.iter().enumerate() {
        for field in [&set.results, &set.signature] {
            Canon::Relaxed.field(field.raw, &mut data);
            data.extend_from_slice(b"\r\n");
        }
        if i + 1 == sets.len() {
            Canon::Relaxed.field(&without_b(set.seal.raw), &mut data);
        } else {
            Canon::Relaxed.field(set.seal.raw, &mut data);
            data.extend_from_slice(b"\r\n");
        }
    }
    data
}

fn text(field: &Field<'_>) -> String {
    String::from_utf8_lossy(field.value()).into_owned()
}

/// An ARC-Authentication-Results without its instance.
fn seen(field: &Field<'_>) -> String {
    let text = field.text();
    text.split_once(';').map(|(_, rest)| rest.trim().to_owned()).unwrap_or_default()
}
