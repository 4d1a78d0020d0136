//! `pennypost import-postfix`: main.cf and master.cf.
//!
//! Input       the directory of both, or one file in the format of main.cf (what `postconf -n` printed), or - for it on
//!             standard input

use super::access::{restrictions, socket};
use super::maincf::MainCf;
use super::{Import, maps, mastercf, read, words};
use penny_base::config::value::quote;
use penny_base::{Config, Failure, Outcome};
use std::collections::BTreeMap;
use std::path::Path;

/// Takes it over; exit 1 when something could not be carried.
pub fn run(file: &Path, place: &Path, dry: bool) -> Result<Outcome, Failure> {
    let config = Config::load(Some(file))?;
    let main = if place.is_dir() { place.join("main.cf") } else { place.to_path_buf() };
    let conf = MainCf::parse(&read(&main)?, &config.hostname());
    let mut import = Import::new(&config, dry);
    for (name, value) in conf.each() {
        parameter(&mut import, &conf, name, &value);
    }
    if !conf.has("mydestination") {
        domains(&mut import, "mydestination", &conf.get("mydestination"), "local");
    }
    relays(&mut import, &conf);
    mailboxes(&mut import, &conf);
    if let Ok(text) = std::fs::read_to_string(main.with_file_name("master.cf")) {
        mastercf::take(&mut import, &conf, &mastercf::parse(&text));
    }
    import.end()
}

/// Parameters whose value is taken as it is: ours, a number or a time.
const PLAIN: [(&str, &str, &str); 13] = [
    ("message_size_limit", "smtpd", "max_size"),
    ("smtpd_recipient_limit", "smtpd", "max_recipients"),
    ("hopcount_limit", "smtpd", "max_hops"),
    ("smtpd_hard_error_limit", "smtpd", "max_errors"),
    ("smtpd_timeout", "smtpd", "timeout"),
    ("maximal_queue_lifetime", "queue", "lifetime"),
    ("minimal_backoff_time", "queue", "retry_min"),
    ("maximal_backoff_time", "queue", "retry_max"),
    ("delay_warning_time", "queue", "delay_warning"),
    ("default_destination_concurrency_limit", "queue", "destination_concurrency"),
    ("local_destination_concurrency_limit", "queue", "local_concurrency"),
    ("postscreen_dnsbl_threshold", "smtpd", "dnsbl_threshold"),
    ("smtp_connect_timeout", "remote", "connect_timeout"),
];

/// And those that are texts.
const TEXTS: [(&str, &str, &str); 8] = [
    ("myhostname", "", "hostname"),
    ("recipient_delimiter", "mail", "separators"),
    ("smtpd_tls_cert_file", "tls", "certificate"),
    ("smtpd_tls_eccert_file", "tls", "certificate"),
    ("smtpd_tls_key_file", "tls", "key"),
    ("smtpd_tls_eckey_file", "tls", "key"),
    ("smtp_helo_name", "remote", "helo"),
    ("smtp_bind_address", "remote", "source"),
];

/// Looked at elsewhere, where things are, or without anything to lose.
const NOTHING_LOST: &[&str] = &[
    "alias_database",
    "append_at_myorigin",
    "append_dot_mydomain",
    "biff",
    "broken_sasl_auth_clients",
    "command_directory",
    "compatibility_level",
    "config_directory",
    "daemon_directory",
    "data_directory",
    "debug_peer_level",
    "debugger_command",
    "default_database_type",
    "disable_vrfy_command",
    "html_directory",
    "inet_interfaces",
    "inet_protocols",
    "local_recipient_maps",
    "mail_owner",
    "mailbox_transport",
    "maillog_file",
    "mailq_path",
    "manpage_directory",
    "meta_directory",
    "mydomain",
    "myorigin",
    "newaliases_path",
    "queue_directory",
    "readme_directory",
    "relayhost",
    "sample_directory",
    "sender_dependent_relayhost_maps",
    "sendmail_path",
    "setgid_group",
    "shlib_directory",
    "smtp_sasl_auth_enable",
    "smtp_sasl_password_maps",
    "smtp_sasl_security_options",
    "smtp_sasl_tls_security_options",
    "smtp_sender_dependent_authentication",
    "smtp_tls_CApath",
    "smtp_tls_policy_maps",
    "smtp_tls_security_level",
    "smtp_use_tls",
    "smtpd_banner",
    "smtpd_helo_required",
    "smtpd_sasl_auth_enable",
    "smtpd_sasl_path",
    "smtpd_sasl_security_options",
    "smtpd_sasl_type",
    "smtpd_tls_auth_only",
    "smtpd_use_tls",
    "strict_rfc821_envelopes",
    "tls_random_source",
    "virtual_gid_maps",
    "virtual_mailbox_base",
    "virtual_uid_maps",
];

/// Parameters of what our resolver, TLS and logs decide for themselves, by their ends.
const NOTHING_LOST_ENDS: [&str; 8] = [
    "_session_cache_database",
    "_session_cache_timeout",
    "_tls_loglevel",
    "_note_starttls_offer",
    "_dh1024_param_file",
    "_dh512_param_file",
    "_tls_received_header",
    "_reject_code",
];

fn parameter(import: &mut Import<'_>, conf: &MainCf, name: &str, value: &str) {
    if let Some((_, section, key)) = PLAIN.iter().find(|(n, ..)| *n == name) {
        return plain(import, name, value, section, key);
    }
    if let Some((_, section, key)) = TEXTS.iter().find(|(n, ..)| *n == name) {
        return set_text(import, section, key, value);
    }
    match name {
        "mynetworks" => networks(import, value),
        "mydestination" | "virtual_mailbox_domains" | "virtual_alias_domains" => domains(import, name, value, "local"),
        "relay_domains" => domains(import, name, value, "relay"),
        "alias_maps" => lines(import, name, value, "aliases"),
        "virtual_alias_maps" | "virtual_maps" => lines(import, name, value, "virtual"),
        "smtpd_sender_login_maps" => lines(import, name, value, "senders"),
        "transport_maps" => routes(import, name, value),
        "smtpd_milters" => {
            maps::split(value).iter().for_each(|m| socket(import, conf, "milters", name, m));
        }
        "non_smtpd_milters" if value == conf.get("smtpd_milters") => {}
        "postscreen_dnsbl_sites" => maps::split(value).iter().for_each(|s| import.item("smtpd", "dnsbl", s)),
        "smtpd_tls_chain_files" => chains(import, value),
        "smtp_tls_CAfile" if !value.is_empty() => import.text("remote", "ca_file", value),
        "smtpd_tls_protocols" | "smtpd_tls_mandatory_protocols" => {
            if value.replace(' ', "") == ">=TLSv1.3" {
                import.text("tls", "min_version", "1.3");
            }
        }
        "smtpd_client_message_rate_limit" => hourly(import, name, value, "rate_messages"),
        "smtpd_client_recipient_rate_limit" => hourly(import, name, value, "rate_recipients"),
        "virtual_mailbox_maps" | "home_mailbox" | "virtual_transport" => {}
        "mailbox_size_limit" | "virtual_mailbox_limit" if value == "0" => {}
        "milter_default_action" if value == "tempfail" => {}
        "milter_protocol" => {}
        name if name.starts_with("smtpd_") && name.ends_with("_restrictions") => {
            restrictions(import, conf, name, value)
        }
        name if NOTHING_LOST.contains(&name) || NOTHING_LOST_ENDS.iter().any(|e| name.ends_with(e)) => {}
        _ if value.is_empty() => {}
        _ => import.lost(format!("{name} = {value}")),
    }
}

fn set_text(import: &mut Import<'_>, section: &'static str, key: &'static str, value: &str) {
    if !value.is_empty() {
        import.text(section, key, value);
    }
}

fn plain(import: &mut Import<'_>, name: &str, value: &str, section: &'static str, key: &'static str) {
    let unit = value.strip_suffix(['s', 'm', 'h', 'd', 'w']).unwrap_or(value);
    match (unit.parse::<u64>(), value.strip_suffix('w')) {
        (Ok(weeks), Some(_)) => import.text(section, key, &format!("{}d", weeks * 7)),
        // times are texts here; a bare number of these two is days and hours in Postfix
        (Ok(n), None) if unit == value && name.ends_with("lifetime") => import.text(section, key, &format!("{n}d")),
        (Ok(n), None) if unit == value && name == "delay_warning_time" => import.text(section, key, &format!("{n}h")),
        (Ok(n), None) if unit == value => import.set(section, key, n.to_string()),
        (Ok(_), None) => import.text(section, key, value),
        _ => import.lost(format!("{name} = {value}")),
    }
}

/// Postfix counts a minute (anvil_rate_time_unit), we an hour.
fn hourly(import: &mut Import<'_>, name: &str, value: &str, key: &'static str) {
    match value.parse::<u32>() {
        Ok(n) => import.set("smtpd", key, n.saturating_mul(60).to_string()),
        Err(_) => import.lost(format!("{name} = {value}")),
    }
}

fn networks(import: &mut Import<'_>, value: &str) {
    for word in words(value) {
        let plain = unmapped(&word.replace(['[', ']'], ""));
        match penny_tables::cidr::Network::parse(&plain) {
            Some(_) => import.item("smtpd", "relay_clients", plain),
            None => import.lost(format!("mynetworks: {word}")),
        }
    }
}

/// `::ffff:127.0.0.0/104` is 127.0.0.0/8.
fn unmapped(network: &str) -> String {
    let parts = network.strip_prefix("::ffff:").and_then(|rest| rest.split_once('/'));
    let bits = parts.and_then(|(_, bits)| bits.parse::<u8>().ok()?.checked_sub(96));
    match (parts, bits) {
        (Some((address, _)), Some(bits)) => format!("{address}/{bits}"),
        _ => network.to_string(),
    }
}

/// Key and chain in one file, or a key and then its chain.
fn chains(import: &mut Import<'_>, value: &str) {
    let files: Vec<&str> = words(value).collect();
    let (key, chain) = match files.as_slice() {
        [] => return,
        [both] => (*both, *both),
        [key, chain, ..] => (*key, *chain),
    };
    import.text("tls", "key", key);
    import.text("tls", "certificate", chain);
    if files.len() > 2 {
        import.lost(format!("smtpd_tls_chain_files: more than one: {}", files[2..].join(" ")));
    }
}

/// Domains, files of them, or maps whose keys they are.
fn domains(import: &mut Import<'_>, parameter: &str, value: &str, kind: &str) {
    let mut all: Vec<String> = Vec::new();
    for word in maps::split(value) {
        if word.starts_with('/') {
            match std::fs::read_to_string(&word) {
                Ok(text) => all.extend(text.lines().map(|l| l.trim().to_string()).filter(|l| !l.starts_with('#'))),
                Err(e) => import.lost(format!("{parameter}: {word}: {e}")),
            }
        } else if maps::is_map(&word) {
            let keys = maps::entries(import, parameter, &word).into_iter().map(|(key, _)| key);
            // the address maps say the domains too: a domain of its own, or that of an address
            all.extend(keys.filter(|k| !k.contains('@') && k.contains('.')));
        } else {
            all.push(word);
        }
    }
    for domain in all.into_iter().filter(|d| !d.is_empty() && d != "localhost" && !d.starts_with("localhost.")) {
        match crate::domain::name(&domain) {
            Ok(name) => import.put("domains", &name, format!("{name} {kind}")),
            Err(_) => import.lost(format!("{parameter}: {domain}")),
        }
    }
}

fn lines(import: &mut Import<'_>, parameter: &str, value: &str, table: &'static str) {
    for (key, right) in maps::entries(import, parameter, value) {
        if table == "aliases" {
            let name = if key.contains([' ', ':', '"']) { quote(&key) } else { key.clone() };
            import.put(table, &key, format!("{name}: {right}"));
        } else if key.contains('@') || !key.contains('.') {
            // Postfix parts addresses by white space too
            let plain = !right.contains('"');
            let right = if plain { words(&right).collect::<Vec<_>>().join(", ") } else { right };
            import.put(table, &key, format!("{key} {right}"));
        } else if table == "virtual" {
            // a line that only marks its domain as ours
            domains(import, parameter, &key, "local");
        }
    }
}

fn routes(import: &mut Import<'_>, parameter: &str, value: &str) {
    for (domain, hop) in maps::entries(import, parameter, value) {
        match next_hop(&hop).filter(|_| !domain.contains('@')) {
            Some(hop) => import.put("routes", &domain, format!("{domain} {hop}")),
            None => import.lost(format!("{parameter}: {domain} {hop}")),
        }
    }
}

/// A transport and its next hop as ours.
fn next_hop(text: &str) -> Option<String> {
    let (transport, rest) = text.split_once(':')?;
    match (transport, rest) {
        ("smtp" | "relay" | "", "") => Some("mx".into()),
        ("smtp" | "relay" | "", rest) => Some(format!("smtp:{rest}")),
        ("lmtp", rest) => Some(format!("lmtp:{}", rest.strip_prefix("inet:").unwrap_or(rest))),
        _ => None,
    }
}

/// relayhost and its kin, with TLS and passwords.
fn relays(import: &mut Import<'_>, conf: &MainCf) {
    let secrets: BTreeMap<String, String> = if conf.get("smtp_sasl_auth_enable") == "yes" {
        maps::entries(import, "smtp_sasl_password_maps", &conf.get("smtp_sasl_password_maps")).into_iter().collect()
    } else {
        BTreeMap::new()
    };
    let tls = tls_word(&conf.get("smtp_tls_security_level"));
    let options = |hop: &str, sender: &str| {
        let bare = hop.trim_start_matches('[').split([']', ':']).next().unwrap_or("");
        let secret = [sender, hop, bare].iter().find_map(|key| secrets.get(*key)).filter(|s| !s.contains(' '));
        secret.map(|s| format!(" auth={s}")).unwrap_or_default()
    };
    let relay = conf.get("relayhost");
    if !relay.is_empty() {
        import.put("routes", "*", format!("* smtp:{relay}{tls}{}", options(&relay, "")));
    } else if !tls.is_empty() {
        import.put("routes", "*", format!("* mx{tls}"));
    }
    let senders = conf.get("sender_dependent_relayhost_maps");
    for (sender, hop) in maps::entries(import, "sender_dependent_relayhost_maps", &senders) {
        match sender.strip_prefix('@') {
            Some(domain) => {
                let line = format!("from:{domain} smtp:{hop}{tls}{}", options(&hop, &sender));
                import.put("routes", &format!("from:{domain}"), line);
            }
            None => import.lost(format!("sender_dependent_relayhost_maps: {sender} {hop}")),
        }
    }
    let policies = maps::entries(import, "smtp_tls_policy_maps", &conf.get("smtp_tls_policy_maps"));
    for (domain, policy) in policies {
        let word = tls_word(policy.split_whitespace().next().unwrap_or(""));
        if word.is_empty() || domain.contains(['[', ':']) || policy.split_whitespace().count() > 1 {
            import.lost(format!("smtp_tls_policy_maps: {domain} {policy}"));
        } else {
            import.put("routes", &domain, format!("{domain} mx{word}"));
        }
    }
}

fn tls_word(level: &str) -> &'static str {
    match level {
        "none" => " tls=none",
        "encrypt" | "verify" | "secure" | "fingerprint" | "dane-only" => " tls=must",
        _ => "",
    }
}

/// Mailboxes of the virtual(8) delivery agent, and those of the system's users.
fn mailboxes(import: &mut Import<'_>, conf: &MainCf) {
    if conf.get("local_recipient_maps").contains("passwd") || !conf.has("local_recipient_maps") {
        import.set("mail", "system_users", "true");
        match conf.get("home_mailbox").strip_suffix('/') {
            Some(maildir) => import.text("mail", "maildir", maildir),
            None if conf.get("mailbox_transport").contains("lmtp") => {} // Dovecot has them: import-dovecot knows where
            None => import.lost("mail of the system's users is in mbox files: maildirctl import"),
        }
    }
    let (base, map) = (conf.get("virtual_mailbox_base"), conf.get("virtual_mailbox_maps"));
    let fixed = |name: &str| conf.get(name).strip_prefix("static:").unwrap_or("").to_string();
    let (uid, gid) = (fixed("virtual_uid_maps"), fixed("virtual_gid_maps"));
    if conf.get("virtual_transport") != "virtual" {
        return; // whoever stores the mail knows its users
    }
    for (login, path) in maps::entries(import, "virtual_mailbox_maps", &map) {
        match path.strip_suffix('/') {
            Some(path) if login.contains('@') => {
                let home = format!("{}/{path}", base.trim_end_matches('/'));
                import.put("users", &login, format!("{login}::{uid}:{gid}::{home}::userdb_mail=maildir:~/"));
            }
            _ => import.lost(format!("virtual_mailbox_maps: {login} {path} is no Maildir: maildirctl import")),
        }
    }
}
