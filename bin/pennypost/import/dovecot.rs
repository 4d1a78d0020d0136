//! `pennypost import-dovecot`: dovecot.conf of 2.3 or 2.4 with the passwd-files it names, or one passwd-file.
//!
//! Note        Maildirs and Sieve scripts are used where they are (maildirctl take-over); only what says where they are is
//!             taken

use super::doveconf::{self, Section};
use super::{Import, bracketed, read, users, words};
use penny_base::{Config, Failure, Outcome};
use std::collections::BTreeMap;
use std::path::Path;

/// Takes it over; exit 1 when something could not be carried.
pub fn run(file: &Path, place: &Path, dry: bool) -> Result<Outcome, Failure> {
    let config = Config::load(Some(file))?;
    let place = if place.is_dir() { place.join("dovecot.conf") } else { place.to_path_buf() };
    let text = read(&place)?;
    let mut import = Import::new(&config, dry);
    if !doveconf::is_conf(&text) {
        users::take(&mut import, &text, "CRYPT", &BTreeMap::new())?;
        return import.end();
    }
    let mut wrong = Vec::new();
    let top = doveconf::read(&place, &text, &mut wrong);
    wrong.into_iter().for_each(|w| import.lost(w));
    let owner = ["uid", "gid"].map(|n| Some((n.to_string(), top.get(&format!("mail_{n}"))?.to_string())));
    fixed(&mut import, &owner.into_iter().flatten().collect());
    logins(&mut import, &top)?;
    storage(&mut import, &top);
    services(&mut import, &top);
    top.settings.iter().for_each(|(name, value)| setting(&mut import, name, value));
    for section in &top.sections {
        inside(&mut import, section);
    }
    import.end()
}

/// A path as our configuration has it: %u is the local part here, and the whole login there.
fn pattern(text: &str) -> Option<String> {
    let named = [
        ("%{user | username | lower}", "\u{1}u"),
        ("%{user | domain | lower}", "\u{1}d"),
        ("%{user | username}", "\u{1}u"),
        ("%{user|username}", "\u{1}u"),
        ("%{user | domain}", "\u{1}d"),
        ("%{user|domain}", "\u{1}d"),
        ("%{user}", "\u{1}n"),
        ("%{username}", "\u{1}u"),
        ("%{domain}", "\u{1}d"),
        ("%Ln", "\u{1}u"),
        ("%Ld", "\u{1}d"),
        ("%Lu", "\u{1}n"),
        ("%n", "\u{1}u"),
        ("%d", "\u{1}d"),
        ("%u", "\u{1}n"),
    ];
    let text = named.iter().fold(text.to_string(), |text, (theirs, ours)| text.replace(theirs, ours));
    (!text.contains('%')).then(|| text.replace('\u{1}', "%"))
}

/// `</path` of ssl settings; 2.4 names the path as it is.
fn path_of(value: &str) -> &str {
    value.trim_start_matches('<').trim()
}

/// Arguments of a 2.3 driver: `scheme=X username_format=%u /path`.
fn args(section: &Section) -> (BTreeMap<String, String>, Option<String>) {
    let mut named = BTreeMap::new();
    let mut path = None;
    for word in section.get("args").unwrap_or("").split_whitespace() {
        match word.split_once('=').filter(|(n, _)| !n.contains('/')) {
            Some((name, value)) => drop(named.insert(name.to_string(), value.to_string())),
            None => path = Some(word.to_string()),
        }
    }
    (named, path)
}

fn driver(section: &Section) -> String {
    // 2.4: `passdb passwd-file {`; 2.3: `passdb { driver = passwd-file`
    section.get("driver").map_or(section.title.clone(), str::to_string)
}

/// passdb and userdb.
fn logins(import: &mut Import<'_>, top: &Section) -> Result<(), Failure> {
    let mut more = BTreeMap::new();
    for userdb in top.all("userdb") {
        let (mut named, path) = args(userdb);
        let given = userdb.all("fields").flat_map(|s| &s.settings).chain(&userdb.settings);
        named.extend(given.filter(|(n, _)| matches!(n.as_str(), "uid" | "gid" | "home")).cloned());
        match driver(userdb).as_str() {
            "passwd" => import.set("mail", "system_users", "true"),
            "prefetch" => {}
            "static" => fixed(import, &named),
            "passwd-file" => {
                let path = path.or_else(|| userdb.get("passwd_file_path").map(str::to_string)).unwrap_or_default();
                match std::fs::read_to_string(&path) {
                    Ok(text) => more.extend(users::fields(&text)),
                    Err(e) => import.lost(format!("userdb {path}: {e}")),
                }
                fixed(import, &named);
            }
            other => import.lost(format!("userdb {other}: a program in place of the table users: pennypost-tables(5)")),
        }
    }
    for passdb in top.all("passdb") {
        let (named, path) = args(passdb);
        if passdb.get("deny") == Some("yes") || passdb.get("master") == Some("yes") {
            import.lost(format!("passdb {} with deny or master", driver(passdb)));
            continue;
        }
        match driver(passdb).as_str() {
            "pam" => import.text("auth", "source", "pam"),
            "checkpassword" => {
                import.text("auth", "source", "checkpassword");
                import.text("auth", "checkpassword", &path.unwrap_or_default());
            }
            "passwd-file" => {
                let path = path.or_else(|| passdb.get("passwd_file_path").map(str::to_string)).unwrap_or_default();
                let scheme = named.get("scheme").map(String::as_str);
                let scheme = scheme.or(passdb.get("default_password_scheme")).unwrap_or("CRYPT");
                match std::fs::read_to_string(&path) {
                    Ok(text) => users::take(import, &text, scheme, &more)?,
                    Err(e) => import.lost(format!("passdb {path}: {e}")),
                }
                let format = named.get("username_format").map(String::as_str).filter(|f| !f.ends_with('u'));
                if let Some(format) = format {
                    import.lost(format!("passdb {path}: username_format={format}: logins here are whole addresses"));
                }
            }
            other => import.lost(format!("passdb {other}: a program in place of the table users: pennypost-tables(5)")),
        }
    }
    Ok(())
}

/// uid, gid and home of all users.
fn fixed(import: &mut Import<'_>, named: &BTreeMap<String, String>) {
    match (named.get("uid"), named.get("gid")) {
        (Some(uid), Some(gid)) if uid != gid => import.text("ids", "mail", &format!("{uid}:{gid}")),
        (Some(uid), _) => import.text("ids", "mail", uid),
        _ => {}
    }
    if let Some(home) = named.get("home") {
        home_of(import, home);
    }
}

fn home_of(import: &mut Import<'_>, home: &str) {
    match pattern(home) {
        Some(home) => import.text("mail", "home", &home),
        None => import.lost(format!("home {home}")),
    }
}

/// mail_location of 2.3, mail_driver and mail_path of 2.4.
fn storage(import: &mut Import<'_>, top: &Section) {
    let home = top.get("mail_home");
    if let Some(home) = home {
        home_of(import, home);
    }
    let homes = home.is_some()
        || top.all("userdb").any(|u| driver(u) != "static" || u.get("args").is_some_and(|a| a.contains("home=")));
    let location = top.get("mail_location").map(str::to_string).or_else(|| {
        let layout = top.get("mailbox_list_layout").map(|l| format!(":LAYOUT={l}")).unwrap_or_default();
        Some(format!("{}:{}{layout}", top.get("mail_driver")?, top.get("mail_path").unwrap_or("~/Maildir")))
    });
    let Some(location) = location else { return };
    let mut parts = location.split(':');
    let kind = parts.next().unwrap_or("");
    if kind != "maildir" {
        return import.lost(format!("mail_location = {location}: doveadm sync to a Maildir, or maildirctl import"));
    }
    let path = parts.next().unwrap_or("~/Maildir");
    for part in parts {
        match part.split_once('=') {
            Some(("INDEX" | "INDEXPVT" | "INDEXCACHE", _)) | Some(("LAYOUT", "maildir++" | "Maildir++")) => {}
            _ => import.lost(format!("mail_location: {part}")),
        }
    }
    match (path.strip_prefix("~/").or(path.strip_prefix("%h/")), pattern(path)) {
        (Some(below), _) => import.text("mail", "maildir", below),
        (None, Some(whole)) => match whole.rsplit_once('/') {
            // the Maildir lies in the home, or is the home itself
            Some((_, last)) if last.contains('%') => {
                if !homes || home == Some(path) {
                    import.text("mail", "home", &whole);
                    import.text("mail", "maildir", ".");
                } else {
                    import.lost(format!("mail_location = {location}: the Maildir is outside the home"));
                }
            }
            Some((above, last)) if !homes || home.and_then(pattern).as_deref() == Some(above) => {
                import.text("mail", "home", above);
                import.text("mail", "maildir", last);
            }
            _ => import.lost(format!("mail_location = {location}: the Maildir is outside the home")),
        },
        _ => import.lost(format!("mail_location = {location}")),
    }
}

/// Name of the protocol, usual port, TLS from the first octet, program, role.
const LISTENERS: [(&str, &str, u16, bool, &str, &str); 6] = [
    ("imap", "imap", 143, false, "imapd", ""),
    ("imap", "imaps", 993, true, "imapd", ""),
    ("pop3", "pop3", 110, false, "pop3d", ""),
    ("pop3", "pop3s", 995, true, "pop3d", ""),
    ("sieve", "sieve", 4190, false, "sieved", ""),
    ("lmtp", "lmtp", 24, false, "smtpd", "lmtp"),
];

/// Which protocols listen, and where.
fn services(import: &mut Import<'_>, top: &Section) {
    let blocks = top.all("protocols").flat_map(|s| &s.settings).filter(|(_, v)| v == "yes");
    let mut protocols: Vec<&str> = words(top.get("protocols").unwrap_or("")).collect();
    protocols.extend(blocks.map(|(n, _)| n.as_str()));
    let listen = top.get("listen").unwrap_or("*, ::");
    let all = words(listen).any(|w| w == "::");
    let usual = if all { "[::]".to_string() } else { "0.0.0.0".to_string() };
    for (protocol, name, port, implicit, program, role) in LISTENERS {
        if !protocols.contains(&protocol) {
            continue;
        }
        let service = match protocol {
            "sieve" => "managesieve-login".to_string(),
            "lmtp" => "lmtp".into(),
            other => format!("{other}-login"),
        };
        let own = top.all("service").filter(|s| s.title == service).flat_map(|s| s.all("inet_listener"));
        let own = own.filter(|l| l.title == name).last();
        let port_of = |l: &Section| l.get("port").and_then(|p| p.parse::<u16>().ok());
        // lmtp on a network port is an option of its own; on a socket our queue needs none
        if protocol == "lmtp" && own.is_none() {
            continue;
        }
        let port = own.and_then(port_of).unwrap_or(port);
        if port == 0 {
            continue;
        }
        let address = own.and_then(|l| l.get("address").or(l.get("listen"))).and_then(|a| words(a).next());
        let address = address.filter(|a| !matches!(*a, "*" | "::")).map_or(usual.clone(), bracketed);
        let none = top.get("ssl") == Some("no");
        let tls = match (implicit, none) {
            (true, true) => continue,
            (true, false) => "tls = \"implicit\"\n",
            (false, true) => "tls = \"none\"\n",
            (false, false) => "",
        };
        import.listen(name, &format!("{address}:{port}"), program, role, tls);
    }
    for other in protocols.iter().filter(|p| !LISTENERS.iter().any(|l| l.0 == **p)) {
        import.lost(format!("protocol {other}"));
    }
}

/// Settings without anything to lose: logs, places, processes, what TLS and the index decide here for themselves.
const NOTHING_LOST: &[&str] = &[
    "auth_debug",
    "auth_failure_delay",
    "auth_verbose",
    "auth_worker_max_count",
    "base_dir",
    "debug_log_path",
    "default_internal_user",
    "default_login_user",
    "doveadm_socket_path",
    "dovecot_config_version",
    "dovecot_storage_version",
    "info_log_path",
    "instance_name",
    "listen",
    "log_path",
    "log_timestamp",
    "login_greeting",
    "login_log_format_elements",
    "mail_debug",
    "mail_driver",
    "mail_fsync",
    "mail_home",
    "mail_index_path",
    "mail_location",
    "mail_max_lock_timeout",
    "mail_path",
    "mail_privileged_group",
    "mailbox_list_layout",
    "managesieve_notify_capability",
    "managesieve_sieve_capability",
    "mmap_disable",
    "protocols",
    "sendmail_path",
    "shutdown_clients",
    "ssl",
    "ssl_cipher_list",
    "ssl_client_ca_dir",
    "ssl_client_ca_file",
    "ssl_client_require_valid_cert",
    "ssl_curve_list",
    "ssl_dh",
    "ssl_prefer_server_ciphers",
    "ssl_server_dh_file",
    "ssl_server_prefer_ciphers",
    "stats_writer_socket_path",
    "submission_host",
    "syslog_facility",
    "verbose_proctitle",
    "verbose_ssl",
    "mailbox_list_index",
    "maildir_very_dirty_syncs",
    "maildir_copy_with_hardlinks",
    "imap_idle_notify_interval",
    "lmtp_save_to_detail_mailbox",
];

/// Plugins whose work is done here without a switch.
const PLUGINS: [&str; 8] = ["quota", "imap_quota", "sieve", "imap_sieve", "imap_acl", "acl", "notify", "mail_log"];

/// A setting at the top, or of the kind that may stand anywhere.
fn setting(import: &mut Import<'_>, name: &str, value: &str) {
    match name {
        "ssl_cert" | "ssl_server_cert_file" => import.text("tls", "certificate", path_of(value)),
        "ssl_key" | "ssl_server_key_file" if value.is_empty() => {
            import.lost("ssl_key: doveconf hides it without -P: set tls.key");
        }
        "ssl_key" | "ssl_server_key_file" => import.text("tls", "key", path_of(value)),
        "ssl_min_protocol" if value == "TLSv1.3" => import.text("tls", "min_version", "1.3"),
        "ssl_min_protocol" => {}
        "auth_mechanisms" => mechanisms(import, value),
        "disable_plaintext_auth" if value == "no" => {
            import.lost("disable_plaintext_auth = no: no password is taken without TLS, but from loopback");
        }
        "auth_allow_cleartext" if value == "yes" => {
            import.lost("auth_allow_cleartext = yes: no password is taken without TLS, but from loopback");
        }
        "disable_plaintext_auth" | "auth_allow_cleartext" => {}
        "mail_uid" | "mail_gid" => {} // taken together: fixed()
        "first_valid_uid" => import.set("ids", "min_uid", value),
        "first_valid_gid" | "last_valid_uid" | "last_valid_gid" => {}
        "recipient_delimiter" => import.text("mail", "separators", value),
        "mail_max_userip_connections" => import.set("imapd", "max_sessions", value),
        "postmaster_address" => import.text("queue", "postmaster", value),
        "hostname" => import.text("", "hostname", value),
        "quota_full_tempfail" => import.set("mail", "quota_permanent", if value == "no" { "true" } else { "false" }),
        "mail_plugins" => plugins(import, value),
        "auth_username_format" if matches!(value, "%Lu" | "%u" | "%{user | lower}" | "%{user}") => {}
        name if name.starts_with("quota_rule") || name == "quota_storage_size" => quota(import, name, value),
        name if name.starts_with("sieve") => sieve(import, name, value),
        name if NOTHING_LOST.contains(&name) => {}
        _ if value.is_empty() => {}
        _ => import.lost(format!("{name} = {value}")),
    }
}

fn mechanisms(import: &mut Import<'_>, value: &str) {
    let known = ["PLAIN", "LOGIN", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "OAUTHBEARER", "XOAUTH2"];
    for word in words(value).map(str::to_uppercase) {
        match known.contains(&word.as_str()) {
            true => import.item("auth", "mechanisms", word),
            false => import.lost(format!("auth_mechanisms: {word}")),
        }
    }
}

fn plugins(import: &mut Import<'_>, value: &str) {
    for plugin in words(value).filter(|p| !p.starts_with('$') && !PLUGINS.contains(p)) {
        let more = match plugin {
            "zlib" | "mail_compress" => ": messages that are compressed on disk: doveadm sync to a plain Maildir",
            "mail_crypt" => ": messages that are encrypted on disk: doveadm sync to a plain Maildir",
            _ => "",
        };
        import.lost(format!("mail_plugins: {plugin}{more}"));
    }
}

/// `*:storage=1G:messages=100`; other rules are for folders.
fn quota(import: &mut Import<'_>, name: &str, value: &str) {
    let limits = if name == "quota_storage_size" { Some(value) } else { value.strip_prefix("*:") };
    let Some(limits) = limits else { return import.lost(format!("{name} = {value}")) };
    for limit in limits.split(':') {
        match limit.split_once('=').unwrap_or(("storage", limit)) {
            ("storage", size) => {
                let bytes =
                    |unit: &str, factor: u64| size.strip_suffix(unit)?.trim().parse::<u64>().ok().map(|n| n * factor);
                let mib = bytes("G", 1024).or(bytes("M", 1)).or(bytes("T", 1 << 20));
                match mib {
                    Some(mib) => import.text("mail", "quota", &format!("{mib}MiB")),
                    None => import.lost(format!("{name} = {value}")),
                }
            }
            ("messages", n) if n.parse::<u32>().is_ok() => import.set("mail", "quota_messages", n),
            _ => import.lost(format!("{name} = {value}")),
        }
    }
}

fn sieve(import: &mut Import<'_>, name: &str, value: &str) {
    match (name, value) {
        // where we look for a user's scripts as well
        ("sieve", "file:~/sieve;active=~/.dovecot.sieve" | "~/.dovecot.sieve") | ("sieve_dir", "~/sieve") => {}
        ("sieve_before" | "sieve_global_before", path) => import.text("deliver", "sieve_before", path),
        ("sieve_after", path) => import.text("deliver", "sieve_after", path),
        ("sieve_max_redirects", n) if n.parse::<u32>().is_ok() => import.set("deliver", "sieve_redirects", n),
        ("sieve_quota_max_scripts", n) if n.parse::<u32>().is_ok() => import.set("sieved", "max_scripts", n),
        ("sieve_pipe_bin_dir" | "sieve_filter_bin_dir" | "sieve_execute_bin_dir", path) => {
            import.text("deliver", "sieve_programs", path);
        }
        ("sieve_plugins" | "sieve_extensions" | "sieve_global_extensions", _) => {} // ours are on
        _ => import.lost(format!("{name} = {value}")),
    }
}

/// A section at the top.
fn inside(import: &mut Import<'_>, section: &Section) {
    match section.name.as_str() {
        "passdb" | "userdb" | "service" | "protocols" | "dict" | "dict_server" => {}
        "plugin" => section.settings.iter().for_each(|(n, v)| plugin(import, n, v)),
        "protocol" => {
            section.settings.iter().for_each(|(n, v)| setting(import, n, v));
        }
        "namespace" => namespace(import, section),
        "quota" => section
            .settings
            .iter()
            .filter(|(n, _)| n.ends_with("size"))
            .for_each(|(_, v)| quota(import, "quota_storage_size", v)),
        "sieve_script" => script(import, section),
        "local_name" => {
            import.lost(format!("local_name {}: its certificate as NAME.pem and NAME.key in tls.names", section.title));
        }
        other => import.lost(format!("section {other} {}", section.title).trim_end()),
    }
}

fn plugin(import: &mut Import<'_>, name: &str, value: &str) {
    match name {
        "quota" | "quota2" => {} // where it is counted
        _ if name.starts_with("mail_log") || name.starts_with("quota_grace") => {}
        _ if name.starts_with("quota_warning") => {
            import.lost(format!("{name} = {value}: mail.quota_warning, mail.quota_warning_at"));
        }
        _ if name.starts_with("imapsieve") => import.lost(format!("{name} = {value}: imapd.imapsieve, imapd.learn")),
        "acl" => import.lost(format!("acl = {value}: dovecot-acl files are read; shared folders: imapd.shared")),
        _ => setting(import, name, value),
    }
}

/// 2.4: `sieve_script NAME { type = before; path = ... }`.
fn script(import: &mut Import<'_>, section: &Section) {
    let path = section.get("path").or(section.get("sieve_script_path")).unwrap_or("");
    match section.get("type").or(section.get("sieve_script_type")).unwrap_or("personal") {
        "personal" if matches!(path, "~/sieve" | "") => {}
        "before" => import.text("deliver", "sieve_before", path),
        "after" => import.text("deliver", "sieve_after", path),
        other => import.lost(format!("sieve_script {}: {other} {path}", section.title)),
    }
}

fn namespace(import: &mut Import<'_>, section: &Section) {
    let kind = section.get("type").unwrap_or("private");
    if kind != "private" || section.get("inbox").is_some_and(|i| i != "yes") {
        return import.lost(format!("namespace {} ({kind}): imapd.shared", section.title));
    }
    // Dovecot's own separator in a Maildir is the dot; clients have remembered names with it
    let separator = section.get("separator").filter(|s| !s.is_empty()).unwrap_or(".");
    match separator {
        "/" | "." => import.text("imapd", "separator", separator),
        other => import.lost(format!("namespace {}: separator {other}", section.title)),
    }
    match section.get("prefix").unwrap_or("").trim_end_matches(['/', '.']) {
        "" => {}
        "INBOX" => import.text("imapd", "prefix", "INBOX"),
        other => import.lost(format!("namespace {}: prefix {other}", section.title)),
    }
    for mailbox in section.all("mailbox") {
        let title = mailbox.title.as_str();
        if mailbox.get("auto").is_some_and(|a| a != "no") {
            import.item("mail", "autocreate", title);
        }
        if mailbox.get("special_use") == Some("\\Junk") {
            import.text("mail", "junk_folder", title);
        }
        if let Some(time) = mailbox.get("autoexpunge") {
            let option = format!("retention={title}:{}", time.trim_end_matches("days").trim());
            import.lost(format!("autoexpunge of {title} = {time}: pennypost domain set DOMAIN '{option}'"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_of_both_versions() {
        for (theirs, ours) in [
            ("/var/vmail/%d/%n", Some("/var/vmail/%d/%u")),
            ("/m/%Lu", Some("/m/%n")),
            ("/m/%{user | domain}/%{user | username}", Some("/m/%d/%u")),
            ("/m/%{user}", Some("/m/%n")),
            ("/m/%2Mu", None),
        ] {
            assert_eq!(pattern(theirs).as_deref(), ours, "{theirs}");
        }
    }
}
