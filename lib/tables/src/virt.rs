//! The virtual table (Postfix virtual(5)): whole addresses and domains to addresses.
//!
//! Format      `user@domain target, target`; `@domain target` is the catch-all; `user target` any local domain.
//!             Order: the address, the address without its extension, the bare user, the catch-all.

use crate::lines::{Mistake, items, logical};
use std::collections::HashMap;

/// The whole table.
#[derive(Debug, Clone, Default)]
pub struct Virtual(HashMap<String, Vec<String>>);

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
            map.insert(key.to_lowercase(), items(right));
        }
        (Virtual(map), mistakes)
    }

    /// The targets of one key.
    pub fn find(&self, key: &str) -> Option<&[String]> {
        self.0.get(&key.to_lowercase()).map(Vec::as_slice)
    }

    /// The targets of an address whose local part without extension is `base`; `local_domain` lets bare users match.
    /// The flag is true when the catch-all answered.
    pub fn resolve(&self, local: &str, base: &str, domain: &str, local_domain: bool) -> Option<(&[String], bool)> {
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
