//! One question to one answer: the verbs of lookup(8).
//!
//! Invariants  1. an answer is one line   2. who is no program of ours learns about its own mailbox only, and only checkauth
//!             learns password fields   3. while a table's source is away, no answer is made from it
//! Failures    an unknown verb or a missing argument is `TEMP`; nothing ends the service

use crate::callout::{Callouts, Verdict};
use crate::counters::{Counters, now};
use crate::greylist::Greylist;
use crate::srs;
use penny_base::services::escape::{join, split};
use penny_base::{Config, log, reload};
use penny_tables::cidr::Network;
use penny_tables::domains::Kind;
use penny_tables::policy::{Filters, SendAs};
use penny_tables::resolve::{End, Resolver, mailbox_of};
use penny_tables::routes::Hop;
use penny_tables::srs::Srs;
use penny_tables::{Tables, virt::Virtual};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How long table files are taken as unchanged.
const REFRESH: Duration = Duration::from_secs(1);

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// One of our programs.
    Program,
    /// One that may know passwords: checkauth.
    Auth,
    /// Somebody with this uid.
    User(u32),
}

/// Everything lookup knows.
pub struct Knowledge {
    config: Config,
    tables: Tables,
    checked: Instant,
    used: HashMap<String, (u64, u64)>,
    pub counters: Counters,
    pub greylist: Greylist,
    pub callouts: Callouts,
    srs: Option<Srs>,
}

type Fields = Vec<String>;

fn ok(fields: &[&str]) -> Fields {
    std::iter::once("OK").chain(fields.iter().copied()).map(String::from).collect()
}

fn no(fields: &[&str]) -> Fields {
    std::iter::once("NO").chain(fields.iter().copied()).map(String::from).collect()
}

fn temp(why: &str) -> Fields {
    vec!["TEMP".into(), why.into()]
}

/// A text that begins with a status, by its class.
fn refused(text: &str) -> Fields {
    let (status, rest) = text.split_once(' ').unwrap_or((text, ""));
    if status.starts_with('4') { temp(text) } else { no(&[status, rest]) }
}

impl Knowledge {
    pub fn new(config: &Config) -> Knowledge {
        Knowledge {
            tables: Tables::open(config),
            config: config.clone(),
            checked: Instant::now(),
            used: HashMap::new(),
            counters: Counters::open(&config.paths.state.join("lookup/counters")),
            greylist: Greylist::open(&config.paths.state.join("lookup/greylist")),
            callouts: Callouts::open(&config.paths.state.join("lookup/callouts")),
            srs: srs::open(config),
        }
    }

    /// Follows a changed configuration and reads the tables again; what was counted and learnt stays.
    pub fn reload(&mut self) {
        let Some(config) = reload::read(&self.config) else { return };
        self.tables.read_again(&config);
        self.srs = srs::open(&config);
        self.config = config;
        log::info("reloaded", None, &[]);
    }

    /// Answers one line.
    pub fn answer(&mut self, line: &str, caller: Caller) -> String {
        if self.checked.elapsed() > REFRESH {
            self.refresh();
        }
        let question = split(line);
        let question: Vec<&str> = question.iter().map(String::as_str).collect();
        self.tables.begin();
        let fields = self.dispatch(&question, caller);
        // "no such user" would be a lie while a source is away
        let fields = if self.tables.trouble().is_some() { temp("4.3.5 a table cannot be asked now") } else { fields };
        join(&fields.iter().map(String::as_str).collect::<Vec<_>>())
    }

    fn dispatch(&mut self, question: &[&str], caller: Caller) -> Fields {
        if let Caller::User(uid) = caller {
            return match question {
                ["user", name] => self.user(name, Some(uid)),
                ["quota", name, kb, messages] => self.quota(name, kb, messages, Some(uid)),
                ["retention", name, folder] => self.retention(name, folder, Some(uid)),
                _ => temp("not for you"),
            };
        }
        match question {
            ["refresh"] => self.refresh(),
            ["user", name] => self.user(name, None),
            ["password", login] if caller == Caller::Auth => self.password(login),
            ["rcpt", address, _service, _ip, _login, size] => self.rcpt(address, size.parse().unwrap_or(0)),
            ["rcpt", address, ..] => self.rcpt(address, 0),
            ["expand", address] => self.expand(address),
            ["srs", sender] => self.rewritten(sender),
            ["route", domain] => self.route(domain, ""),
            ["route", domain, sender_domain] => self.route(domain, sender_domain),
            ["access"] => ok(&[&self.tables.access.len().to_string()]),
            ["access", kind, value] => ok(&[&self.tables.access.find(kind, value)]),
            ["relay", ip] => self.relay(ip),
            ["maysend", login, address] => self.may_send(login, address),
            ["rate", key, limit, window, cost] => self.rate(key, limit, window, cost),
            ["greylist", ip, sender, recipient] => self.greylist(ip, sender, recipient),
            ["callout", address] => self.callout(address),
            ["callout", address, verdict, text] => self.called_out(address, verdict, text),
            ["quota", name, kb, messages] => self.quota(name, kb, messages, None),
            ["retention", name, folder] => self.retention(name, folder, None),
            _ => temp("unknown question"),
        }
    }

    /// Looks at the files of the tables now.
    fn refresh(&mut self) -> Fields {
        self.tables.refresh();
        self.checked = Instant::now();
        ok(&[])
    }

    fn user(&self, name: &str, only: Option<u32>) -> Fields {
        match mailbox_of(&self.tables, &self.config, name) {
            Some(user) if only.is_none_or(|uid| uid == user.id.uid) => {
                let fields = user.fields();
                ok(&fields.iter().map(String::as_str).collect::<Vec<_>>())
            }
            _ => no(&["5.1.1", "no such user"]),
        }
    }

    /// How long messages stay in a folder of a user: what `pennypost expire` goes by.
    fn retention(&self, name: &str, folder: &str, only: Option<u32>) -> Fields {
        match mailbox_of(&self.tables, &self.config, name) {
            Some(user) if only.is_none_or(|uid| uid == user.id.uid) => {
                let domain = self.domain_of(&user.name);
                ok(&[&self.tables.domains.policy(&domain).days(folder).to_string()])
            }
            _ => no(&["5.1.1", "no such user"]),
        }
    }

    /// The sender to forward with: a stranger's becomes one of ours, all others stay.
    fn rewritten(&self, sender: &str) -> Fields {
        let Some((srs, (local, domain))) = self.srs.as_ref().zip(sender.rsplit_once('@')) else { return ok(&[sender]) };
        let known = self.tables.domains.find(&domain.to_lowercase());
        // a quoted local part would have to be quoted again; those are too rare to be worth it
        if matches!(known.as_deref(), Some(Kind::Local | Kind::Alias(_))) || local.contains('"') {
            return ok(&[sender]);
        }
        ok(&[&srs.forward(local, domain, now())])
    }

    /// What a rewritten sender stands for.
    fn back(&self, address: &str) -> Option<Result<String, &'static str>> {
        srs::back(self.srs.as_ref(), address, now())
    }

    /// The password field of a login, for a users table that only this program can ask.
    fn password(&self, login: &str) -> Fields {
        match self.tables.users.find(login, self.config.mail.fold_case) {
            Some(user) if user.no_login => ok(&["!"]),
            Some(user) => ok(&[&user.password]),
            None => no(&["5.1.1", "no such user"]),
        }
    }

    fn expand(&self, address: &str) -> Fields {
        match self.back(address) {
            Some(Ok(sender)) => return ok(&["remote", &sender]),
            Some(Err(text)) => return ok(&["error", text]),
            None => {}
        }
        let ends = Resolver::new(&self.tables, &self.config).expand(address);
        let pairs: Vec<&str> = ends.iter().map(End::fields).flat_map(|(k, v)| [k, v]).collect();
        ok(&pairs)
    }

    /// What RCPT is told, and behind it what the domain has of its own that smtpd must see to.
    fn rcpt(&self, address: &str, size: u64) -> Fields {
        let mut answer = self.recipient(address, size);
        let domain = penny_addr::Mailbox::parse_any(address).map(|m| m.domain().ascii().to_string());
        let policy = self.tables.domains.policy(domain.as_deref().unwrap_or(""));
        let plain = policy.max_size == 0 && policy.filters == Filters::All;
        if plain || answer.first().is_none_or(|word| word != "OK") {
            return answer;
        }
        if policy.max_size > 0 && size > policy.max_size {
            return no(&["5.3.4", "the message is too large for this domain"]);
        }
        answer.resize(3, String::new());
        answer.extend([format!("filters={}", policy.filters.text()), format!("max_size={}", policy.max_size)]);
        answer
    }

    /// What a recipient is. `local` is a single mailbox and nothing else; `alias` is accepted from everybody and resolved
    /// by the queue; `relay` is a foreign address.
    fn recipient(&self, address: &str, size: u64) -> Fields {
        match self.back(address) {
            Some(Ok(_)) => return ok(&["alias"]),
            Some(Err(text)) => return refused(text),
            None => {}
        }
        let ends = Resolver::new(&self.tables, &self.config).expand(address);
        match ends.as_slice() {
            [End::Local(exact)] => self.local(address, exact, size),
            [End::Remote(_)] if !self.is_ours(address) => ok(&["relay"]),
            [End::Error(text)] => refused(text),
            // an address that is passed on as it is: the host behind may be asked about it
            [End::Remote(exact)] if self.config.smtpd.callout && self.relayed(exact).is_some() => ok(&["alias", exact]),
            [] => no(&["5.1.1", "the address leads nowhere"]),
            _ => ok(&["alias"]),
        }
    }

    /// The address as call-outs know it, if its domain is one that is passed on.
    fn relayed(&self, address: &str) -> Option<String> {
        let mailbox = penny_addr::Mailbox::parse_any(address).ok()?;
        let relay = matches!(self.tables.domains.find(mailbox.domain().ascii()).as_deref(), Some(Kind::Relay));
        relay.then(|| mailbox.exact())
    }

    /// What the host behind said of an address, or `ask`.
    fn callout(&self, address: &str) -> Fields {
        let Some(address) = self.relayed(address) else { return temp("4.3.0 no relay domain") };
        match self.callouts.find(&address) {
            Some((Verdict::Bad, text)) => no(&[text]),
            Some((verdict, text)) => ok(&[verdict.word(), text]),
            None => ok(&["ask"]),
        }
    }

    fn called_out(&mut self, address: &str, verdict: &str, text: &str) -> Fields {
        let (Some(address), Some(verdict)) = (self.relayed(address), Verdict::parse(verdict)) else {
            return temp("4.3.0 no relay domain, or no verdict");
        };
        self.callouts.keep(&address, verdict, text);
        ok(&[])
    }

    fn local(&self, asked: &str, exact: &str, size: u64) -> Fields {
        let Some(user) = mailbox_of(&self.tables, &self.config, exact) else { return temp("4.3.0 mailbox vanished") };
        if self.is_full(&user, size) {
            return match self.config.mail.quota_permanent {
                true => no(&["5.2.2", "mailbox is full"]),
                false => temp("4.2.2 mailbox is full"),
            };
        }
        let same = penny_addr::Mailbox::parse_any(asked).is_ok_and(|m| m.exact() == exact);
        if same { ok(&["local", exact]) } else { ok(&["alias"]) }
    }

    /// Full, or without room for a message of `size` octets (0: unknown).
    fn is_full(&self, user: &penny_base::services::lookup::User, size: u64) -> bool {
        let Some((kb, messages)) = self.used.get(&user.name) else { return false };
        let no_room = *kb >= user.quota_kb || kb + size / 1024 > user.quota_kb;
        (user.quota_kb > 0 && no_room) || (user.quota_messages > 0 && *messages >= user.quota_messages)
    }

    /// An address whose domain is ours (local, alias or relay), or that the virtual table rewrites.
    fn is_ours(&self, address: &str) -> bool {
        let Ok(mailbox) = penny_addr::Mailbox::parse_any(address) else { return !address.contains('@') };
        self.tables.domains.find(mailbox.domain().ascii()).is_some()
            || self.tables.virt.find(&mailbox.exact()).is_some()
            || self.tables.virt.find(&format!("@{}", mailbox.domain().ascii())).is_some()
    }

    fn route(&self, domain: &str, sender_domain: &str) -> Fields {
        if let Some(Kind::Local | Kind::Alias(_)) = self.tables.domains.find(&domain.to_lowercase()).as_deref() {
            return ok(&["local"]);
        }
        let found = self.tables.routes.find(&domain.to_lowercase(), &sender_domain.to_lowercase());
        let Some(route) = found else { return ok(&["mx"]) };
        let (user, password) = (&route.auth.0, &route.auth.1);
        let options: Vec<String> = route.options.iter().map(|(n, v)| format!("{n}={v}")).collect();
        let port;
        let mut fields: Vec<&str> = match &route.hop {
            Hop::Mx => vec!["mx", &route.tls, user, password],
            Hop::Lmtp(place) => vec!["lmtp", place, &route.tls, user, password],
            Hop::Smtp { host, port: p, mx } => {
                port = p.to_string();
                vec!["host", host, &port, if *mx { "1" } else { "0" }, &route.tls, user, password]
            }
        };
        fields.extend(options.iter().map(String::as_str));
        ok(&fields)
    }

    /// May this address relay without authentication?
    fn relay(&self, ip: &str) -> Fields {
        let networks = self.config.smtpd.relay_clients.iter().filter_map(|n| Network::parse(n));
        let inside = ip.parse().is_ok_and(|a| networks.into_iter().any(|n| n.contains(a)));
        if inside { ok(&[]) } else { no(&[]) }
    }

    fn may_send(&self, login: &str, address: &str) -> Fields {
        let own = mailbox_of(&self.tables, &self.config, address).is_some_and(|u| u.name.eq_ignore_ascii_case(login));
        let yes = own
            || self.domain_lets(login, address)
            || self.listed(&self.tables.senders, login, address)
            || self.alias_of(login, address);
        if yes { ok(&[]) } else { no(&["5.7.1", "the address does not belong to the login"]) }
    }

    fn domain_lets(&self, login: &str, address: &str) -> bool {
        let domain = self.domain_of(login);
        match self.tables.domains.policy(&domain).send_as {
            SendAs::Own => false,
            SendAs::Domain => !domain.is_empty() && self.domain_of(address) == domain,
            SendAs::Any => true,
        }
    }

    /// The domain of a login or address, other names of it taken back to it.
    fn domain_of(&self, name: &str) -> String {
        let Ok(mailbox) = penny_addr::Mailbox::parse_any(name) else { return String::new() };
        let domain = mailbox.domain().ascii().to_string();
        match self.tables.domains.find(&domain).as_deref() {
            Some(Kind::Alias(real)) => real.clone(),
            _ => domain,
        }
    }

    fn listed(&self, senders: &Virtual, login: &str, address: &str) -> bool {
        let (local, domain) = address.rsplit_once('@').unwrap_or((address, ""));
        let found = senders.resolve(local, local, &domain.to_lowercase(), false);
        found.is_some_and(|(logins, _)| logins.iter().any(|l| l == "*" || l.eq_ignore_ascii_case(login)))
    }

    /// An alias of ours that ends in this login's mailbox alone.
    fn alias_of(&self, login: &str, address: &str) -> bool {
        let ends = Resolver::new(&self.tables, &self.config).expand(address);
        let name = |e: &End| match e {
            End::Local(a) => mailbox_of(&self.tables, &self.config, a).map(|u| u.name),
            _ => None,
        };
        matches!(ends.as_slice(), [one] if name(one).is_some_and(|n| n.eq_ignore_ascii_case(login)))
    }

    fn rate(&mut self, key: &str, limit: &str, window: &str, cost: &str) -> Fields {
        let number = |t: &str| t.parse::<u64>().ok();
        let (Some(limit), Some(window), Some(cost)) = (number(limit), number(window), number(cost)) else {
            return temp("rate needs numbers");
        };
        let limit = self.own_limit(key).unwrap_or(limit);
        if limit == 0 {
            return ok(&["0"]);
        }
        let (within, count) = self.counters.add(key, cost, limit, window.max(1));
        if within { ok(&[&count.to_string()]) } else { no(&[&count.to_string()]) }
    }

    /// The limit that the domain of a login has of its own: `messages/login/NAME`, `recipients/login/NAME`.
    fn own_limit(&self, key: &str) -> Option<u64> {
        let (what, login) = key.split_once("/login/")?;
        let policy = self.tables.domains.policy(&self.domain_of(login));
        match what {
            "messages" => policy.rate_messages,
            "recipients" => policy.rate_recipients,
            _ => None,
        }
    }

    fn greylist(&mut self, ip: &str, sender: &str, recipient: &str) -> Fields {
        match self.greylist.ask(ip, sender, recipient) {
            0 => ok(&[]),
            seconds => no(&[&seconds.to_string()]),
        }
    }

    /// Who may read a mailbox reports how full it is.
    fn quota(&mut self, name: &str, kb: &str, messages: &str, only: Option<u32>) -> Fields {
        let Some(user) = mailbox_of(&self.tables, &self.config, name) else { return no(&["5.1.1", "no such user"]) };
        if only.is_some_and(|uid| uid != user.id.uid) {
            return temp("not for you");
        }
        match (kb.parse(), messages.parse()) {
            (Ok(kb), Ok(messages)) => {
                self.used.insert(user.name, (kb, messages));
                ok(&[])
            }
            _ => temp("quota needs numbers"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mailbox_is_full_for_what_does_not_fit() {
        let dir = std::env::temp_dir().join(format!("penny-lookup-{:x}", penny_sys::random::u64()));
        std::fs::create_dir(&dir).unwrap();
        std::fs::write(dir.join("users"), "joe@example.test:x::::::userdb_quota_rule=*:storage=20K\n").unwrap();
        let mut config = Config::default();
        config.paths.tables = dir.clone();
        config.paths.state = dir.clone();
        let mut k = Knowledge::new(&config);
        let mut ask = |q: &str| k.answer(q, Caller::Program);
        assert!(ask("rcpt\tjoe@example.test\tmx\t-\t-\t999999").starts_with("OK\tlocal"), "unknown counts as not full");
        assert_eq!(ask("quota\tjoe@example.test\t15\t1"), "OK");
        assert!(ask("rcpt\tjoe@example.test\tmx\t-\t-\t4000").starts_with("OK\tlocal"));
        assert_eq!(ask("rcpt\tjoe@example.test\tmx\t-\t-\t9000"), "TEMP\t4.2.2 mailbox is full");
        assert_eq!(ask("quota\tjoe@example.test\t20\t1"), "OK");
        assert_eq!(ask("rcpt\tjoe@example.test"), "TEMP\t4.2.2 mailbox is full");
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn call_outs_are_for_relay_domains_only() {
        let dir = std::env::temp_dir().join(format!("penny-lookup-{:x}", penny_sys::random::u64()));
        std::fs::create_dir(&dir).unwrap();
        std::fs::write(dir.join("domains"), "here.example local\nback.example relay\n").unwrap();
        std::fs::write(dir.join("virtual"), "list@here.example x@back.example\n").unwrap();
        let mut config = Config::default();
        config.paths.tables = dir.clone();
        config.paths.state = dir.clone();
        let mut asked = |callout: bool, questions: &[&str]| -> Vec<String> {
            config.smtpd.callout = callout;
            let mut k = Knowledge::new(&config);
            questions.iter().map(|q| k.answer(q, Caller::Program)).collect()
        };
        let rcpt = "rcpt\tx@BACK.example\tmx\t-\t-\t0";
        assert_eq!(asked(false, &[rcpt]), ["OK\talias"]);
        assert_eq!(asked(true, &[rcpt]), ["OK\talias\tx@back.example"]);
        assert_eq!(asked(true, &["rcpt\tlist@here.example"]), ["OK\talias\tx@back.example"]);
        assert_eq!(asked(true, &["rcpt\tx@far.example"]), ["OK\trelay"]);
        let dialogue = asked(
            true,
            &[
                "callout\tx@Back.example",
                "callout\tx@back.example\tgood\t",
                "callout\tx@back.example",
                "callout\ty@back.example\tbad\t5.1.1 no",
                "callout\ty@back.example",
                "callout\tz@back.example\todd\t",
                "callout\tx@far.example",
                "callout\tx@far.example\tgood\t",
            ],
        );
        let no_relay = "TEMP\t4.3.0 no relay domain";
        let expected = ["OK\task", "OK", "OK\tgood\t", "OK", "NO\t5.1.1 no"];
        assert_eq!(dialogue[..5], expected);
        assert!(dialogue[5..].iter().all(|a| a.starts_with(no_relay)), "{dialogue:?}");
        std::fs::remove_dir_all(dir).unwrap();
    }
}
