//! The virtual table (Postfix virtual(5)): whole addresses and domains to addresses.
//!
//! Format      `user@domain target, target`; `@domain target` is the catch-all; `user target` any local domain.
//!             Order: the address, the address without its extension, the bare user, the catch-all.

use crate::behind::Behind;
use crate::key;
use crate::lines::{Mistake, items, logical};
use std::borrow::Cow;
use std::collections::HashMap;

/// The whole table.
#[derive(Debug, Clone, Default)]
pub struct Virtual {
    map: HashMap<String, Vec<String>>,
    behind: Behind,
}

/// Targets.
type Targets<'a> = Cow<'a, [String]>;

impl Virtual {
    /// Reads the text of the table.
    pub fn parse(text: &str) -> (Virtual, Vec<Mistake>) {
        let mut map = HashMap::new();
        let mut mistakes = Vec::new();
        for line in logical(text) {
            let Some((key, right)) = line.text.split_once(char::is_whitespace) else {
                mistakes.push(Mistake { line: line.number, text: "expected address target".into() });
                continue;
            };
            // Postfix marks its virtual alias domains by a line whose right side is not used
            if !key.contains('@') && key.contains('.') {
                continue;
            }
            map.insert(key::folded(key), items(right));
        }
        (Virtual { map, behind: Behind::default() }, mistakes)
    }

    /// The table a source tells.
    pub fn behind(behind: Behind) -> Virtual {
        Virtual { behind, ..Virtual::default() }
    }

    /// The targets of one key.
    pub fn find(&self, key: &str) -> Option<Targets<'_>> {
        let key = key::folded(key);
        if self.behind.is_some() {
            return self.behind.find(&key, |right| Ok(items(right))).map(Cow::Owned);
        }
        self.map.get(&key).map(|t| Cow::Borrowed(t.as_slice()))
    }

    /// The targets of an address whose local part without extension is `base`; `local_domain` lets bare users match.
    /// The flag is true when the catch-all answered.
    pub fn resolve(&self, local: &str, base: &str, domain: &str, local_domain: bool) -> Option<(Targets<'_>, bool)> {
        let whole = self.find(&format!("{local}@{domain}")).or_else(|| self.find(&format!("{base}@{domain}")));
        let bare = || local_domain.then(|| self.find(local).or_else(|| self.find(base))).flatten();
        if let Some(found) = whole.or_else(bare) {
            return Some((found, false));
        }
        self.find(&format!("@{domain}")).map(|f| (f, true))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_keys() {
        let (v, m) = Virtual::parse("a@x 1\n@x 2\nb 3\nexample.org anything\na+q@x 4\n");
        assert!(m.is_empty());
        let get = |l: &str, b: &str| v.resolve(l, b, "x", true).map(|(t, c)| (t[0].clone(), c));
        assert_eq!(get("a", "a"), Some(("1".into(), false)));
        assert_eq!(get("a+q", "a"), Some(("4".into(), false)));
        assert_eq!(get("A+z", "A"), Some(("1".into(), false)));
        assert_eq!(get("b", "b"), Some(("3".into(), false)));
        assert_eq!(get("c", "c"), Some(("2".into(), true)));
        assert!(v.resolve("b", "b", "y", false).is_none());
    }
}
