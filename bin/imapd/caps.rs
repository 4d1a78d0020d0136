//! Capabilities: what is announced when.
//!
//! Invariants  a name stands here only when its tests pass; `imapd.hide` takes any of them away
use penny_base::Config;
use penny_base::services::Door;

/// Announced to everybody. ENABLE counts only after the login, but Python's imaplib looks no later than before it.
const ALWAYS: [&str; 6] = ["IMAP4rev1", "IMAP4rev2", "SASL-IR", "LITERAL+", "ID", "ENABLE"];

/// Announced after the login.
const SESSION: &[&str] = &[
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
    "I18NLEVEL=1",
];

/// The list before the login.
pub fn prelogin(door: &mut Door) -> String {
    let mut all: Vec<String> = ALWAYS.iter().map(|c| (*c).to_owned()).collect();
    if door.offers_tls() {
        all.push("STARTTLS".into());
    }
    if !door.is_secure() {
        all.push("LOGINDISABLED".into());
    }
    all.extend(door.mechanisms().into_iter().map(|m| format!("AUTH={m}")));
    shown(&door.config, all)
}

/// The list after the login; `more` is what not every session has.
pub fn session(config: &Config, more: &[&str]) -> String {
    let mut all: Vec<String> = ALWAYS.iter().chain(SESSION).map(|c| (*c).to_owned()).collect();
    all.push(format!("APPENDLIMIT={}", config.imapd.append_limit.0));
    match (config.imapd.message_limit, config.imapd.save_limit) {
        (0, 0) => {}
        (0, n) => all.push(format!("SAVELIMIT={n}")),
        (n, _) => all.push(format!("MESSAGELIMIT={n}")),
    }
    all.extend(more.iter().map(|c| (*c).to_owned()));
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
