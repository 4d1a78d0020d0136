//! `pennypost import-postfix`, `import-dovecot`: tables taken over, settings told as TOML, and what could not be carried.
//!
//! Input       main.cf with the text files its hash:, texthash:, lmdb: and cdb: maps name; Dovecot's passwd-file
//! Invariants  an entry that is here already is kept; nothing of the other server is changed. Maildirs and Sieve scripts are
//!             used in place: see maildirctl(1)

use crate::table::{self, say};
use penny_base::config::value::quote;
use penny_base::{Config, Failure, Outcome};
use std::collections::BTreeMap;
use std::path::Path;

/// main.cf: `name = value`, continued by white space.
fn main_cf(text: &str) -> BTreeMap<String, String> {
    let lines = penny_tables::lines::logical(text);
    lines.iter().filter_map(|l| l.text.split_once('=')).map(|(k, v)| (k.trim().into(), v.trim().into())).collect()
}

/// `$name` and `${name}` by the file itself, a few levels deep.
fn expand(values: &BTreeMap<String, String>, text: &str) -> String {
    let mut out = text.to_string();
    for _ in 0..5 {
        for (name, value) in values {
            out = out.replace(&format!("${{{name}}}"), value).replace(&format!("$({name})"), value);
            out = out
                .split([',', ' '])
                .map(|w| if w == format!("${name}") { value.as_str() } else { w })
                .collect::<Vec<_>>()
                .join(" ");
        }
    }
    out
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split([',', ' ', '\t']).filter(|w| !w.is_empty())
}

struct Import<'a> {
    config: &'a Config,
    dry: bool,
    lost: Vec<String>,
}

impl Import<'_> {
    fn put(&mut self, name: &str, key: &str, line: &str) -> Result<(), Failure> {
        if self.dry {
            return say(&format!("# {name}: {line}")).map(drop);
        }
        let mut edit = table::open(self.config, name)?;
        if edit.find(key).is_some() {
            return say(&format!("# {name}: {key} is here already, kept")).map(drop);
        }
        edit.put(key, line);
        match table::save(self.config, edit, name) {
            Ok(()) => say(&format!("# {name}: {line}")).map(drop),
            Err(e) => {
                self.lost.push(format!("{name}: {line}: {}", e.text));
                Ok(())
            }
        }
    }

    /// The entries of every map of a parameter that is a text file.
    fn maps(&mut self, parameter: &str, value: &str, name: &str) -> Result<(), Failure> {
        for map in words(value) {
            let (kind, path) = map.split_once(':').unwrap_or(("", map));
            if !matches!(kind, "hash" | "texthash" | "lmdb" | "cdb" | "btree" | "dbm") {
                self.lost.push(format!("{parameter} = {map}"));
                continue;
            }
            let Ok(text) = std::fs::read_to_string(path) else {
                self.lost.push(format!("{parameter}: {path} cannot be read"));
                continue;
            };
            for line in penny_tables::lines::logical(&text) {
                let separator = if name == "aliases" { ':' } else { ' ' };
                let line = line.text.replace('\t', " ");
                let key = line.split(separator).next().unwrap_or("").trim().to_string();
                self.put(name, &key, &line)?;
            }
        }
        Ok(())
    }

    fn domains(&mut self, value: &str, kind: &str) -> Result<(), Failure> {
        for domain in words(value) {
            if domain.contains(['$', ':', '/']) {
                self.lost.push(format!("domain {domain}"));
            } else if domain != "localhost" {
                self.put("domains", domain, &format!("{domain} {kind}"))?;
            }
        }
        Ok(())
    }

    fn end(&self) -> Result<Outcome, Failure> {
        self.lost.iter().try_for_each(|l| say(&format!("# NOT carried: {}", l.escape_debug())).map(drop))?;
        Ok(if self.lost.is_empty() { Outcome::Done } else { Outcome::Code(1) })
    }
}

/// Takes Postfix's main.cf over; exit 1 when something could not be carried.
pub fn postfix(file: &Path, directory: &Path, dry: bool) -> Result<Outcome, Failure> {
    let config = Config::load(Some(file))?;
    let path = directory.join("main.cf");
    let text = std::fs::read_to_string(&path).map_err(|e| Failure::io(path.display(), &e))?;
    let values = main_cf(&text);
    let mut import = Import { config: &config, dry, lost: Vec::new() };
    let mut sections: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (key, raw) in &values {
        let value = expand(&values, raw);
        let mut set = |section, text: String| sections.entry(section).or_default().push(text);
        match key.as_str() {
            "myhostname" => set("", format!("hostname = {}", quote(&value))),
            "message_size_limit" => set("[smtpd]", format!("max_size = {value}")),
            "mynetworks" => {
                let list: Vec<String> = words(&value).map(|w| quote(&w.replace(['[', ']'], ""))).collect();
                set("[smtpd]", format!("relay_clients = [{}]", list.join(", ")));
            }
            "recipient_delimiter" => set("[mail]", format!("separators = {}", quote(&value))),
            "smtpd_tls_cert_file" => set("[tls]", format!("certificate = {}", quote(&value))),
            "smtpd_tls_key_file" => set("[tls]", format!("key = {}", quote(&value))),
            "relayhost" if !value.is_empty() => import.put("routes", "*", &format!("* smtp:{value}"))?,
            "mydestination" | "virtual_mailbox_domains" | "virtual_alias_domains" => import.domains(&value, "local")?,
            "relay_domains" => import.domains(&value, "relay")?,
            "alias_maps" => import.maps(key, &value, "aliases")?,
            "virtual_alias_maps" | "virtual_maps" => import.maps(key, &value, "virtual")?,
            "transport_maps" => import.maps(key, &value, "routes")?,
            "smtpd_sender_login_maps" => import.maps(key, &value, "senders")?,
            // where things are, and what has no counterpart to lose
            "alias_database"
            | "compatibility_level"
            | "mydomain"
            | "myorigin"
            | "relayhost"
            | "inet_interfaces"
            | "inet_protocols"
            | "queue_directory"
            | "data_directory"
            | "command_directory"
            | "daemon_directory" => {}
            _ => import.lost.push(format!("{key} = {value}")),
        }
    }
    say("# for pennypost.toml:")?;
    for (section, lines) in &sections {
        say(section)?;
        lines.iter().try_for_each(|l| say(l).map(drop))?;
    }
    import.end()
}

/// Takes a Dovecot passwd-file over, its hashes and quotas included.
pub fn dovecot(file: &Path, passwd: &Path, dry: bool) -> Result<Outcome, Failure> {
    let config = Config::load(Some(file))?;
    let text = std::fs::read_to_string(passwd).map_err(|e| Failure::io(passwd.display(), &e))?;
    let mut import = Import { config: &config, dry, lost: Vec::new() };
    for line in text.lines().filter(|l| !l.trim().is_empty() && !l.starts_with('#')) {
        let mut fields = line.splitn(3, ':');
        let (login, password) = (fields.next().unwrap_or(""), fields.next().unwrap_or(""));
        if penny_sasl::Password::parse(password).is_none() {
            import.lost.push(format!("{login}: its password scheme is not known here: pennypost user passwd"));
            continue;
        }
        // the hash is nobody's business on a screen
        if dry {
            say(&format!("# users: {login}"))?;
            continue;
        }
        let mut edit = table::open(&config, "users")?;
        if edit.find(login).is_some() {
            say(&format!("# users: {login} is here already, kept"))?;
            continue;
        }
        edit.put(login, line);
        table::save(&config, edit, "users")?;
        say(&format!("# users: {login}"))?;
    }
    import.end()
}
