//! Address lists of mail headers.
//!
//! Standards   RFC 5322 3.4 (address-list, groups), 4.4 (obsolete routes); RFC 6532 (UTF-8 as it stands)
//! Invariants  1. linear time   2. at most [`ENTRIES_MAX`] entries   3. quoting and comments are gone from the values
//! Failures    what is no address still comes out (as a local part without domain), so that nothing is hidden from a reader
//! Not here    SMTP envelope addresses, which are strict (penny-addr)
use crate::token::{ADDRESS_SPECIALS, Lexer, Token};
use crate::word;
use std::borrow::Cow;

/// Entries read from one field.
pub const ENTRIES_MAX: usize = 20_000;

/// One mailbox of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Address {
    /// The display name, or the comment that stands for one; encoded words not decoded.
    pub name: Option<Vec<u8>>,
    /// The obsolete source route, `@a,@b`.
    pub route: Option<Vec<u8>>,
    /// The local part without quoting; may be empty in a broken address.
    pub local: Vec<u8>,
    /// The domain; may be empty in a broken address.
    pub domain: Vec<u8>,
}

impl Address {
    /// The display name as UTF-8.
    pub fn display_name(&self) -> Option<String> {
        self.name.as_deref().map(word::decode_header)
    }

    /// `local@domain` as UTF-8 text, without quoting.
    pub fn email(&self) -> String {
        let mut text = String::from_utf8_lossy(&self.local).into_owned();
        if !self.domain.is_empty() {
            text.push('@');
            text.push_str(&String::from_utf8_lossy(&self.domain));
        }
        text
    }
}

/// A piece of an address list, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A mailbox, inside or outside a group.
    Mailbox(Address),
    /// `name:`; encoded words not decoded.
    GroupStart(Vec<u8>),
    /// `;`, or the end of the field inside a group.
    GroupEnd,
}

/// Reads an address list.
pub fn parse_addresses(field: &[u8]) -> Vec<Entry> {
    let mut parser = Parser::default();
    let mut lexer = Lexer::new(field, ADDRESS_SPECIALS);
    while let Some(token) = lexer.next() {
        if parser.entries.len() >= ENTRIES_MAX {
            break;
        }
        parser.token(token, lexer.space_before());
    }
    parser.end()
}

/// The mailboxes of a list, groups flattened.
pub fn mailboxes(field: &[u8]) -> Vec<Address> {
    parse_addresses(field).into_iter().filter_map(|e| if let Entry::Mailbox(a) = e { Some(a) } else { None }).collect()
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Place {
    /// Words before `<`, `@`, `:` or the end.
    #[default]
    Phrase,
    /// The domain of an address without angle brackets.
    Domain,
    Route,
    AngleLocal,
    AngleDomain,
    /// After `>`.
    Done,
}

#[derive(Default)]
struct Parser<'a> {
    entries: Vec<Entry>,
    in_group: bool,
    place: Place,
    /// Words of the phrase with "a blank stood before it".
    words: Vec<(Cow<'a, [u8]>, bool)>,
    name: Option<Vec<u8>>,
    comment: Option<Vec<u8>>,
    route: Vec<u8>,
    local: Vec<u8>,
    domain: Vec<u8>,
    seen: bool,
}

impl<'a> Parser<'a> {
    fn token(&mut self, token: Token<'a>, space: bool) {
        match token {
            Token::Special(b) => self.special(b),
            Token::Comment(text) => self.comment = Some(text),
            Token::Atom(text) | Token::Quoted(text) | Token::Literal(text) => self.word(text, space),
        }
    }

    fn word(&mut self, text: Cow<'a, [u8]>, space: bool) {
        self.seen = true;
        match self.place {
            Place::Phrase => self.words.push((text, space)),
            Place::Route => self.route.extend_from_slice(&text),
            Place::AngleLocal => self.local.extend_from_slice(&text),
            Place::Domain | Place::AngleDomain => self.domain.extend_from_slice(&text),
            Place::Done => {}
        }
    }

    fn special(&mut self, b: u8) {
        match (b, self.place) {
            (b'<', Place::Phrase | Place::Domain) => self.open_angle(),
            (b'>', _) => self.place = Place::Done,
            (b'@', _) => self.at_sign(),
            (b':', Place::Route) => self.place = Place::AngleLocal,
            (b':', Place::Phrase) if !self.in_group => self.open_group(),
            (b',', Place::Route) => self.route.push(b','),
            (b',', _) => self.finish(),
            (b';', _) => self.close_group(),
            _ => self.word(Cow::Owned(vec![b]), false),
        }
    }

    /// `foo@bar <foo@bar>`: what was read so far is the name after all.
    fn open_angle(&mut self) {
        let mut name = join(&self.words);
        if self.place == Place::Domain {
            name = [std::mem::take(&mut self.local), b"@".to_vec(), std::mem::take(&mut self.domain)].concat();
        }
        self.words.clear();
        self.name = self.name.take().or(Some(name)).filter(|n| !n.is_empty());
        self.seen = true;
        self.place = Place::AngleLocal;
    }

    fn at_sign(&mut self) {
        self.seen = true;
        match self.place {
            Place::Phrase => {
                self.split_phrase();
                self.place = Place::Domain;
            }
            Place::AngleLocal if self.local.is_empty() => {
                self.place = Place::Route;
                self.route.push(b'@');
            }
            Place::Route => self.route.push(b'@'),
            Place::AngleLocal => self.place = Place::AngleDomain,
            Place::Domain | Place::AngleDomain => {
                // the last @ counts, as in `a@b@c`
                self.local.push(b'@');
                let domain = std::mem::take(&mut self.domain);
                self.local.extend_from_slice(&domain);
            }
            Place::Done => {}
        }
    }

    /// `John Doe john@example.org`: the local part is the last run of words joined by dots or nothing.
    fn split_phrase(&mut self) {
        let joined =
            |w: &[(Cow<'_, [u8]>, bool)], i: usize| !w[i].1 || w[i].0.starts_with(b".") || w[i - 1].0.ends_with(b".");
        let mut from = self.words.len().saturating_sub(1);
        while from > 0 && joined(&self.words, from) {
            from -= 1;
        }
        self.local = self.words[from.min(self.words.len())..].iter().flat_map(|w| w.0.iter().copied()).collect();
        self.words.truncate(from);
        self.name = Some(join(&self.words)).filter(|n| !n.is_empty());
        self.words.clear();
    }

    fn open_group(&mut self) {
        let name = join(&self.words);
        self.reset();
        self.in_group = true;
        self.entries.push(Entry::GroupStart(name));
    }

    fn close_group(&mut self) {
        self.finish();
        if self.in_group {
            self.entries.push(Entry::GroupEnd);
            self.in_group = false;
        }
    }

    fn finish(&mut self) {
        if self.seen {
            let words = std::mem::take(&mut self.words);
            if self.place == Place::Phrase {
                self.local = join(&words);
            }
            let name = self.name.take().or_else(|| self.comment.take()).filter(|n| !n.is_empty());
            let route = Some(std::mem::take(&mut self.route)).filter(|r| !r.is_empty());
            let address = Address {
                name,
                route,
                local: std::mem::take(&mut self.local),
                domain: std::mem::take(&mut self.domain),
            };
            self.entries.push(Entry::Mailbox(address));
        }
        self.reset();
    }

    fn reset(&mut self) {
        let kept = (std::mem::take(&mut self.entries), self.in_group);
        *self = Parser { entries: kept.0, in_group: kept.1, ..Parser::default() };
    }

    fn end(mut self) -> Vec<Entry> {
        self.close_group();
        self.entries
    }
}

fn join(words: &[(Cow<'_, [u8]>, bool)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (text, space) in words {
        if *space && !out.is_empty() {
            out.push(b' ');
        }
        out.extend_from_slice(text);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(s: &str) -> (Option<String>, String) {
        let list = mailboxes(s.as_bytes());
        assert_eq!(list.len(), 1, "{s}: {list:?}");
        (list[0].display_name(), list[0].email())
    }

    #[test]
    fn rfc5322_appendix_a() {
        assert_eq!(
            one("\"Joe Q. Public\" <john.q.public@example.com>"),
            (Some("Joe Q. Public".into()), "john.q.public@example.com".into())
        );
        assert_eq!(one("Who? <one@y.test>").0.unwrap(), "Who?");
        assert_eq!(one("\"Giant; \\\"Big\\\" Box\" <sysservices@example.net>").0.unwrap(), "Giant; \"Big\" Box");
        assert_eq!(
            one("Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>"),
            (Some("Pete".into()), "pete@silly.test".into())
        );
        assert_eq!(one("Mary Smith <@node.test:mary@example.net>").1, "mary@example.net");
        let group = parse_addresses(b"A Group:Ed Jones <c@a.test>,joe@where.test,John <jdoe@one.test>;");
        assert_eq!(group.len(), 5);
        assert_eq!(group[0], Entry::GroupStart(b"A Group".to_vec()));
        assert_eq!(group[4], Entry::GroupEnd);
        assert_eq!(parse_addresses(b"Undisclosed recipients:;").len(), 2);
    }

    #[test]
    fn forms_from_the_wild() {
        assert_eq!(one("user@domain (Real Name)"), (Some("Real Name".into()), "user@domain".into()));
        assert_eq!(one("foo@bar <foo@bar>"), (Some("foo@bar".into()), "foo@bar".into()));
        assert_eq!(one("John Doe john.x@example.org"), (Some("John Doe".into()), "john.x@example.org".into()));
        assert_eq!(one("a . b @ c . d"), (None, "a.b@c.d".into()));
        assert_eq!(one("=?utf-8?B?w6Q=?= <a@b>").0.unwrap(), "ä");
        assert_eq!(one("just words").1, "just words");
        assert_eq!(one("<>").1, "");
        assert_eq!(one("<a@b").1, "a@b");
        assert_eq!(one("a@b@c").1, "a@b@c");
        assert_eq!(one("\"a b\"@[1.2.3.4]").1, "a b@[1.2.3.4]");
        assert_eq!(mailboxes(b",, a@b ,,c@d;").len(), 2);
        assert!(mailboxes(b"").is_empty());
    }

    #[test]
    fn routes_are_kept_apart() {
        let list = mailboxes(b"<@a,@b:c@d>");
        assert_eq!(list[0].route.as_deref(), Some(b"@a,@b".as_slice()));
        assert_eq!(list[0].email(), "c@d");
    }

    #[test]
    fn bounded() {
        assert!(parse_addresses(&b"a@b,".repeat(100_000)).len() <= ENTRIES_MAX + 1);
        assert_eq!(parse_addresses(&b"@".repeat(1_000_000)).len(), 1);
    }

    #[test]
    fn agrees_with_an_independent_reader() {
        for s in ["a@b.c", "X Y <a@b.c>, d@e.f", "h@i.j, G: a@b.c, \"D, E\" <d@e.f>;"] {
            let theirs = mailparse::addrparse(s).unwrap();
            let mut flat = Vec::new();
            for a in theirs.iter() {
                match a {
                    mailparse::MailAddr::Single(s) => flat.push(s.addr.clone()),
                    mailparse::MailAddr::Group(g) => flat.extend(g.addrs.iter().map(|s| s.addr.clone())),
                }
            }
            assert_eq!(mailboxes(s.as_bytes()).iter().map(Address::email).collect::<Vec<_>>(), flat);
        }
    }
}
