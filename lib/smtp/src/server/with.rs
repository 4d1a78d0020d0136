//! The `with` keyword of a Received field.
//!
//! Standards   RFC 3848 (ESMTPS, ESMTPA, LMTPS, ...), RFC 6531 4.3 (UTF8SMTP, ...)

/// The keyword for a transaction. `extended`: the client said EHLO; `utf8`: SMTPUTF8 was given at MAIL.
pub fn with_keyword(lmtp: bool, extended: bool, utf8: bool, tls: bool, auth: bool) -> String {
    let base = match (lmtp, utf8, extended || tls || auth) {
        (true, false, _) => "LMTP",
        (true, true, _) => "UTF8LMTP",
        (false, true, _) => "UTF8SMTP",
        (false, false, true) => "ESMTP",
        (false, false, false) => "SMTP",
    };
    format!("{base}{}{}", if tls { "S" } else { "" }, if auth { "A" } else { "" })
}

#[cfg(test)]
mod tests {
    use super::with_keyword;

    #[test]
    fn registered_keywords() {
        for ((lmtp, extended, utf8, tls, auth), keyword) in [
            ((false, false, false, false, false), "SMTP"),
            ((false, true, false, false, false), "ESMTP"),
            ((false, true, false, true, false), "ESMTPS"),
            ((false, true, false, false, true), "ESMTPA"),
            ((false, true, false, true, true), "ESMTPSA"),
            ((false, true, true, true, true), "UTF8SMTPSA"),
            ((false, true, true, false, false), "UTF8SMTP"),
            ((true, true, false, false, false), "LMTP"),
            ((true, true, true, true, false), "UTF8LMTPS"),
        ] {
            assert_eq!(with_keyword(lmtp, extended, utf8, tls, auth), keyword);
        }
    }
}
