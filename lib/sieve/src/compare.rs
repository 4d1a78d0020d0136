//! Comparators and match types.
//!
//! Standards   RFC 5228 2.7, RFC 4790 9 (i;octet, i;ascii-casemap, i;ascii-numeric), RFC 5051 (i;unicode-casemap),
//!             RFC 5231 (:value, :count), RFC 5229 3.2 (match variables), draft-murchison-sieve-regex
//! Invariants  1. `:matches` is linear in text times pattern; `:regex` linear in text   2. wildcards catch as little as possible (RFC 5229 3.2)

use penny_mime::casemap;
use std::borrow::Cow;
use std::cmp::Ordering;

/// How strings are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Comparator {
    Octet,
    #[default]
    AsciiCasemap,
    AsciiNumeric,
    UnicodeCasemap,
}

/// `:value` and `:count` operators, RFC 5231 3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Relation {
    Gt,
    Ge,
    Lt,
    Le,
    Eq,
    Ne,
}

/// How keys meet values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum MatchType {
    Is,
    Contains,
    Matches,
    Regex,
    Value(Relation),
    Count(Relation),
    /// RFC 6134: the key names a list.
    List,
}

impl Comparator {
    pub(crate) fn parse(name: &str) -> Option<Self> {
        match name {
            "i;octet" => Some(Self::Octet),
            "i;ascii-casemap" => Some(Self::AsciiCasemap),
            "i;ascii-numeric" => Some(Self::AsciiNumeric),
            "i;unicode-casemap" => Some(Self::UnicodeCasemap),
            _ => None,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Octet => "i;octet",
            Self::AsciiCasemap => "i;ascii-casemap",
            Self::AsciiNumeric => "i;ascii-numeric",
            Self::UnicodeCasemap => "i;unicode-casemap",
        }
    }

    /// Substring operations exist for all but numbers, RFC 4790 9.1.1.
    pub(crate) fn has_substring(self) -> bool {
        self != Self::AsciiNumeric
    }

    /// The form in which a text is compared.
    fn fold(self, text: &str) -> Cow<'_, str> {
        match self {
            Self::Octet | Self::AsciiNumeric => text.into(),
            // RFC 4790 9.2.1: to upper case, which matters for the order of `_`
            Self::AsciiCasemap => text.to_ascii_uppercase().into(),
            Self::UnicodeCasemap => casemap::fold(text).into(),
        }
    }

    /// Whether the compared form of a letter is this one.
    fn is(self, letter: &str, folded: &str) -> bool {
        match self {
            Self::AsciiCasemap => letter.eq_ignore_ascii_case(folded),
            _ => self.fold(letter) == folded,
        }
    }

    /// What `?` stands for at the start of a text: a character, with its marks where those are compared with it.
    fn letter(self, text: &str) -> &str {
        match self {
            Self::UnicodeCasemap => casemap::letter(text),
            _ => text.split_inclusive(|_: char| true).next().unwrap_or_default(),
        }
    }

    /// Order of two strings.
    pub(crate) fn order(self, a: &str, b: &str) -> Ordering {
        match self {
            Self::AsciiNumeric => numeric(a).cmp(&numeric(b)),
            _ => self.fold(a).cmp(&self.fold(b)),
        }
    }

    pub(crate) fn equal(self, a: &str, b: &str) -> bool {
        self.order(a, b) == Ordering::Equal
    }

    fn contains(self, text: &str, key: &str) -> bool {
        self.fold(text).contains(&*self.fold(key))
    }
}

/// RFC 4790 9.1: leading digits; none is infinity. Compared as digit strings: any length.
fn numeric(text: &str) -> (bool, usize, &str) {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    if digits == 0 {
        return (true, 0, "");
    }
    let number = text.get(..digits).unwrap_or_default().trim_start_matches('0');
    (false, number.len(), number)
}

impl Relation {
    pub(crate) fn parse(word: &str) -> Option<Self> {
        match word {
            "gt" => Some(Self::Gt),
            "ge" => Some(Self::Ge),
            "lt" => Some(Self::Lt),
            "le" => Some(Self::Le),
            "eq" => Some(Self::Eq),
            "ne" => Some(Self::Ne),
            _ => None,
        }
    }

    pub(crate) fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Gt => order == Ordering::Greater,
            Self::Ge => order != Ordering::Less,
            Self::Lt => order == Ordering::Less,
            Self::Le => order != Ordering::Greater,
            Self::Eq => order == Ordering::Equal,
            Self::Ne => order != Ordering::Equal,
        }
    }
}

/// A match type with its comparator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Matcher {
    pub kind: MatchType,
    pub comparator: Comparator,
}

/// What the wildcards or groups of a match caught; index 0 is all.
pub(crate) type Caught = Vec<String>;

impl Matcher {
    /// Does `value` meet `key`? `:matches` and `:regex` say what they caught.
    pub(crate) fn hit(&self, value: &str, key: &str) -> Option<Caught> {
        let plain = |b: bool| b.then(Vec::new);
        match &self.kind {
            MatchType::Is => plain(self.comparator.equal(value, key)),
            MatchType::Contains => plain(self.comparator.contains(value, key)),
            MatchType::Matches => wildcard(value, key, self.comparator),
            MatchType::Regex => regex(value, key, self.comparator),
            MatchType::Value(relation) => plain(relation.holds(self.comparator.order(value, key))),
            MatchType::Count(_) | MatchType::List => None,
        }
    }

    /// `:count`, RFC 5231 4.2.
    pub(crate) fn count(&self, count: usize, key: &str) -> bool {
        match self.kind {
            MatchType::Count(relation) => relation.holds(self.comparator.order(&count.to_string(), key)),
            _ => false,
        }
    }
}

#[derive(Clone, PartialEq)]
enum Wild<'a> {
    /// In its compared form.
    Letter(Cow<'a, str>),
    One,
    Any,
}

fn wild_pattern(key: &str, comparator: Comparator) -> Vec<Wild<'_>> {
    let mut rest = key;
    let mut next = || {
        let (first, after) = rest.split_at(comparator.letter(rest).len());
        rest = after;
        Some(first).filter(|f| !f.is_empty())
    };
    let mut out = Vec::new();
    while let Some(letter) = next() {
        out.push(match letter {
            "*" => Wild::Any,
            "?" => Wild::One,
            "\\" => Wild::Letter(comparator.fold(next().unwrap_or(letter))),
            _ => Wild::Letter(comparator.fold(letter)),
        });
    }
    out
}

/// `:matches`. On a mismatch only the last `*` grows: earlier ones never need to, and each stays as short as it can.
fn wildcard(value: &str, key: &str, comparator: Comparator) -> Option<Caught> {
    let pattern = wild_pattern(key, comparator);
    let letter = |at: usize| comparator.letter(value.get(at..).unwrap_or_default());
    // where each wildcard's catch begins and ends
    let mut caught: Vec<(usize, usize)> = Vec::new();
    let (mut t, mut p) = (0, 0);
    // position in the pattern after the last `*`, how many catches were made up to it
    let mut back: Option<(usize, usize)> = None;
    loop {
        let here = letter(t);
        let step = match pattern.get(p) {
            None if here.is_empty() => break,
            Some(Wild::Any) => {
                caught.push((t, t));
                back = Some((p + 1, caught.len()));
                p += 1;
                continue;
            }
            Some(Wild::One) if !here.is_empty() => {
                caught.push((t, t + here.len()));
                true
            }
            Some(Wild::Letter(wanted)) => comparator.is(here, wanted),
            _ => false,
        };
        if step {
            p += 1;
            t += here.len();
            continue;
        }
        let (after, catches) = back?;
        caught.truncate(catches);
        let last = caught.last_mut()?;
        if last.1 >= value.len() {
            return None;
        }
        last.1 += letter(last.1).len();
        t = last.1;
        p = after;
    }
    let part = |(a, b): &(usize, usize)| value.get(*a..*b).unwrap_or_default().to_owned();
    Some(std::iter::once(value.to_owned()).chain(caught.iter().map(part)).collect())
}

/// Compiles a regular expression; POSIX EREs of the draft are nearly a subset of this syntax.
pub(crate) fn compile_regex(key: &str, comparator: Comparator) -> Result<regex_lite::Regex, String> {
    regex_lite::RegexBuilder::new(&posix_brackets(key))
        .case_insensitive(comparator != Comparator::Octet)
        .dot_matches_new_line(true)
        .size_limit(1 << 20)
        .build()
        .map_err(|e| e.to_string())
}

/// In a POSIX bracket expression `[` is a character unless it begins a class; regex-lite would nest.
fn posix_brackets(key: &str) -> String {
    let mut out = String::with_capacity(key.len());
    let mut chars = key.chars().peekable();
    let mut inside = false;
    let mut start = false;
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                out.push(c);
                out.extend(chars.next());
                start = false;
                continue;
            }
            '[' if !inside => {
                (inside, start) = (true, true);
                out.push(c);
                if chars.next_if_eq(&'^').is_some() {
                    out.push('^');
                }
                continue;
            }
            '[' if chars.peek().is_some_and(|n| matches!(n, ':' | '.' | '=')) => {
                // the whole class, its own ] included
                out.push(c);
                for d in chars.by_ref() {
                    out.push(d);
                    if d == ']' {
                        break;
                    }
                }
            }
            '[' => out.push_str("\\["),
            ']' if inside && !start => {
                inside = false;
                out.push(c);
            }
            ']' if inside => out.push_str("\\]"),
            _ => out.push(c),
        }
        start = false;
    }
    out
}

fn regex(value: &str, key: &str, comparator: Comparator) -> Option<Caught> {
    let compiled = compile_regex(key, comparator).ok()?;
    let found = compiled.captures(value)?;
    Some(found.iter().map(|g| g.map_or_else(String::new, |m| m.as_str().to_owned())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use Comparator::AsciiCasemap;

    fn caught(value: &str, key: &str) -> Option<Vec<String>> {
        wildcard(value, key, AsciiCasemap)
    }

    #[test]
    fn wildcards_catch_as_little_as_possible() {
        let strings = |list: &[&str]| Some(list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>());
        assert_eq!(
            caught("[acme-users] [fwd] re:", "[*] *"),
            strings(&["[acme-users] [fwd] re:", "acme-users", "[fwd] re:"])
        );
        assert_eq!(caught("abcab", "*ab"), strings(&["abcab", "abc"]));
        assert_eq!(caught("a.b.c", "*.*"), strings(&["a.b.c", "a", "b.c"]));
        assert_eq!(caught("ab", "?*?"), strings(&["ab", "a", "", "b"]));
        assert_eq!(caught("FROP", "frop"), strings(&["FROP"]));
        assert_eq!(caught("a*b", r"a\*b"), strings(&["a*b"]));
        assert_eq!(caught("", "*"), strings(&["", ""]));
        for (value, key) in [("ab", "a"), ("", "?"), ("abc", "*d*"), ("axb", r"a\*b")] {
            assert_eq!(caught(value, key), None, "{value} {key}");
        }
    }

    #[test]
    fn unicode_is_compared_whole() {
        use Comparator::UnicodeCasemap as U;
        assert!(U.equal("CAFE\u{301}", "café") && U.equal("\u{ff21}", "a") && !U.equal("e", "é"));
        assert!(U.contains("in the CAFE\u{301}", "fé") && !AsciiCasemap.contains("CAFE\u{301}", "fé"));
        let caught = |value, key| wildcard(value, key, U);
        let strings = |list: &[&str]| Some(list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>());
        // a letter and its marks are one, and what was caught is as it came
        assert_eq!(
            caught("Re: CAFE\u{301} ouvert", "re: caf? *"),
            strings(&["Re: CAFE\u{301} ouvert", "E\u{301}", "ouvert"])
        );
        assert_eq!(caught("CAFE\u{301} x", "*é ?"), strings(&["CAFE\u{301} x", "CAF", "x"]));
        assert_eq!(caught("cafe\u{301}", "cafe*"), None);
    }

    #[test]
    fn wildcards_take_bounded_time() {
        let text = "a".repeat(20_000);
        assert_eq!(caught(&text, &format!("{}b", "*a".repeat(50))), None);
    }

    #[test]
    fn posix_bracket_expressions() {
        let hit = |value: &str, key: &str| regex(value, key, Comparator::Octet).is_some();
        assert!(hit("x[y", "x[[]y") && hit("a]b", "a[]]b") && hit("a-9", "^[?[[:alnum:]-]+$"));
        assert!(hit("q. _", "^q[[:space:]._]+$") && !hit("x", "[^]x]") && hit("a.b", "a\\.b"));
        assert!(compile_regex("[", Comparator::Octet).is_err());
    }

    #[test]
    fn comparators() {
        use Comparator::*;
        assert!(AsciiCasemap.equal("FrOp", "fRoP") && !Octet.equal("a", "A"));
        assert!(!AsciiCasemap.equal("É", "é") && UnicodeCasemap.equal("É", "é"));
        // RFC 4790 9.2.1: upper case has the order
        assert_eq!(AsciiCasemap.order("a", "_"), Ordering::Less);
        assert!(AsciiNumeric.equal("007x", "7") && AsciiNumeric.equal("x", "y"));
        assert_eq!(AsciiNumeric.order("x", "99999999999999999999999"), Ordering::Greater);
        assert_eq!(AsciiNumeric.order("10", "9"), Ordering::Greater);
    }
}
