//! The administrator's own rules: one a line, explained by name.
//!
//! Format      `NAME WEIGHT WHERE PATTERN`, blank lines and `#` comments. WHERE is `header:Name`, `subject`, `body`,
//!             `url`, `attachment` or `envelope`; PATTERN is a regular expression, matched without regard to case,
//!             to the end of the line. Specified in spamcheck(1), section RULES
//! Invariants  1. matching takes time linear in text and pattern   2. every mistake is reported with its line
//! Failures    [`Mistake`]s; a file with any is not used at all
//! Trust       the file is the administrator's, the text hostile

use super::{Facts, Hit};
use regex_lite::{Regex, RegexBuilder};

/// Where a rule looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Where {
    /// Every field of that name.
    Header(String),
    /// The visible text.
    Body,
    /// Each link.
    Url,
    /// Each file name.
    Attachment,
    /// The envelope sender.
    Envelope,
}

/// One rule.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Shown by `--explain`.
    pub name: String,
    /// Logits.
    pub weight: f32,
    /// Where it looks.
    pub place: Where,
    pattern: Regex,
}

/// A line that is no rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Line number from 1.
    pub line: usize,
    /// What is wrong.
    pub what: String,
}

/// Octets of compiled pattern a rule may need.
const PATTERN_MAX: usize = 64 * 1024;

/// Parses a rules file; all mistakes come back at once.
pub fn parse(text: &str) -> Result<Vec<Rule>, Vec<Mistake>> {
    let (mut rules, mut mistakes) = (Vec::new(), Vec::new());
    for (n, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match rule(line) {
            Ok(r) => rules.push(r),
            Err(what) => mistakes.push(Mistake { line: n + 1, what }),
        }
    }
    if mistakes.is_empty() { Ok(rules) } else { Err(mistakes) }
}

fn word<'a>(rest: &mut &'a str) -> &'a str {
    let (word, tail) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    *rest = tail.trim_start();
    word
}

fn rule(line: &str) -> Result<Rule, String> {
    let mut rest = line;
    let (name, weight, place) = (word(&mut rest), word(&mut rest), word(&mut rest));
    if !name.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_' || c == b'-') || name.len() > 40 {
        return Err(format!("name \"{name}\" may hold letters, digits, _ and - only"));
    }
    let weight: f32 = weight.parse().map_err(|_| format!("weight \"{weight}\" is not a number"))?;
    if !weight.is_finite() || weight.abs() > super::CERTAIN {
        return Err(format!("weight must lie between -{0} and {0}", super::CERTAIN));
    }
    let place = match place.split_once(':').unwrap_or((place, "")) {
        ("header", field) if !field.is_empty() => Where::Header(field.to_owned()),
        ("subject", "") => Where::Header("subject".into()),
        ("body", "") => Where::Body,
        ("url", "") => Where::Url,
        ("attachment", "") => Where::Attachment,
        ("envelope", "") => Where::Envelope,
        _ => return Err(format!("\"{place}\" is not header:Name, subject, body, url, attachment or envelope")),
    };
    if rest.is_empty() {
        return Err("no pattern".into());
    }
    let pattern = RegexBuilder::new(rest)
        .case_insensitive(true)
        .size_limit(PATTERN_MAX)
        .build()
        .map_err(|e| format!("pattern: {e}"))?;
    Ok(Rule { name: name.to_owned(), weight, place, pattern })
}

impl Rule {
    fn matches(&self, f: &Facts<'_, '_>, body: &str) -> bool {
        let is = |bytes: &[u8]| self.pattern.is_match(&String::from_utf8_lossy(bytes));
        match &self.place {
            Where::Header(name) => f.message.all(name).any(is),
            Where::Body => self.pattern.is_match(body),
            Where::Url => f.links.iter().any(|(u, _)| {
                let slashes = if u.host.is_empty() { "" } else { "//" };
                self.pattern.is_match(&format!("{}:{slashes}{}{}", u.scheme, u.host, u.rest))
            }),
            Where::Attachment => f.message.parts.iter().any(|p| !p.filename.is_empty() && is(&p.filename)),
            Where::Envelope => f.context.sender.as_deref().is_some_and(|s| self.pattern.is_match(s)),
        }
    }
}

/// Applies the administrator's rules.
pub fn apply(rules: &[Rule], message: &crate::view::Message<'_>, context: &super::Context) -> Vec<Hit> {
    if rules.is_empty() {
        return Vec::new();
    }
    let facts = Facts::new(message, context);
    let body = String::from_utf8_lossy(&super::visible(message)).into_owned();
    let hits = rules.iter().filter(|r| r.matches(&facts, &body));
    hits.map(|r| Hit { name: r.name.clone().into(), weight: r.weight, why: "a rule of this site".into() }).collect()
}

#[cfg(test)]
mod tests {
    use super::super::Context;
    use super::*;
    use crate::view::Message;

    fn hits(rules: &str, message: &[u8]) -> Vec<String> {
        let rules = parse(rules).unwrap();
        let context = Context { sender: Some("bad@x.example".into()), ..Context::default() };
        apply(&rules, &Message::read(message), &context).into_iter().map(|h| h.name.into_owned()).collect()
    }

    #[test]
    fn every_place() {
        let rules = "# ours\nA 1.5 header:X-Foo ^bar\nB -2 subject lunch|dinner\nC 1 body \\bpills\\b\nD 1 url evil\\.example/\nE 1 attachment \\.scr$\nF 1 envelope @x\\.example$\n";
        let message = b"X-Foo: BARE\nSubject: Lunch\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\npills http://evil.example/x\n--b\nContent-Type: application/octet-stream; name=\"a.scr\"\n\nMZ\n--b--\n";
        assert_eq!(hits(rules, message), ["A", "B", "C", "D", "E", "F"]);
        assert!(hits(rules, b"Subject: x\n\npillsbury\n").iter().all(|h| h == "F"));
    }

    #[test]
    fn all_mistakes_at_once() {
        let bad = parse("A x body y\nB 1 nowhere y\nok 1 body y\nC 1 body (\nD 1 body\nE inf body x\n").unwrap_err();
        assert_eq!(bad.iter().map(|m| m.line).collect::<Vec<_>>(), [1, 2, 4, 5, 6]);
    }
}
