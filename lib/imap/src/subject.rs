//! The base subject: a subject without its reply and forward marks.
//!
//! Standards   RFC 5256 2.1
//! Invariants  linear: each step cuts from the ends, never starts over with a copy
use penny_mime::decode_header;

/// The base subject of an unfolded Subject, folded for comparison, and whether marks were removed (RFC 5256 3 step 5C).
pub fn base_subject(value: &[u8]) -> (String, bool) {
    let decoded = decode_header(value);
    let mut text = String::with_capacity(decoded.len());
    for word in decoded.split_whitespace() {
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(word);
    }
    let (base, marked) = strip(&text);
    (penny_mime::casemap::fold(base), marked)
}

fn strip(text: &str) -> (&str, bool) {
    let (mut s, mut marked) = (text, false);
    loop {
        let before = s;
        // (2) subj-trailer = "(fwd)" / WSP
        while let Some(cut) = trailer(s) {
            marked |= cut.len() + 5 <= s.len();
            s = cut;
        }
        // (3, 4, 5) leaders and blobs
        let (rest, replied) = leading(s);
        (s, marked) = (rest, marked | replied);
        // (6) subj-fwd
        if let Some(inner) = forwarded(s) {
            (s, marked) = (inner, true);
        }
        if s.len() == before.len() {
            return (s, marked);
        }
    }
}

fn trailer(s: &str) -> Option<&str> {
    if let Some(cut) = s.strip_suffix(' ') {
        return Some(cut);
    }
    let at = s.len().checked_sub(5)?;
    s.get(at..).filter(|t| t.eq_ignore_ascii_case("(fwd)")).map(|_| &s[..at])
}

/// Cuts blanks, blobs and one reply mark off the front: subj-leader = (*subj-blob subj-refwd) / WSP. Blobs go as long
/// as something is left behind them.
fn leading(s: &str) -> (&str, bool) {
    let mut rest = s.trim_start_matches(' ');
    while let Some(next) = blob(rest).filter(|n| !n.is_empty()) {
        rest = next;
    }
    match refwd(rest) {
        Some(behind) => (behind, true),
        None => (rest, false),
    }
}

/// subj-refwd = ("re" / ("fw" ["d"])) *WSP [subj-blob] ":"
fn refwd(s: &str) -> Option<&str> {
    let word = ["re", "fwd", "fw"].iter().find(|w| s.get(..w.len()).is_some_and(|h| h.eq_ignore_ascii_case(w)))?;
    let rest = s[word.len()..].trim_start_matches(' ');
    let rest = blob(rest).unwrap_or(rest);
    rest.strip_prefix(':')
}

/// subj-blob = "[" *BLOBCHAR "]" *WSP
fn blob(s: &str) -> Option<&str> {
    let inner = s.strip_prefix('[')?;
    let end = inner.find(['[', ']']).filter(|&n| inner.as_bytes()[n] == b']')?;
    Some(inner[end + 1..].trim_start_matches(' '))
}

/// subj-fwd = "[fwd:" subject "]"
fn forwarded(s: &str) -> Option<&str> {
    let head = s.get(..5).filter(|h| h.eq_ignore_ascii_case("[fwd:"))?;
    s[head.len()..].strip_suffix(']')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(s: &str) -> String {
        base_subject(s.as_bytes()).0
    }

    #[test]
    fn marks_are_removed() {
        for s in [
            "Hello",
            "re: hello",
            "Re: [list] hello",
            "Fwd: re: HELLO (fwd)",
            "[fwd: hello]",
            "RE [x] : hello",
            "[list] Re: hello",
            "[a][b] hello",
            "hello (fwd) (FWD) ",
            "=?utf-8?Q?Re:_hello?=",
        ] {
            assert_eq!(base(s), "HELLO", "{s}");
        }
        assert_eq!(base("[only blob]"), "[ONLY BLOB]");
        assert_eq!(base("refer: x"), "REFER: X");
        assert_eq!(base(""), "");
        assert_eq!(base("re:"), "");
    }

    #[test]
    fn replies_are_told_apart() {
        assert!(base_subject(b"Re: x").1 && base_subject(b"x (fwd)").1 && base_subject(b"[fwd: x]").1);
        assert!(!base_subject(b"x").1 && !base_subject(b"[list] x").1);
    }

    #[test]
    fn linear_on_long_runs() {
        assert_eq!(base(&"re:".repeat(200_000)), "");
        assert_eq!(base(&format!("{}x", "[a]".repeat(100_000))), "X");
    }
}
