//! Attributes of XCLIENT and XFORWARD.
//!
//! Standards   Postfix XCLIENT_README and XFORWARD_README (the protocol is documented there only); values are xtext
//! Trust       only hosts the administrator named may send them; the values are checked all the same

use penny_addr::xtext_decode;

/// Most octets of a value, decoded.
const VALUE_MAX: usize = 255;

/// One attribute; no value means `[UNAVAILABLE]` or `[TEMPUNAVAIL]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// In upper case.
    pub name: String,
    /// Decoded, without control characters.
    pub value: Option<String>,
}

/// Parses `NAME=value NAME=value ...`; `known` lists the names taken.
pub fn attributes(text: &str, known: &[&str]) -> Option<Vec<Attribute>> {
    let parsed: Option<Vec<Attribute>> =
        text.split(' ').filter(|word| !word.is_empty()).map(|word| attribute(word, known)).collect();
    parsed.filter(|list| !list.is_empty())
}

fn attribute(word: &str, known: &[&str]) -> Option<Attribute> {
    let (name, value) = word.split_once('=')?;
    let name = name.to_ascii_uppercase();
    if !known.contains(&name.as_str()) {
        return None;
    }
    if value.eq_ignore_ascii_case("[UNAVAILABLE]") || value.eq_ignore_ascii_case("[TEMPUNAVAIL]") {
        return Some(Attribute { name, value: None });
    }
    let value = xtext_decode(value).ok().filter(|v| !v.is_empty() && v.len() <= VALUE_MAX)?;
    Some(Attribute { name, value: Some(value) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_checked() {
        let known = ["NAME", "ADDR"];
        let list = attributes("name=spike.porcupine.org ADDR=[UNAVAILABLE]", &known).unwrap();
        assert_eq!(list[0], Attribute { name: "NAME".into(), value: Some("spike.porcupine.org".into()) });
        assert_eq!(list[1].value, None);
        for bad in ["", "NAME", "NAME=", "HELO=x", "NAME=a+0Ab", &format!("NAME={}", "x".repeat(256))] {
            assert_eq!(attributes(bad, &known), None, "{bad}");
        }
    }
}
