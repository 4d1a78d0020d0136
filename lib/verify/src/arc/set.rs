//! The ARC sets of a message.
//!
//! Standards   RFC 8617 4.1 (the three fields), 4.2 (instances, sets), 5.2 step 3 (structure)
//! Invariants  a [`Chain`] is complete: instances 1..=N, each with exactly one field of each kind

use super::SETS_MAX;
use crate::crypto::{Algorithm, from_base64};
use crate::message::{Field, Message};
use crate::tags::{Tags, squeeze};
use penny_dns::Name;

/// Chain validation status of a seal (4.1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    None,
    Pass,
    Fail,
}

/// The parts of an ARC-Seal.
#[derive(Clone, Debug)]
pub(crate) struct Seal {
    pub algorithm: Algorithm,
    pub signature: Vec<u8>,
    pub status: Status,
    pub domain: Name,
    pub selector: String,
}

/// One set, its fields still as they stand.
#[derive(Clone, Debug)]
pub(crate) struct Set<'a> {
    pub results: Field<'a>,
    pub signature: Field<'a>,
    pub seal: Field<'a>,
}

/// All sets, oldest first.
#[derive(Clone, Debug)]
pub(crate) struct Chain<'a> {
    pub sets: Vec<Set<'a>>,
}

const NAMES: [&str; 3] = ["ARC-Authentication-Results", "ARC-Message-Signature", "ARC-Seal"];

/// The fields of one kind with their instances; an error names the field without one.
fn instances<'a>(message: &Message<'a>, name: &str) -> Result<Vec<(u32, Field<'a>)>, String> {
    let find = |field: &Field<'a>| {
        let value = String::from_utf8_lossy(field.value()).into_owned();
        let text = if field.is(NAMES[0]) { results_instance(&value) } else { tag(&value, "i") };
        text.and_then(|t| instance(&t)).map(|i| (i, *field)).ok_or_else(|| format!("{name} without instance"))
    };
    message.fields.iter().filter(|f| f.is(name)).map(find).collect()
}

/// 4.2.1: 1 to 50, in digits.
fn instance(text: &str) -> Option<u32> {
    let number: u32 = text.parse().ok().filter(|_| text.bytes().all(|b| b.is_ascii_digit()))?;
    (1..=SETS_MAX).contains(&number).then_some(number)
}

/// 4.1.1: an ARC-Authentication-Results begins with `i=N;`.
fn results_instance(value: &str) -> Option<String> {
    let (first, _) = value.split_once(';')?;
    let (name, number) = first.split_once('=')?;
    (name.trim() == "i").then(|| number.trim().to_owned())
}

fn tag(value: &str, name: &str) -> Option<String> {
    Some(Tags::parse(value).ok()?.get(name)?.to_owned())
}

/// The newest instance of any ARC field, however broken the rest is.
pub(crate) fn newest(message: &Message<'_>) -> u32 {
    let all = NAMES.iter().flat_map(|name| message.fields.iter().filter(|f| f.is(name)));
    let number = |field: &Field<'_>| {
        let value = String::from_utf8_lossy(field.value()).into_owned();
        let text = if field.is(NAMES[0]) { results_instance(&value) } else { tag(&value, "i") };
        text.and_then(|t| instance(&t)).unwrap_or(0)
    };
    all.map(number).max().unwrap_or(0)
}

/// Whether the message has any ARC field at all.
pub(crate) fn present(message: &Message<'_>) -> bool {
    message.fields.iter().any(|f| NAMES.iter().any(|n| f.is(n)))
}

/// Whether the newest seal says the chain is broken (5.2 step 1).
pub(crate) fn sealed_as_failed(message: &Message<'_>) -> bool {
    let newest = newest(message).to_string();
    message.all("ARC-Seal").any(|field| {
        let value = String::from_utf8_lossy(field.value());
        Tags::parse(&value).is_ok_and(|t| t.get("i") == Some(&newest) && t.get("cv") == Some("fail"))
    })
}

impl<'a> Chain<'a> {
    /// Collects the sets and checks their structure (5.2 step 3).
    pub fn collect(message: &Message<'a>) -> Result<Self, String> {
        let [results, signatures, seals] = NAMES.map(|name| instances(message, name));
        let (results, signatures, seals) = (results?, signatures?, seals?);
        let count = u32::try_from(seals.len()).unwrap_or(u32::MAX);
        if results.len() != seals.len() || signatures.len() != seals.len() {
            return Err("incomplete set".into());
        }
        let sets = (1..=count).map(|i| {
            let one = |list: &[(u32, Field<'a>)]| {
                let mut of = list.iter().filter(|(n, _)| *n == i).map(|(_, f)| *f);
                of.next().filter(|_| of.next().is_none())
            };
            match (one(&results), one(&signatures), one(&seals)) {
                (Some(results), Some(signature), Some(seal)) => Ok(Set { results, signature, seal }),
                _ => Err(format!("set {i} is missing, incomplete or given twice")),
            }
        });
        Ok(Self { sets: sets.collect::<Result<_, _>>()? })
    }
}

impl Seal {
    /// Parses the value of an ARC-Seal (4.1.3).
    pub fn parse(value: &str) -> Result<Self, String> {
        let tags = Tags::parse(value).map_err(|e| e.to_string())?;
        let need = |name: &str| tags.get(name).filter(|v| !v.is_empty()).ok_or_else(|| format!("no {name}= tag"));
        if tags.get("h").is_some() {
            return Err("h= in a seal".into()); // 4.1.3: MUST fail
        }
        // t= is optional, but not empty
        if tags.get("t").is_some_and(|t| t.is_empty() || !t.bytes().all(|b| b.is_ascii_digit())) {
            return Err("t= is no number".into());
        }
        let algorithm = need("a")?;
        Ok(Self {
            algorithm: Algorithm::from_word(algorithm)
                .ok_or_else(|| format!("algorithm {algorithm} is not accepted"))?,
            signature: from_base64(&squeeze(need("b")?)).ok_or("b= is no base64")?,
            status: match need("cv")? {
                "none" => Status::None,
                "pass" => Status::Pass,
                "fail" => Status::Fail,
                _ => return Err("unknown cv=".into()),
            },
            domain: Name::parse(need("d")?).map_err(|_| "d= is no domain name")?,
            selector: need("s")?.to_owned(),
        })
    }
}
