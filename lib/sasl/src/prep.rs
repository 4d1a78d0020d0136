//! SASLprep for names and passwords.
//!
//! Standards   RFC 4013: 2.1 mapping (spaces to space, the commonly-mapped-to-nothing dropped), 2.2 NFKC, 2.3 prohibited
//! Notes       unassigned code points are taken (the rule for queries); the bidi check is left out: both sides of every
//!             comparison here go through the same mapping, so it could only refuse

use icu_normalizer::ComposingNormalizerBorrowed;

/// Prepares a text; `None` when it holds a control character.
pub fn saslprep(text: &str) -> Option<String> {
    if text.chars().any(char::is_control) {
        return None;
    }
    if text.is_ascii() {
        return Some(text.to_owned());
    }
    let mapped: String = text.chars().filter(|&c| !is_nothing(c)).map(|c| if is_space(c) { ' ' } else { c }).collect();
    Some(ComposingNormalizerBorrowed::new_nfkc().normalize(&mapped).into_owned())
}

/// RFC 3454 table B.1.
fn is_nothing(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{34f}' | '\u{1806}' | '\u{180b}'..='\u{180d}' | '\u{200b}'..='\u{200d}' | '\u{2060}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}')
}

/// RFC 3454 table C.1.2.
fn is_space(c: char) -> bool {
    matches!(c, '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}')
}

#[cfg(test)]
mod tests {
    use super::saslprep;

    /// RFC 4013 section 3.
    #[test]
    fn examples() {
        for (input, output) in [
            ("I\u{ad}X", Some("IX")),
            ("user", Some("user")),
            ("USER", Some("USER")),
            ("\u{aa}", Some("a")),
            ("\u{2168}", Some("IX")),
            ("\u{7}", None),
            ("a\u{a0}b", Some("a b")),
        ] {
            assert_eq!(saslprep(input).as_deref(), output, "{input:?}");
        }
    }
}
