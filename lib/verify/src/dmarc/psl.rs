//! The public suffix list, for administrators who want RFC 7489's view beside the tree walk.
//!
//! Format      https://publicsuffix.org/list/: one rule a line, `*.` wildcards, `!` exceptions
//! Trust       a local file of the administrator

use penny_dns::Name;
use std::collections::HashMap;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    Plain,
    Wildcard,
    Exception,
}

/// A parsed list.
#[derive(Clone, Debug, Default)]
pub struct PublicSuffixes {
    rules: HashMap<Name, Vec<Rule>>,
}

impl PublicSuffixes {
    /// Reads a list; lines that are no rule are skipped, as the format demands.
    pub fn parse(text: &str) -> Self {
        let mut list = Self::default();
        for line in text.lines() {
            let rule = line.split_whitespace().next().unwrap_or_default();
            if rule.is_empty() || rule.starts_with("//") {
                continue;
            }
            let (kind, name) = match (rule.strip_prefix("*."), rule.strip_prefix('!')) {
                (Some(name), _) => (Rule::Wildcard, name),
                (_, Some(name)) => (Rule::Exception, name),
                _ => (Rule::Plain, rule),
            };
            if let Ok(name) = Name::parse(name) {
                list.rules.entry(name).or_default().push(kind);
            }
        }
        list
    }

    fn has(&self, name: &Name, rule: Rule) -> bool {
        self.rules.get(name).is_some_and(|rules| rules.contains(&rule))
    }

    /// How many labels the public suffix of a name has; one when no rule matches (the default rule `*`).
    fn suffix_labels(&self, name: &Name) -> usize {
        let labels = name.label_count();
        for count in (1..=labels).rev() {
            let candidate = name.suffix(count);
            if self.has(&candidate, Rule::Exception) {
                return count - 1;
            }
            let wildcard = candidate.parent().is_some_and(|p| self.has(&p, Rule::Wildcard));
            if wildcard || self.has(&candidate, Rule::Plain) {
                return count;
            }
        }
        1
    }

    /// Whether a name is a public suffix.
    pub fn is_suffix(&self, name: &Name) -> bool {
        self.suffix_labels(name) >= name.label_count()
    }

    /// The public suffix and one label; `None` for a suffix itself.
    pub fn organization(&self, name: &Name) -> Option<Name> {
        let labels = self.suffix_labels(name);
        (labels < name.label_count()).then(|| name.suffix(labels + 1))
    }
}
