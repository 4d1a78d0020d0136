//! Makes signatures.
//!
//! Standards   RFC 6376 5 (signer actions), 5.4.1 (which fields), 8.15 (oversigning); RFC 8463
//! Invariants  1. From is signed, and once more than it occurs, so that no second one can be added
//!             2. what is made here verifies with [`super::verify`]

use super::canon::{Canon, body_hash};
use super::signature::{choose, without_b};
use crate::crypto::{SigningKey, to_base64};
use crate::message::{Field, Message};

/// Signed as often as they occur, and once more: adding one breaks the signature.
const OVERSIGNED: [&str; 10] = [
    "from",
    "reply-to",
    "subject",
    "date",
    "to",
    "cc",
    "message-id",
    "mime-version",
    "content-type",
    "content-transfer-encoding",
];
/// Signed when present (5.4.1).
const SIGNED: [&str; 19] = [
    "sender",
    "in-reply-to",
    "references",
    "content-id",
    "content-description",
    "resent-date",
    "resent-from",
    "resent-sender",
    "resent-to",
    "resent-cc",
    "resent-message-id",
    "list-id",
    "list-help",
    "list-unsubscribe",
    "list-unsubscribe-post",
    "list-subscribe",
    "list-post",
    "list-owner",
    "list-archive",
];
/// Longest line we write (RFC 5322 2.1.1).
const LINE_MAX: usize = 76;

/// What to sign with, and how.
#[derive(Debug)]
pub struct Signer {
    /// The private key.
    pub key: SigningKey,
    /// `d=`
    pub domain: String,
    /// `s=`
    pub selector: String,
    /// `c=`
    pub canon: (Canon, Canon),
    /// `h=` by hand; without it the lists above.
    pub headers: Option<Vec<String>>,
    /// `i=`, when it is to be said.
    pub auid: Option<String>,
    /// Seconds until the signature expires.
    pub lifetime: Option<u64>,
}

impl Signer {
    /// A signer with the usual form: relaxed/relaxed, all fields that matter, no expiry.
    pub fn new(key: SigningKey, domain: &str, selector: &str) -> Self {
        let canon = (Canon::Relaxed, Canon::Relaxed);
        let (domain, selector) = (domain.to_owned(), selector.to_owned());
        Self { key, domain, selector, canon, headers: None, auid: None, lifetime: None }
    }

    /// The names for `h=`.
    pub fn names(&self, message: &Message<'_>) -> Result<Vec<String>, &'static str> {
        let names = match &self.headers {
            Some(names) => names.iter().map(|n| n.trim().to_ascii_lowercase()).collect(),
            None => default_names(message),
        };
        let names: Vec<String> = names;
        if names.iter().any(|n| n == "from") { Ok(names) } else { Err("From must be signed (RFC 6376 5.4)") }
    }

    /// The whole DKIM-Signature field, folded with CRLF, without the final line end.
    pub fn sign(&self, message: &Message<'_>, now: u64) -> Result<String, &'static str> {
        if message.overlong {
            return Err("too many header fields");
        }
        let names = self.names(message)?;
        let hash = body_hash(self.canon.1, message.body, None).hash.ok_or("OpenSSL can't hash")?;
        let mut tags = vec![
            "v=1".to_owned(),
            format!("a={}", self.key.algorithm()),
            format!("c={}/{}", self.canon.0.word(), self.canon.1.word()),
            format!("d={}", self.domain),
            format!("s={}", self.selector),
        ];
        tags.extend(self.auid.as_ref().map(|i| format!("i={i}")));
        tags.push(format!("t={now}"));
        tags.extend(self.lifetime.map(|life| format!("x={}", now.saturating_add(life))));
        tags.push(format!("h={}", names.join(":")));
        tags.push(format!("bh={}", to_base64(&hash)));
        let unsigned = fold("DKIM-Signature:", &tags) + ";\r\n\tb=";
        let mut data = Vec::new();
        let own = Field::new(unsigned.as_bytes());
        for field in choose(message, &names, &own) {
            self.canon.0.field(field.raw, &mut data);
            data.extend_from_slice(b"\r\n");
        }
        self.canon.0.field(&without_b(own.raw), &mut data);
        Ok(unsigned + &fold_base64(&to_base64(&self.key.sign(&data)?)))
    }
}

/// Every field that matters and is there, and the oversigned once more.
fn default_names(message: &Message<'_>) -> Vec<String> {
    let times = |name: &str, extra: usize| vec![name.to_owned(); message.all(name).count() + extra];
    let over = OVERSIGNED.iter().flat_map(|name| times(name, 1));
    over.chain(SIGNED.iter().flat_map(|name| times(name, 0))).collect()
}

/// Joins tags with semicolons, a new line where one would grow too long; long lists break at colons.
fn fold(start: &str, tags: &[String]) -> String {
    let mut out = start.to_owned();
    let mut column = start.len();
    for (i, tag) in tags.iter().enumerate() {
        if i > 0 {
            out.push(';');
            column += 1;
        }
        for (j, part) in tag.split_inclusive(':').enumerate() {
            if column + part.len() + 2 > LINE_MAX {
                out.push_str("\r\n\t");
                column = 8;
            } else if j == 0 {
                out.push(' ');
                column += 1;
            }
            out.push_str(part);
            column += part.len();
        }
    }
    out
}

/// Base64 over several lines; white space inside `b=` does not count.
fn fold_base64(text: &str) -> String {
    let mut rest = text;
    let mut lines = Vec::new();
    while !rest.is_empty() {
        let (line, tail) = rest.split_at_checked(64).unwrap_or((rest, ""));
        lines.push(line);
        rest = tail;
    }
    lines.join("\r\n\t ")
}
