//! The comparator i;unicode-casemap: equal means the same but for case, composition and compatibility forms.
//!
//! Standards   RFC 5051 2.3; RFC 5255 3 (I18NLEVEL=1: SEARCH, SORT and THREAD compare by it); RFC 5228 2.7.3 (Sieve can)
//! Invariants  the mapped forms of equal strings are the same octets, and order is that of their octets
//! # Notes
//! Titlecase mappings are the simple ones, a character for a character, and made once: `ß` is no `SS`, `ﬁ` no `FI`. Combining marks are put in canonical
//! order, which the RFC leaves as it stands, so that every way to write a letter is the same letter.
use icu_normalizer::DecomposingNormalizerBorrowed;
use icu_normalizer::properties::CanonicalCombiningClassMapBorrowed;

/// The form of a text by which it is compared.
pub fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_uppercase();
    }
    let titled: String = text.chars().map(title).collect();
    DecomposingNormalizerBorrowed::new_nfkd().normalize(&titled).into_owned()
}

/// The first character of a text with the marks that combine with it; empty only where the text is.
pub fn letter(text: &str) -> &str {
    let classes = CanonicalCombiningClassMapBorrowed::new();
    let end = text.char_indices().skip(1).find(|(_, c)| classes.get_u8(*c) == 0).map(|(at, _)| at);
    end.and_then(|end| text.get(..end)).unwrap_or(text)
}

/// The simple titlecase mapping of UnicodeData.txt.
fn title(c: char) -> char {
    match c {
        c if c.is_ascii() => c.to_ascii_uppercase(),
        // digraphs have a form of their own between small and capital
        '\u{1c4}'..='\u{1c6}' => '\u{1c5}',
        '\u{1c7}'..='\u{1c9}' => '\u{1c8}',
        '\u{1ca}'..='\u{1cc}' => '\u{1cb}',
        '\u{1f1}'..='\u{1f3}' => '\u{1f2}',
        // Georgian has capitals, but no titlecase
        '\u{10d0}'..='\u{10ff}' => c,
        // Greek with iota subscript: the full mapping would be two characters
        '\u{1f80}'..='\u{1f87}' | '\u{1f90}'..='\u{1f97}' | '\u{1fa0}'..='\u{1fa7}' => {
            char::from_u32(u32::from(c) + 8).unwrap_or(c)
        }
        '\u{1fb3}' | '\u{1fc3}' | '\u{1ff3}' => char::from_u32(u32::from(c) + 9).unwrap_or(c),
        _ => {
            let mut upper = c.to_uppercase();
            match (upper.next(), upper.next()) {
                (Some(one), None) => one,
                _ => c,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_but_for_case_and_form() {
        for (a, b) in [
            ("abc", "ABC"),
            ("ÄÖ é", "äö É"),
            ("caf\u{e9}", "cafe\u{301}"),
            ("\u{ff21}\u{ff22}", "ab"),
            ("\u{1c6}", "\u{1c4}"),
            ("\u{1f80}", "\u{1f88}"),
            ("\u{1fb3}", "\u{1fbc}"),
            ("привет", "ПРИВЕТ"),
            ("ά", "Ά"),
            ("a\u{301}\u{323}", "a\u{323}\u{301}"),
            ("\u{17f}", "s"),
            ("가", "\u{1100}\u{1161}"),
        ] {
            assert_eq!(fold(a), fold(b), "{a} {b}");
        }
        // simple mappings only (RFC 5051 2.3), and dotted capital I is no i
        for (a, b) in [("ß", "SS"), ("a", "á"), ("\u{10d0}", "\u{1c90}"), ("\u{fb01}", "FI")] {
            assert_ne!(fold(a), fold(b), "{a} {b}");
        }
    }

    #[test]
    fn a_letter_has_its_marks() {
        for (text, first) in
            [("", ""), ("ab", "a"), ("e\u{301}\u{323}b", "e\u{301}\u{323}"), ("éb", "é"), ("\u{301}b", "\u{301}")]
        {
            assert_eq!(letter(text), first, "{text}");
        }
    }

    #[test]
    fn order_is_that_of_the_mapped_octets() {
        assert!(fold("a") < fold("_") && fold("Z") < fold("[") && fold("ä") < fold("b"));
    }
}
