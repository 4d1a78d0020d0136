//! Capabilities: what is announced when.
//!
//! Invariants  a name stands here only when its tests pass; `imapd.hide` takes any of them away
use penny_base::{Config, Peer};

/// Announced to everybody.
const ALWAYS: [&str; 5] = ["IMAP4rev1", "IMAP4rev2", "SASL-IR", "LITERAL+", "ID"];

/// Announced after the login.
const SESSION: &[&str] = &[
    "ENABLE",
    "IDLE",
    "NAMESPACE",
    "CHILDREN",
    "UIDPLUS",
    "UNSELECT",
    "MOVE",
    "CONDSTORE",
    "QRESYNC",
    "SPECIAL-USE",
    "CREATE-SPECIAL-USE",
    "LIST-EXTENDED",
    "LIST-STATUS",
    "STATUS=SIZE",
    "SORT",
    "SORT=DISPLAY",
    "THREAD=ORDEREDSUBJECT",
    "THREAD=REFERENCES",
    "THREAD=REFS",
    "ESEARCH",
    "ESORT",
    "SEARCHRES",
    "WITHIN",
    "PARTIAL",
    "COMPRESS=DEFLATE",
    "MULTIAPPEND",
    "CATENATE",
    "BINARY",
    "REPLACE",
    "OBJECTID",
    "SAVEDATE",
    "PREVIEW",
    "ACL",
    "RIGHTS=texk",
    "LIST-MYRIGHTS",
    "METADATA",
    "LIST-METADATA",
    "UTF8=ACCEPT",
    "UIDONLY",
    "CONTEXT=SEARCH",
    "CONTEXT=SORT",
    "MULTISEARCH",
    "FILTERS",
    "UIDBATCHES",
    "NOTIFY",
    "INPROGRESS",
];

/// The mechanisms to offer: those that show a password or token only on a safe line.
pub fn mechanisms(config: &Config, peer: &Peer) -> Vec<String> {
    let secure = is_secure(config, peer);
    let binding = peer.tls.as_ref().is_some_and(|t| !t.exporter.is_empty());
    let fits = |m: &&String| match m.as_str() {
        m if m.ends_with("-PLUS") => binding,
        m if m.starts_with("SCRAM-") => true,
        "OAUTHBEARER" | "XOAUTH2" => secure && !config.auth.oauth_validator.is_empty(),
        _ => secure,
    };
    config.auth.mechanisms.iter().filter(fits).cloned().collect()
}

/// Whether a password may be sent on this line.
pub fn is_secure(config: &Config, peer: &Peer) -> bool {
    peer.tls.is_some() || (peer.is_loopback() && config.imapd.plain_auth_loopback)
}

/// The list before the login.
pub fn prelogin(config: &Config, peer: &Peer, starttls: bool) -> String {
    let mut all: Vec<String> = ALWAYS.iter().map(|c| (*c).to_owned()).collect();
    if starttls {
        all.push("STARTTLS".into());
    }
    if !is_secure(config, peer) {
        all.push("LOGINDISABLED".into());
    }
    all.extend(mechanisms(config, peer).into_iter().map(|m| format!("AUTH={m}")));
    shown(config, all)
}

/// The list after the login.
pub fn session(config: &Config) -> String {
    let mut all: Vec<String> = ALWAYS.iter().chain(SESSION).map(|c| (*c).to_owned()).collect();
    all.push(format!("APPENDLIMIT={}", config.imapd.append_limit.0));
    all.extend(["QUOTA".into(), "QUOTA=RES-STORAGE".into(), "QUOTA=RES-MESSAGE".into()]);
    if !config.imapd.imapsieve.is_empty() {
        all.push(format!("IMAPSIEVE={}", config.imapd.imapsieve)); // RFC 6785 3.1
    }
    shown(config, all)
}

fn shown(config: &Config, all: Vec<String>) -> String {
    let hidden = |c: &String| config.imapd.hide.iter().any(|h| h.eq_ignore_ascii_case(c));
    all.into_iter().filter(|c| !hidden(c)).collect::<Vec<_>>().join(" ")
}
