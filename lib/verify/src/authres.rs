//! Authentication-Results: reading those in a message, writing ours.
//!
//! Standards   RFC 8601 2.2 (syntax), 2.5 (identifier), 5 (removing forged ones)
//! Invariants  1. what is written holds no octet from outside that could end a comment, a result or the field
//!             2. a field whose identifier is ours is never left in a message we have checked
//! Trust       fields in a message are forged until proved otherwise; only those of our own identifier written after
//!             removal count

use crate::message::Field;

/// A field taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthResults {
    /// Who says so.
    pub id: String,
    /// Each result as written, folds and outer white space removed.
    pub results: Vec<String>,
}

impl AuthResults {
    /// Parses the value of a field; `None` when it has no identifier.
    pub fn parse(value: &str) -> Option<Self> {
        let value = value.replace(['\r', '\n'], "");
        let mut parts = split_outside(&value, ';').into_iter();
        let id = first_word(&without_comments(parts.next()?))?;
        let results = parts.map(|p| p.trim().to_owned()).filter(|p| !p.is_empty()).collect();
        Some(Self { id, results })
    }

    /// Whether the field speaks for an identifier (compared as a domain).
    pub fn is_of(&self, id: &str) -> bool {
        self.id.eq_ignore_ascii_case(id)
    }
}

/// Whether a field claims to be an Authentication-Results of this identifier.
///
/// One that can't be parsed is no claim anybody can act on, but one that merely looks odd is compared generously.
pub fn is_forged(field: &Field<'_>, id: &str) -> bool {
    field.is("Authentication-Results") && AuthResults::parse(&field.text()).is_some_and(|r| r.is_of(id))
}

/// Method and result of one result text: `dkim=pass (good) header.d=x` gives `("dkim", "pass")`.
pub fn method_and_result(text: &str) -> Option<(String, String)> {
    let plain = without_comments(text);
    let (method, rest) = plain.split_once('=')?;
    let method = method.split('/').next()?.trim().to_ascii_lowercase();
    Some((method, first_word(rest)?.to_ascii_lowercase()))
}

/// Splits at a character that stands neither in quotes nor in a comment.
fn split_outside(text: &str, at: char) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut depth, mut quoted, mut escaped) = (0, 0u32, false, false);
    for (i, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted || depth > 0 => escaped = true,
            '"' if depth == 0 => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth = depth.saturating_sub(1),
            _ if c == at && !quoted && depth == 0 => {
                parts.push(text.get(start..i).unwrap_or_default());
                start = i + c.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(text.get(start..).unwrap_or_default());
    parts
}

/// The text with its comments blanked (RFC 5322 3.2.2).
fn without_comments(text: &str) -> String {
    let (mut depth, mut quoted, mut escaped) = (0u32, false, false);
    let keep = |c: char| {
        let inside = depth > 0;
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted || inside => escaped = true,
            '"' if !inside => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
        if inside || depth > 0 { ' ' } else { c }
    };
    text.chars().map(keep).collect()
}

/// The first word, quotes taken off.
fn first_word(text: &str) -> Option<String> {
    let text = text.trim();
    let word = match text.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next()?,
        None => text.split(char::is_whitespace).next()?,
    };
    if word.is_empty() { None } else { Some(word.to_owned()) }
}

/// Builds a field, one result a line.
#[derive(Clone, Debug)]
pub struct Builder {
    text: String,
    results: usize,
}

impl Builder {
    /// A field of ours.
    pub fn new(id: &str) -> Self {
        Self { text: format!("Authentication-Results: {id}"), results: 0 }
    }

    /// Begins a result, with a comment when there is something to tell.
    pub fn result(&mut self, method: &str, word: &str, comment: &str) -> &mut Self {
        self.results += 1;
        self.text.push_str(&format!(";\n\t{method}={word}"));
        if !comment.is_empty() {
            self.text.push_str(&format!(" ({})", comment_text(comment)));
        }
        self
    }

    /// Adds a property of the last result; an empty value is left out.
    pub fn property(&mut self, name: &str, value: &str) -> &mut Self {
        if !value.is_empty() {
            self.text.push_str(&format!("\n\t {name}={}", property_value(value)));
        }
        self
    }

    /// The whole field, folded with LF, without the final line end.
    pub fn finish(mut self) -> String {
        if self.results == 0 {
            self.text.push_str("; none"); // 2.2: no-result
        }
        self.text
    }
}

/// Foreign text for a comment: printable ASCII, no parentheses or backslash, bounded.
fn comment_text(text: &str) -> String {
    let ok = |c: char| matches!(c, ' '..='~') && !matches!(c, '(' | ')' | '\\');
    text.chars().map(|c| if ok(c) { c } else { '?' }).take(200).collect()
}

/// A value as token, address or quoted string.
fn property_value(value: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/@.^_`{|}~=:".contains(c);
    let clean: String = value.chars().filter(|c| !c.is_control()).take(320).collect();
    if clean.chars().all(plain) && clean.matches('@').count() <= 1 {
        return clean;
    }
    format!("\"{}\"", clean.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_taken_apart() {
        let text = "lists.example.org (a; comment) 1;\r\n spf=pass smtp.mfrom=jqd@d1.example;\r\n \
                    dkim=pass (1024-bit; \"key\") header.i=\"@d;1.example\"; dmarc = fail ; none";
        let parsed = AuthResults::parse(text).unwrap();
        assert!(parsed.is_of("LISTS.example.org"));
        assert_eq!(parsed.results.len(), 4);
        let words: Vec<_> = parsed.results.iter().map(|r| method_and_result(r)).collect();
        assert_eq!(words[0], Some(("spf".into(), "pass".into())));
        assert_eq!(words[1], Some(("dkim".into(), "pass".into())));
        assert_eq!(words[2], Some(("dmarc".into(), "fail".into())));
        assert_eq!(words[3], None);
        assert!(AuthResults::parse(" (x) ; spf=pass").is_none());
        assert!(AuthResults::parse("\"quoted id\"; none").unwrap().is_of("quoted id"));
    }

    #[test]
    fn claims_of_our_name_are_recognised_however_they_look() {
        for value in [
            "mx.example; spf=pass",
            " MX.EXAMPLE 1;dkim=pass",
            "(c) mx.example\r\n ; x=y",
            "\"mx.example\"; x=y",
            "mx.example",
        ] {
            let raw = format!("Authentication-Results: {value}");
            assert!(is_forged(&Field::new(raw.as_bytes()), "mx.example"), "{value}");
        }
        for value in ["other.example; spf=pass", "mx.example.org; x=y"] {
            let raw = format!("Authentication-Results: {value}");
            assert!(!is_forged(&Field::new(raw.as_bytes()), "mx.example"), "{value}");
        }
    }

    #[test]
    fn nothing_foreign_breaks_out() {
        let mut b = Builder::new("mx.example");
        b.result("spf", "fail", "why) ; dkim=pass\r\nX: y").property("smtp.mailfrom", "a\r\nb; c=\"d\"@e");
        let text = b.finish();
        assert_eq!(text.lines().count(), 3, "{text}");
        let value = text.strip_prefix("Authentication-Results:").unwrap();
        assert_eq!(AuthResults::parse(value).unwrap().results.len(), 1);
        assert_eq!(Builder::new("mx.example").finish(), "Authentication-Results: mx.example; none");
    }
}
