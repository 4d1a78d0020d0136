//! Addresses a script names (where mail goes), strict; and parts of addresses.
//!
//! Standards   RFC 5322 3.4 (mailbox), RFC 5321 4.1.2, RFC 5228 2.7.4, RFC 5233
//! Invariants  an accepted address is one line of printable ASCII or UTF-8 with a non-empty local part and domain
//! Quirk       dots anywhere in a local part: such addresses exist in Japan

/// A mailbox address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mailbox {
    /// Local part, unquoted.
    pub local: String,
    /// Domain.
    pub domain: String,
}

impl Mailbox {
    /// Reads `local@domain` or `Name <local@domain>`: exactly one address.
    pub fn parse(text: &str) -> Option<Self> {
        let mut scanner = Scanner { rest: text };
        scanner.space();
        let before = scanner.phrase()?;
        let mailbox = if scanner.eat('<') {
            let local = scanner.local()?;
            let mailbox = scanner.domain(local)?;
            scanner.eat('>').then_some(mailbox)?
        } else {
            // what was read as a phrase must have been one local part
            let [local] = before.as_slice() else { return None };
            scanner.domain(local.clone())?
        };
        scanner.space();
        scanner.rest.is_empty().then_some(mailbox)
    }

    /// Reads a bare SMTP path content, `local@domain`.
    pub fn from_path(text: &str) -> Option<Self> {
        let (local, domain) = text.trim_matches(['<', '>']).rsplit_once('@')?;
        (!local.is_empty() && !domain.is_empty()).then(|| Self { local: unquote(local), domain: domain.to_owned() })
    }
}

/// `local@domain`, the local part quoted where it must be.
impl std::fmt::Display for Mailbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.local.chars().all(|c| is_atom(c) || c == '.') {
            write!(f, "{}@{}", self.local, self.domain)
        } else {
            write!(f, "\"{}\"@{}", self.local.replace('\\', "\\\\").replace('"', "\\\""), self.domain)
        }
    }
}

fn unquote(local: &str) -> String {
    let Some(inner) = local.strip_prefix('"').and_then(|l| l.strip_suffix('"')) else { return local.to_owned() };
    let mut out = String::new();
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        out.extend(if c == '\\' { chars.next() } else { Some(c) });
    }
    out
}

/// RFC 5322 3.2.3 atext.
fn is_atom(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c)
}

struct Scanner<'a> {
    rest: &'a str,
}

impl Scanner<'_> {
    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let c = chars.next();
        self.rest = chars.as_str();
        c
    }

    fn eat(&mut self, c: char) -> bool {
        let found = self.peek() == Some(c);
        if found {
            self.bump();
        }
        found
    }

    /// White space and comments, RFC 5322 3.2.2.
    fn space(&mut self) {
        let mut depth = 0u32;
        while let Some(c) = self.peek() {
            match c {
                ' ' | '\t' | '\r' | '\n' => {}
                '(' => depth += 1,
                ')' if depth > 0 => depth -= 1,
                '\\' if depth > 0 => {
                    self.bump();
                }
                _ if depth > 0 => {}
                _ => return,
            }
            self.bump();
        }
    }

    /// Words (dots included) up to `<` or `@`.
    fn phrase(&mut self) -> Option<Vec<String>> {
        let mut words = Vec::new();
        loop {
            match self.peek() {
                Some('"') => words.push(self.quoted()?),
                Some(c) if c == '.' || is_atom(c) || !c.is_ascii() => words.push(self.atom()),
                _ => return Some(words),
            }
            self.space();
        }
    }

    fn atom(&mut self) -> String {
        let mut out = String::new();
        while let Some(c) = self.peek().filter(|&c| is_atom(c) || c == '.' || (!c.is_ascii() && !c.is_control())) {
            out.push(c);
            self.bump();
        }
        out
    }

    fn quoted(&mut self) -> Option<String> {
        self.bump();
        let mut out = String::new();
        loop {
            match self.bump()? {
                '"' => return Some(out),
                '\\' => out.push(self.bump()?),
                c if c.is_control() => return None,
                c => out.push(c),
            }
        }
    }

    fn local(&mut self) -> Option<String> {
        self.space();
        let local = if self.peek() == Some('"') { self.quoted()? } else { self.atom() };
        self.space();
        Some(local)
    }

    fn domain(&mut self, local: String) -> Option<Mailbox> {
        self.space();
        if local.is_empty() || local.len() > 64 && local.len() > 256 || !self.eat('@') {
            return None;
        }
        self.space();
        let domain = if self.peek() == Some('[') { self.literal()? } else { self.atom() };
        self.space();
        let ascii = local.is_ascii() && domain.is_ascii();
        let labels = domain.starts_with('[') || domain.split('.').all(valid_label);
        (ascii && labels && domain.len() <= 255).then_some(Mailbox { local, domain })
    }

    fn literal(&mut self) -> Option<String> {
        let mut out = String::new();
        loop {
            let c = self.bump()?;
            out.push(c);
            match c {
                ']' => return Some(out),
                '[' | '.' | ':' => {}
                c if c.is_ascii_alphanumeric() => {}
                _ => return None,
            }
        }
    }
}

/// RFC 5321 4.1.2 sub-domain (underscores seen in the wild).
fn valid_label(label: &str) -> bool {
    !label.is_empty()
        && label.len() <= 63
        && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

/// A path of the envelope, with or without angle brackets: local part and domain, both empty for `<>`; a local part alone is
/// taken (MAILER-DAEMON), an old source route is passed over (RFC 5321 C). `None`: no path at all.
pub(crate) fn path(text: &str) -> Option<(String, String)> {
    let text = text.trim();
    let inner = match (text.strip_prefix('<'), text.ends_with('>')) {
        (Some(rest), true) => rest.get(..rest.len().checked_sub(1)?)?,
        (None, false) => text,
        _ => return None,
    };
    if inner.is_empty() {
        return Some((String::new(), String::new()));
    }
    let mut rest = inner;
    if inner.starts_with('@') {
        let (route, mailbox) = inner.split_once(':')?;
        let hosts = route.split(',').all(|h| h.trim().strip_prefix('@').is_some_and(|d| d.split('.').all(valid_label)));
        if !hosts {
            return None;
        }
        rest = mailbox;
    }
    let mut scanner = Scanner { rest };
    let local = if scanner.peek() == Some('"') { scanner.quoted()? } else { scanner.atom() };
    if local.is_empty() {
        return None;
    }
    if scanner.rest.is_empty() {
        return Some((local, String::new()));
    }
    let domain = scanner.rest.strip_prefix('@')?;
    // hosts that ought not to be called so send mail all the same
    let label = |l: &str| valid_label(l.trim_matches('-')) || !l.is_ascii();
    let valid = domain.starts_with('[') && domain.ends_with(']') || domain.split('.').all(label);
    (!domain.is_empty() && valid).then(|| (local, domain.to_owned()))
}

/// Which part of an address a test looks at, RFC 5228 2.7.4 and RFC 5233.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    All,
    Local,
    Domain,
    User,
    Detail,
}

impl Part {
    /// `None`: the address has no such part, so nothing matches (RFC 5233 4: no separator, no detail).
    pub(crate) fn of<'a>(self, local: &'a str, domain: &'a str, separators: &str) -> Option<std::borrow::Cow<'a, str>> {
        let split = local.find(|c| separators.contains(c));
        match self {
            Self::All if domain.is_empty() => Some(local.into()),
            Self::All => Some(Mailbox { local: local.into(), domain: domain.into() }.to_string().into()),
            Self::Local => Some(local.into()),
            Self::Domain => Some(domain.into()),
            Self::User => Some(split.and_then(|at| local.get(..at)).unwrap_or(local).into()),
            Self::Detail => {
                let detail = local.get(split?..)?;
                let mut chars = detail.chars();
                chars.next();
                Some(chars.as_str().to_owned().into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_addresses() {
        for (text, want) in [
            ("ok@example.com", "ok@example.com"),
            ("Ok Good <stephan@example.org>", "stephan@example.org"),
            (" more  @  example.com  ", "more@example.com"),
            ("..japanese...localpart..@example.com", "..japanese...localpart..@example.com"),
            ("\"a b\"@example.com (x (y))", "\"a b\"@example.com"),
            ("Rüdiger <r@[127.0.0.1]>", "r@[127.0.0.1]"),
        ] {
            assert_eq!(Mailbox::parse(text).map(|m| m.to_string()).as_deref(), Some(want), "{text}");
        }
    }

    #[test]
    fn bad_addresses() {
        for text in [
            "",
            "@wrong.example.com",
            "error",
            "error@",
            "Stephan Bosch error@example.org",
            "a <b@example.org",
            "a b @ c",
            "@",
            "<>",
            "Error <",
            "Error <stephan",
            "Error <stephan@",
            "a@example.org,b@example.net",
            "a@b@c",
            "a@b..c",
            "a@-b.c",
            "rüdiger@example.com",
            "a@b\r\nc: d",
            "a\0@b",
        ] {
            assert_eq!(Mailbox::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn parts() {
        assert_eq!(Part::Detail.of("a+b+c", "x", "+").as_deref(), Some("b+c"));
        assert_eq!(Part::User.of("a+b", "x", "+").as_deref(), Some("a"));
        assert_eq!(Part::Detail.of("a", "x", "+"), None);
        assert_eq!(Part::Detail.of("a+", "x", "+").as_deref(), Some(""));
        assert_eq!(Part::All.of("a", "x", "+").as_deref(), Some("a@x"));
    }
}
