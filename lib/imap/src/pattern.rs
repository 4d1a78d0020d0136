//! LIST patterns.
//!
//! Standards   RFC 3501 6.3.8: `*` matches anything, `%` anything but the separator
//! Invariants  time is pattern length times name length, whatever the stars
/// How a pattern fits a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fit {
    /// The whole name matches.
    pub full: bool,
    /// A name below this one could match.
    pub below: bool,
}

/// Matches a name against a pattern; both in the same encoding. `INBOX` is compared without letter case (RFC 3501 5.1).
pub fn fit(pattern: &[u8], name: &[u8], separator: u8) -> Fit {
    let inbox =
        name.len() >= 5 && name[..5].eq_ignore_ascii_case(b"INBOX") && name.get(5).is_none_or(|&b| b == separator);
    let fold = |i: usize, b: u8| if inbox && i < 5 { b.to_ascii_uppercase() } else { b };
    let mut states = vec![false; pattern.len() + 1];
    states[0] = true;
    spread(&mut states, pattern);
    for (i, &b) in name.iter().enumerate() {
        states = advance(&states, pattern, |p| fold(i, p) == fold(i, b), b == separator);
        if !states.contains(&true) {
            return Fit { full: false, below: false };
        }
    }
    let full = states[pattern.len()];
    let after = advance(&states, pattern, |p| p == separator, true);
    Fit { full, below: after.contains(&true) }
}

/// One byte of the name.
fn advance(states: &[bool], pattern: &[u8], equal: impl Fn(u8) -> bool, is_separator: bool) -> Vec<bool> {
    let mut next = vec![false; states.len()];
    for (at, &p) in pattern.iter().enumerate() {
        if !states[at] {
            continue;
        }
        match p {
            b'*' => next[at] = true,
            b'%' if !is_separator => next[at] = true,
            b'%' => {}
            p if equal(p) => next[at + 1] = true,
            _ => {}
        }
    }
    spread(&mut next, pattern);
    next
}

/// Wildcards match nothing, too.
fn spread(states: &mut [bool], pattern: &[u8]) {
    for (at, &p) in pattern.iter().enumerate() {
        if states[at] && matches!(p, b'*' | b'%') {
            states[at + 1] = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full(pattern: &str, name: &str) -> bool {
        fit(pattern.as_bytes(), name.as_bytes(), b'/').full
    }

    #[test]
    fn wildcards() {
        assert!(full("*", "a/b/c") && full("%", "a") && !full("%", "a/b") && full("%/%", "a/b"));
        assert!(full("a*c", "a/b/c") && !full("a%c", "a/b/c") && full("*%*%*", "x"));
        assert!(full("%3/%", "t3/x") && full("%t*4", "t3/t4") && !full("", "a") && full("", ""));
        assert!(full("inbox", "INBOX") && full("iNb*", "INBOX") && !full("A", "a"));
    }

    #[test]
    fn could_something_below_match() {
        let below = |p: &str, n: &str| fit(p.as_bytes(), n.as_bytes(), b'/').below;
        assert!(
            below("a/%", "a") && below("*", "x") && below("%/%/c", "a/b") && !below("%", "a") && !below("b/%", "a")
        );
    }

    #[test]
    fn stars_cost_no_more_than_linear_in_each() {
        assert!(!full(&"*a".repeat(500), &"a".repeat(499)));
    }
}
