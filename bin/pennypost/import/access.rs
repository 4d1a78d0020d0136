//! Postfix's restrictions: what they mean here, and the access maps they name.
//!
//! Standard    postconf(5) smtpd_*_restrictions, access(5)
//! Note        a domain in a map of Postfix covers what is below it too (parent_domain_matches_subdomains), here it does
//!             not: each becomes two lines

use super::maincf::MainCf;
use super::{Import, maps};

/// What smtpd does anyway, or what its role decides.
const MEANT: [&str; 12] = [
    "permit",
    "permit_mynetworks",
    "permit_sasl_authenticated",
    "reject_unauth_destination",
    "defer_unauth_destination",
    "reject_unlisted_recipient",
    "reject_unauth_pipelining",
    "reject_sender_login_mismatch",
    "reject_authenticated_sender_login_mismatch",
    "reject_non_fqdn_recipient",
    "reject_invalid_helo_hostname",
    "reject_invalid_hostname",
];

/// Takes one list of restrictions over.
pub fn restrictions(import: &mut Import<'_>, conf: &MainCf, parameter: &str, value: &str) {
    let all = maps::split(value);
    let mut words = all.iter().map(String::as_str);
    while let Some(word) = words.next() {
        match word {
            "reject_unknown_client_hostname" | "reject_unknown_reverse_client_hostname" | "reject_unknown_client" => {
                import.set("smtpd", "need_client_name", "true")
            }
            "reject_unknown_sender_domain" => import.set("smtpd", "check_sender_domain", "true"),
            "reject_non_fqdn_helo_hostname" | "reject_non_fqdn_hostname" => import.set("smtpd", "check_helo", "true"),
            "reject_rbl_client" => import.item("smtpd", "dnsbl", words.next().unwrap_or("")),
            "check_policy_service" => {
                let server = words.next().unwrap_or("");
                socket(import, conf, "policy", parameter, server);
            }
            "check_client_access" | "check_helo_access" | "check_sender_access" | "check_recipient_access" => {
                let kind = word.trim_start_matches("check_").trim_end_matches("_access");
                access(import, kind, parameter, words.next().unwrap_or(""));
            }
            word if MEANT.contains(&word) => {}
            word => {
                let takes_one = word.starts_with("check_") || word.starts_with("reject_rhsbl");
                let more = if takes_one { words.next().unwrap_or("") } else { "" };
                import.lost(format!("{parameter}: {word} {more}").trim_end());
            }
        }
    }
}

/// A policy server or milter: `inet:host:port`, `unix:path` below the queue directory, or `{ one of these, options }`.
pub fn socket(import: &mut Import<'_>, conf: &MainCf, key: &'static str, parameter: &str, text: &str) {
    let inside = text.trim_start_matches('{').trim_end_matches('}').trim();
    let (place, more) = inside.split_once(',').unwrap_or((inside, ""));
    let place = place.trim();
    if !more.trim().is_empty() {
        import.lost(format!("{parameter}: {place}: {}", more.trim()));
    }
    let path = place.strip_prefix("unix:").or_else(|| place.strip_prefix("local:"));
    let place = match (path, place.strip_prefix("inet:")) {
        (Some(path), _) if path.starts_with('/') => format!("unix:{path}"),
        (Some(path), _) => format!("unix:{}/{path}", conf.get("queue_directory")),
        (None, Some(address)) if address.contains(':') => format!("inet:{}", address.replace("localhost", "127.0.0.1")),
        _ => return import.lost(format!("{parameter}: {text}")),
    };
    import.item("smtpd", key, place);
}

fn access(import: &mut Import<'_>, kind: &str, parameter: &str, map: &str) {
    for (pattern, action) in maps::entries(import, parameter, map) {
        let Some(action) = verb(&action) else {
            import.lost(format!("{parameter}: {map}: {pattern} {action}"));
            continue;
        };
        for pattern in spread(kind, &pattern) {
            let line = format!("{kind} {pattern} {action}");
            import.put("access", &line, line.clone());
        }
    }
}

/// Postfix's action as ours; none for FILTER, PREPEND, restriction classes and the like.
fn verb(action: &str) -> Option<String> {
    let (word, text) = action.split_once(char::is_whitespace).unwrap_or((action, ""));
    let upper = word.to_ascii_uppercase();
    let ours = match upper.as_str() {
        "OK" | "PERMIT" => "ok",
        "REJECT" => "reject",
        "DEFER" | "DEFER_IF_PERMIT" | "DEFER_IF_REJECT" => "defer",
        "DISCARD" => "discard",
        "DUNNO" => "dunno",
        code if code.len() == 3 && code.starts_with('5') => "reject",
        code if code.len() == 3 && code.starts_with('4') => "defer",
        // a bare number, as before Postfix: yes
        number if !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) => "ok",
        _ => return None,
    };
    Some(format!("{ours} {}", text.trim()).trim_end().to_string())
}

/// The patterns that mean the same here.
fn spread(kind: &str, pattern: &str) -> Vec<String> {
    let octets: Vec<&str> = pattern.trim_end_matches('.').split('.').collect();
    let numbers = !octets.is_empty() && octets.iter().all(|o| o.parse::<u8>().is_ok());
    if kind == "client" && numbers && octets.len() < 4 {
        let padded = [octets.clone(), vec!["0"; 4 - octets.len()]].concat().join(".");
        return vec![format!("{padded}/{}", octets.len() * 8)];
    }
    if numbers || pattern.contains(['@', '/', ':']) || pattern.starts_with('.') || !pattern.contains('.') {
        return vec![pattern.to_string()];
    }
    vec![pattern.to_string(), format!(".{pattern}")]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_and_patterns() {
        assert_eq!(verb("REJECT go away").as_deref(), Some("reject go away"));
        assert_eq!(verb("550 5.7.1 no").as_deref(), Some("reject 5.7.1 no"));
        assert_eq!((verb("1").as_deref(), verb("FILTER smtp:x"), verb("greylist")), (Some("ok"), None, None));
        assert_eq!(spread("client", "192.168"), ["192.168.0.0/16"]);
        assert_eq!(spread("client", "192.0.2.1"), ["192.0.2.1"]);
        assert_eq!(spread("sender", "example.org"), ["example.org", ".example.org"]);
        assert_eq!(spread("sender", "ann@example.org"), ["ann@example.org"]);
    }
}
