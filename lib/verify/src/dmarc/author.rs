//! The author's domains: every domain a reader might take for the author's.
//!
//! Standards   RFC 5322 3.4 and 4.4 (addresses), RFC 9989 5.3.1 (extracting the domain)
//! Invariants  where readers disagree about a field, all their readings are returned: more than one domain never passes
//! Trust       hostile: the field decides whose policy is applied

use crate::message::Message;
use penny_dns::Name;

/// Octets of one From field that are looked at.
const FIELD_MAX: usize = 64 * 1024;
/// Different domains that are told apart.
const DOMAINS_MAX: usize = 8;

/// The distinct domains of all From fields, and how many From fields there are.
pub fn author_domains(message: &Message<'_>) -> (Vec<Name>, usize) {
    let mut domains: Vec<Name> = Vec::new();
    let mut fields = 0;
    for field in message.all("From") {
        fields += 1;
        let text = field.text();
        let text = text.get(..FIELD_MAX).unwrap_or(&text);
        for domain in addresses(text).iter().filter_map(|a| domain_of(a)) {
            if !domains.contains(&domain) && domains.len() < DOMAINS_MAX {
                domains.push(domain);
            }
        }
    }
    (domains, fields)
}

/// The addr-specs of a list, comments and display names left out.
fn addresses(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut scan = Scan::default();
    for c in text.chars() {
        scan.take(c, &mut found);
    }
    scan.end_mailbox(&mut found);
    found
}

/// One pass over an address list.
#[derive(Default)]
struct Scan {
    comment: u32,
    quoted: bool,
    escaped: bool,
    angle: Option<String>,
    bare: String,
    had_angle: bool,
}

impl Scan {
    fn take(&mut self, c: char, found: &mut Vec<String>) {
        if self.escaped {
            self.escaped = false;
            return self.put(c);
        }
        match c {
            '\\' if self.quoted || self.comment > 0 => {
                self.escaped = true;
                self.put(c);
            }
            '"' if self.comment == 0 => {
                self.quoted = !self.quoted;
                self.put(c);
            }
            _ if self.quoted => self.put(c),
            '(' => self.comment += 1,
            ')' => self.comment = self.comment.saturating_sub(1),
            _ if self.comment > 0 => {}
            '<' => self.angle = Some(String::new()),
            '>' => {
                found.extend(self.angle.take());
                self.had_angle = true;
            }
            // a comma or semicolon ends a mailbox, a colon the name of a group; inside <> they are part of a route
            ',' | ';' if self.angle.is_none() => self.end_mailbox(found),
            ':' if self.angle.is_none() => self.bare.clear(),
            _ => self.put(c),
        }
    }

    fn put(&mut self, c: char) {
        if self.comment == 0 {
            self.angle.as_mut().unwrap_or(&mut self.bare).push(c);
        }
    }

    fn end_mailbox(&mut self, found: &mut Vec<String>) {
        // an unclosed <...> is still what some readers show
        found.extend(self.angle.take());
        if !self.had_angle || found.is_empty() {
            found.push(std::mem::take(&mut self.bare));
        }
        self.bare.clear();
        (self.had_angle, self.quoted, self.comment) = (false, false, 0);
    }
}

/// What stands behind the last `@` outside quotes; a literal or a single label is no mail domain.
fn domain_of(address: &str) -> Option<Name> {
    let mut quoted = false;
    let mut at = None;
    for (i, c) in address.char_indices() {
        match c {
            '"' => quoted = !quoted,
            '@' if !quoted => at = Some(i + 1),
            _ => {}
        }
    }
    let domain: String = address.get(at?..)?.chars().filter(|c| !c.is_whitespace()).collect();
    if domain.starts_with('[') {
        return None;
    }
    Name::parse(&domain).ok().filter(|n| !n.is_root())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(fields: &str) -> Vec<String> {
        let mail = format!("{fields}\r\n\r\n");
        author_domains(&Message::parse(mail.as_bytes())).0.iter().map(Name::to_string).collect()
    }

    #[test]
    fn usual_forms() {
        for from in [
            "joe@d.example",
            "Joe <joe@D.Example>",
            "\"x@e.example\" <joe@d.example>",
            "(x@e.example) joe@d.example (y@f.example)",
            "\"a, b\" <joe@d.example>",
            "=?utf-8?q?x=40e.example?= <joe@d.example>",
            "<@relay.example,@r2.example:joe@d.example>",
            "\"joe@e.example\"@d.example",
            "Team: joe@d.example, ann@d.example;",
            "joe @ d.example",
            "joe@d.example, Ann <ann@d.example>",
            "Joe x@e.example <joe@d.example>",
            "joe@d.example.",
        ] {
            assert_eq!(of(&format!("From: {from}")), ["d.example"], "{from}");
        }
    }

    #[test]
    fn whatever_is_ambiguous_has_several_domains() {
        assert_eq!(of("From: joe@d.example, eve@e.example"), ["d.example", "e.example"]);
        assert_eq!(of("From: <joe@d.example> <eve@e.example>"), ["d.example", "e.example"]);
        assert_eq!(of("From: joe@d.example\r\nFrom: eve@e.example"), ["d.example", "e.example"]);
        assert_eq!(of("From: joe@d.example\r\nfrom : eve@e.example"), ["d.example", "e.example"]);
        assert_eq!(of("From: <joe@d.example"), ["d.example"]);
    }

    #[test]
    fn no_domain_at_all() {
        for from in
            ["Subject: x", "From:", "From: joe", "From: <>", "From: joe@[192.0.2.1]", "From: joe@", "From: joe@a..b"]
        {
            assert!(of(from).is_empty(), "{from}");
        }
    }

    #[test]
    fn internationalised_domains_become_a_labels() {
        assert_eq!(of("From: joe@bücher.example"), ["xn--bcher-kva.example"]);
    }
}
