//! The address of an IMAP account: `imaps://user@host:port/`.
//!
//! Standard    RFC 5092 2 (iserver; user and host percent-encoded)

/// Where the mail comes from.
#[derive(Debug, PartialEq, Eq)]
pub struct Account {
    /// TLS from the first octet; else STARTTLS.
    pub implicit: bool,
    /// Login name; empty where the server knows already (a tunnel).
    pub user: String,
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u16,
}

/// True if a source is named as an account.
pub fn is_url(text: &str) -> bool {
    text.starts_with("imap://") || text.starts_with("imaps://")
}

impl Account {
    /// Reads a URL; `None` for what is none.
    pub fn parse(text: &str) -> Option<Account> {
        let (scheme, rest) = text.split_once("://")?;
        let implicit = scheme == "imaps";
        let server = rest.split('/').next()?;
        // a login name may hold an @ of its own
        let (user, place) = server.rsplit_once('@').unwrap_or(("", server));
        let (host, port) = match place.strip_prefix('[').and_then(|p| p.split_once(']')) {
            Some((host, rest)) => (host, rest.strip_prefix(':')),
            None => place.split_once(':').map_or((place, None), |(h, p)| (h, Some(p))),
        };
        let port = port.map_or(Some(if implicit { 993 } else { 143 }), |p| p.parse().ok())?;
        let user = String::from_utf8(penny_imap::url::decode(user)?).ok()?;
        let named = !host.is_empty() && user.chars().all(|c| !c.is_control());
        named.then(|| Account { implicit, user, host: host.to_owned(), port })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        let url = |text: &str| Account::parse(text).map(|a| format!("{} {} {} {}", a.implicit, a.user, a.host, a.port));
        assert_eq!(url("imaps://joe@mail.example/"), Some("true joe mail.example 993".into()));
        assert_eq!(url("imap://joe%40example.org@[::1]:1143"), Some("false joe@example.org ::1 1143".into()));
        assert_eq!(url("imap://joe@example.org@10.0.0.1"), Some("false joe@example.org 10.0.0.1 143".into()));
        assert_eq!(url("imap://joe@h:99999/"), None);
        assert_eq!(url("imap://jo%0ae@h/"), None);
        assert_eq!(url("imap://jo%+9@h/"), None);
        assert_eq!(url("imap://joe@/"), None);
    }
}
