//! What a server offered in its answer to EHLO or LHLO.
//!
//! Standards   RFC 5321 4.1.1.1 (ehlo-keyword and parameters), RFC 9422 (LIMITS)
//! Quirks      `quirk_auth_equals`: `AUTH=PLAIN LOGIN`, the form before RFC 2554, is read as AUTH

use super::Reply;

/// Keywords in upper case with their parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extensions(Vec<(String, Vec<String>)>);

impl Extensions {
    /// Reads the lines of a 250 reply; the first is the greeting.
    pub fn from_reply(reply: &Reply) -> Self {
        Self(reply.lines.iter().skip(1).filter_map(|line| keyword(line)).collect())
    }

    /// The parameters of a keyword, if it was offered.
    pub fn params(&self, keyword: &str) -> Option<&[String]> {
        self.0.iter().find(|(name, _)| name == keyword).map(|(_, params)| params.as_slice())
    }

    /// Whether a keyword was offered.
    pub fn has(&self, keyword: &str) -> bool {
        self.params(keyword).is_some()
    }

    /// The largest message, if the server named one (RFC 1870: 0 and nothing mean no fixed limit).
    pub fn size(&self) -> Option<u64> {
        self.params("SIZE")?.first()?.parse().ok().filter(|&size| size > 0)
    }

    /// Whether a SASL mechanism was offered.
    pub fn auth(&self, mechanism: &str) -> bool {
        self.0.iter().any(|(name, params)| name == "AUTH" && params.iter().any(|p| p.eq_ignore_ascii_case(mechanism)))
    }

    /// A number of LIMITS, such as `RCPTMAX` (RFC 9422).
    pub fn limit(&self, name: &str) -> Option<u64> {
        let value = self.params("LIMITS")?.iter().find_map(|p| {
            let (key, value) = p.split_once('=')?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })?;
        value.parse().ok().filter(|&limit| limit > 0)
    }
}

fn keyword(line: &str) -> Option<(String, Vec<String>)> {
    let mut words = line.split_ascii_whitespace();
    let first = words.next()?.to_ascii_uppercase();
    let mut params: Vec<String> = words.map(str::to_owned).collect();
    if let Some(mechanism) = first.strip_prefix("AUTH=") {
        params.insert(0, mechanism.to_owned());
        return Some(("AUTH".to_owned(), params));
    }
    Some((first, params))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_and_their_values() {
        let lines =
            ["mx hello", "size 1000", "AUTH=LOGIN", "AUTH PLAIN", "LIMITS RCPTMAX=50 MAILMAX=x", "8BITMIME", ""];
        let reply = Reply { code: 250, enhanced: None, lines: lines.map(str::to_owned).to_vec() };
        let offered = Extensions::from_reply(&reply);
        assert_eq!((offered.size(), offered.limit("RCPTMAX"), offered.limit("MAILMAX")), (Some(1000), Some(50), None));
        assert!(offered.auth("PLAIN") && offered.auth("login") && !offered.auth("XOAUTH2"));
        assert!(offered.has("8BITMIME") && !offered.has("MX") && !offered.has("DSN"));
    }
}
