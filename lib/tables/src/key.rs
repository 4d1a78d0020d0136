//! Keys as they are compared: domains as lower-case A-labels; local parts exactly, or in NFC and lower case.
//!
//! Standards   RFC 5321 2.4 (local parts are the host's business, domains have no case), RFC 5890 and 6531 3.3 (A-labels)
//! Invariants  text that is no address or domain gives a key all the same: its lower case

use penny_addr::{Charset, Domain, LocalPart};

/// A domain.
pub fn domain(text: &str) -> String {
    Domain::parse(text, Charset::Utf8).map_or_else(|_| text.to_lowercase(), |d| d.ascii().to_owned())
}

/// A login or address whose local part counts as it is written.
pub fn exact(text: &str) -> String {
    whole(text, str::to_owned)
}

/// The same, folded.
pub fn folded(text: &str) -> String {
    whole(text, |local| LocalPart::from_value(local).map_or_else(|_| local.to_lowercase(), |l| l.folded()))
}

fn whole(text: &str, local: impl Fn(&str) -> String) -> String {
    match text.rsplit_once('@') {
        Some((name, host)) => format!("{}@{}", local(name), domain(host)),
        None => local(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_one_address() {
        assert_eq!(exact("Jörg@München.Example"), "Jörg@xn--mnchen-3ya.example");
        assert_eq!(folded("JO\u{308}RG@xn--mnchen-3ya.example"), "jörg@xn--mnchen-3ya.example");
        assert_eq!(folded("@MÜNCHEN.example"), "@xn--mnchen-3ya.example");
        assert_eq!((exact("Ann").as_str(), folded("Ann").as_str()), ("Ann", "ann"));
        assert_eq!(domain(".Example.ORG"), ".example.org");
        assert_eq!(domain("*"), "*");
    }
}
