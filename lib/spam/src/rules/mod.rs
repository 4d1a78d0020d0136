//! Rules: what is known of junk before anything was learned. Each hit has a name, a weight in logits and words.
//!
//! Invariants  1. a rule looks at the view, the envelope and the configuration only   2. hits of one name come once
//!             3. the sum of the good marks is bounded, for anybody can write them
//! Failures    none: a rule that cannot decide does not hit
//! Trust       hostile message; the context is ours
//! Not here    learned evidence (model.rs), the administrator's own rules (file.rs is their parser)

pub mod brands;
pub mod content;
pub mod file;
pub mod header;
pub mod index;
pub mod links;
pub mod phrases;
pub mod structure;
pub mod text;
pub mod url;

use crate::view::{Kind, Message};
use std::borrow::Cow;

/// A rule that hit.
#[derive(Debug, Clone)]
pub struct Hit {
    /// Its name.
    pub name: Cow<'static, str>,
    /// Logits: above 0 speaks for spam.
    pub weight: f32,
    /// What it saw, in words.
    pub why: Cow<'static, str>,
}

/// A weight that decides alone.
pub const CERTAIN: f32 = 100.0;
/// Good marks count for no more than this together.
const GOOD_MAX: f32 = -4.0;

/// What is known besides the message.
#[derive(Debug, Default, Clone)]
pub struct Context {
    /// Authentication-Results with one of these authserv-ids are ours (RFC 8601 5).
    pub authserv_ids: Vec<String>,
    /// Envelope sender, if known.
    pub sender: Option<String>,
    /// Client address, name and HELO, if known.
    pub helo: Option<String>,
    /// Verified name of the client; empty or `unknown` if it has none.
    pub client_name: Option<String>,
    /// Answers of block lists: `zone=answer` separated by white space.
    pub block_lists: String,
    /// Header fields that filters of ours before this one added.
    pub fields: String,
    /// The client logged in.
    pub login: bool,
    /// The author is a known correspondent.
    pub known: bool,
}

/// What several rules need, worked out once.
pub struct Facts<'m, 'v> {
    /// The message.
    pub message: &'m Message<'v>,
    /// What is known besides.
    pub context: &'m Context,
    /// Author's address in lower case.
    pub from: String,
    /// Its domain.
    pub from_domain: String,
    /// Display name, folded.
    pub name: text::Folded,
    /// Display name as decoded.
    pub raw_name: String,
    /// Subject, folded.
    pub subject: text::Folded,
    /// Visible text, folded.
    pub body: text::Folded,
    /// Links with targets taken apart, and their visible text.
    pub links: Vec<(url::Url, Vec<u8>)>,
    /// Came through a mailing list, by its header.
    pub list: bool,
    /// Answers or quotes another message.
    pub reply: bool,
    /// There is HTML.
    pub html: bool,
    /// Hits so far.
    pub hits: Vec<Hit>,
}

/// Octets of visible text that rules read.
const TEXT_MAX: usize = 8000;
/// Links that rules look at.
const LINKS_MAX: usize = 60;

/// The GTUBE test string, in two pieces so that this source is no spam.
const GTUBE: (&str, &str) = ("XJS*C4JDBQADN1.NSBN3*2IDNEN*", "GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X");

/// All built-in rules over one message.
pub fn check(message: &Message<'_>, context: &Context) -> Vec<Hit> {
    let mut facts = Facts::new(message, context);
    gtube(&mut facts);
    header::check(&mut facts);
    links::check(&mut facts);
    content::check(&mut facts);
    structure::check(&mut facts);
    facts.hits
}

/// Sum of hits, good marks bounded.
pub fn total(hits: &[Hit]) -> f64 {
    let bad: f32 = hits.iter().map(|h| h.weight.max(0.0)).sum();
    let good: f32 = hits.iter().map(|h| h.weight.min(0.0)).sum();
    f64::from(bad + good.max(GOOD_MAX))
}

fn gtube(facts: &mut Facts<'_, '_>) {
    let whole = [GTUBE.0, GTUBE.1].concat();
    let finder = memchr::memmem::Finder::new(whole.as_bytes());
    let mut texts = facts.message.parts.iter().filter(|p| p.kind != Kind::Attachment);
    if texts.any(|p| finder.find(&p.content).is_some()) {
        facts.hit("GTUBE", CERTAIN, "holds the test string for spam filters");
    }
}

impl<'m, 'v> Facts<'m, 'v> {
    fn new(message: &'m Message<'v>, context: &'m Context) -> Self {
        let (raw_name, from) = mailbox(message.field("from").unwrap_or(b""));
        let domain = from.rsplit_once('@').map_or("", |(_, d)| d).to_owned();
        let html = message.parts.iter().any(|p| p.kind == Kind::Html);
        Facts {
            message,
            context,
            from_domain: domain,
            name: text::fold(raw_name.as_bytes(), 300),
            subject: text::fold(message.field("subject").unwrap_or(b""), 500),
            body: text::fold(&visible(message), TEXT_MAX),
            links: links(message),
            list: is_list(message, &from),
            reply: message.field("in-reply-to").is_some() || message.field("references").is_some(),
            html,
            hits: Vec::new(),
            raw_name,
            from,
        }
    }

    /// Notes a hit with fixed words.
    pub fn hit(&mut self, name: &'static str, weight: f32, why: &'static str) {
        self.hits.push(Hit { name: name.into(), weight, why: why.into() });
    }

    /// Notes a hit with words made for it.
    pub fn hit_with(&mut self, name: &'static str, weight: f32, why: String) {
        self.hits.push(Hit { name: name.into(), weight, why: why.into() });
    }

    /// A rule hit already.
    pub fn has(&self, name: &str) -> bool {
        self.hits.iter().any(|h| h.name == name)
    }
}

/// Came through a mailing list: by its fields, or because answers go where it was sent.
fn is_list(message: &Message<'_>, from: &str) -> bool {
    const MARKS: [&str; 6] = ["list-id", "list-post", "mailing-list", "x-mailing-list", "x-beenthere", "x-loop"];
    let to = mailbox(message.field("to").unwrap_or(b"")).1;
    let answers = mailbox(message.field("reply-to").unwrap_or(b"")).1;
    MARKS.iter().any(|n| message.field(n).is_some()) || (!to.is_empty() && to == answers && to != from)
}

/// The visible text of all parts.
pub fn visible(message: &Message<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(TEXT_MAX);
    for part in &message.parts {
        let text = match (&part.html, part.kind) {
            (Some(html), _) => html.visible.as_slice(),
            (None, Kind::Text) => part.content.as_slice(),
            _ => continue,
        };
        let room = TEXT_MAX.saturating_sub(out.len());
        out.extend_from_slice(text.get(..room).unwrap_or(text));
        out.push(b'\n');
    }
    out
}

fn links(message: &Message<'_>) -> Vec<(url::Url, Vec<u8>)> {
    let mut out = Vec::new();
    for part in &message.parts {
        match (&part.html, part.kind) {
            (Some(html), _) => {
                let pairs = html.links.iter().filter_map(|l| Some((url::Url::parse(&l.href)?, l.text.clone())));
                out.extend(pairs.take(LINKS_MAX));
            }
            (None, Kind::Text) => {
                let text = part.content.get(..TEXT_MAX).unwrap_or(&part.content);
                let found = url::in_text(text, LINKS_MAX).into_iter().filter_map(url::Url::parse);
                out.extend(found.map(|u| (u, Vec::new())));
            }
            _ => {}
        }
    }
    out.truncate(LINKS_MAX);
    out
}

/// Display name and lower-case address of the first mailbox of a From-like field (RFC 5322 3.4, leniently).
pub fn mailbox(value: &[u8]) -> (String, String) {
    let text = String::from_utf8_lossy(value.get(..1000).unwrap_or(value)).into_owned();
    let clean = |s: &str| s.trim().trim_matches('"').trim().to_owned();
    if let Some((name, rest)) = text.rsplit_once('<') {
        let address = rest.split('>').next().unwrap_or("").trim().to_lowercase();
        return (clean(name), address);
    }
    let (address, name) = text.split_once('(').unwrap_or((&text, ""));
    (clean(name.trim_end().trim_end_matches(')')), clean(address).to_lowercase())
}

/// `needle` stands in folded text as whole words.
pub fn has_words(folded: &str, needle: &str) -> bool {
    folded.match_indices(needle).any(|(i, _)| {
        folded.get(..i).is_some_and(|b| b.ends_with(' '))
            && folded.get(i + needle.len()..).is_some_and(|a| a.starts_with(' '))
    })
}

#[cfg(test)]
mod tests;
