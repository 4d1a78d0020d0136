//! What a domain has of its own: options behind its kind in the domains table.
//!
//! Format      words `name=value` parted by white space: `filters=none`, `filters=mailauth,dkimsign` (these),
//!             `filters=-spamcheck` (all but these); `max_size=20M`; `quota=2G`, `quota_messages=100000` (of mailboxes
//!             whose entry names none); `rate_messages=100`, `rate_recipients=500` (an hour of one login of the domain,
//!             instead of the keys of smtpd); `send_as=own|domain|any`; `retention=Trash:30,Junk:14` (days; `*` is every
//!             folder; other octets as %XX)
//! Invariants  a word that is not understood is a mistake of the line, never left out in silence

use crate::program;
use penny_base::config::{Raw, Setting, Size};

/// What the logins of a domain may send as, besides the senders table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SendAs {
    /// Their own addresses.
    #[default]
    Own,
    /// Every address of their domain.
    Domain,
    /// Every address there is.
    Any,
}

/// Which of the configured filters judge mail.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Filters {
    /// All of them.
    #[default]
    All,
    /// These.
    Only(Vec<String>),
    /// All but these.
    Without(Vec<String>),
}

/// All options of a domain.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// Filters of mail to the domain.
    pub filters: Filters,
    /// Largest message to the domain, octets; 0 is the server's limit.
    pub max_size: u64,
    /// Storage quota of mailboxes, KiB.
    pub quota_kb: Option<u64>,
    /// Message quota of mailboxes.
    pub quota_messages: Option<u64>,
    /// Messages an hour of one login.
    pub rate_messages: Option<u64>,
    /// Recipients an hour of one login.
    pub rate_recipients: Option<u64>,
    /// Who may send as whom.
    pub send_as: SendAs,
    /// Days that messages stay, by folder; `*` is every folder.
    pub retention: Vec<(String, u32)>,
}

/// The names of all options, for messages and commands.
pub const NAMES: [&str; 8] =
    ["filters", "max_size", "quota", "quota_messages", "rate_messages", "rate_recipients", "send_as", "retention"];

impl Policy {
    /// Reads the words behind the kind.
    pub fn parse<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<Policy, String> {
        let mut policy = Policy::default();
        for word in words {
            let (name, value) = word.split_once('=').ok_or_else(|| format!("{word}: expected name=value"))?;
            policy.set(name, value).map_err(|why| format!("{name}: {why}"))?;
        }
        Ok(policy)
    }

    /// Days that messages stay in a folder; 0 is for ever.
    pub fn days(&self, folder: &str) -> u32 {
        let of = |name: &str| self.retention.iter().find(|(f, _)| f.eq_ignore_ascii_case(name)).map(|(_, days)| *days);
        of(folder).or_else(|| of("*")).unwrap_or(0)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        match name {
            "filters" => self.filters = Filters::parse(value)?,
            "max_size" => self.max_size = octets(value)?,
            "quota" => self.quota_kb = Some(octets(value)?.div_ceil(1024)),
            "quota_messages" => self.quota_messages = Some(number(value)?),
            "rate_messages" => self.rate_messages = Some(number(value)?),
            "rate_recipients" => self.rate_recipients = Some(number(value)?),
            "send_as" => self.send_as = send_as(value)?,
            "retention" => self.retention = value.split(',').map(keep).collect::<Result<_, _>>()?,
            _ => return Err(format!("unknown option, expected one of {}", NAMES.join(", "))),
        }
        Ok(())
    }
}

impl Filters {
    /// `all`, `none`, names, or names each behind a `-`.
    pub fn parse(text: &str) -> Result<Filters, String> {
        let names: Vec<&str> = text.split(',').collect();
        if names.contains(&"") {
            return Err("expected all, none, NAME,... or -NAME,...".into());
        }
        let own = |names: &[&str]| names.iter().map(|n| n.to_string()).collect::<Vec<_>>();
        let less: Vec<&str> = names.iter().filter_map(|n| n.strip_prefix('-')).collect();
        match (names.as_slice(), less.len()) {
            (["all"], _) => Ok(Filters::All),
            (["none"], _) => Ok(Filters::Only(Vec::new())),
            (_, 0) => Ok(Filters::Only(own(&names))),
            (_, n) if n == names.len() => Ok(Filters::Without(own(&less))),
            _ => Err("names with and without - in one list".into()),
        }
    }

    /// The text `parse` reads.
    pub fn text(&self) -> String {
        match self {
            Filters::All => "all".into(),
            Filters::Only(names) if names.is_empty() => "none".into(),
            Filters::Only(names) => names.join(","),
            Filters::Without(names) => names.iter().map(|n| format!("-{n}")).collect::<Vec<_>>().join(","),
        }
    }

    /// Whether the filter of this name judges.
    pub fn has(&self, name: &str) -> bool {
        let among = |names: &[String]| names.iter().any(|n| n == name);
        match self {
            Filters::All => true,
            Filters::Only(names) => among(names),
            Filters::Without(names) => !among(names),
        }
    }

    /// The names that are written.
    pub fn names(&self) -> &[String] {
        match self {
            Filters::All => &[],
            Filters::Only(names) | Filters::Without(names) => names,
        }
    }
}

fn send_as(text: &str) -> Result<SendAs, String> {
    match text {
        "own" => Ok(SendAs::Own),
        "domain" => Ok(SendAs::Domain),
        "any" => Ok(SendAs::Any),
        _ => Err("expected own, domain or any".into()),
    }
}

/// As in the configuration, or with the single letters of the users table.
fn octets(text: &str) -> Result<u64, String> {
    let unit = if text.ends_with(['K', 'M', 'G']) { "iB" } else { "" };
    Size::read(&Raw::Text(format!("{text}{unit}"))).map(|s| s.0)
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("{text} is no number"))
}

fn keep(item: &str) -> Result<(String, u32), String> {
    let wrong = || format!("{item}: expected FOLDER:DAYS");
    let (folder, days) = item.rsplit_once(':').ok_or_else(wrong)?;
    let days = days.strip_suffix('d').unwrap_or(days).parse().ok().filter(|d| *d > 0);
    match days {
        Some(days) if !folder.is_empty() => Ok((program::decode(folder), days)),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_is_read() {
        let text = "filters=-spamcheck max_size=20M quota=2G quota_messages=9 rate_messages=100 rate_recipients=500 \
                    send_as=domain retention=Trash:30,Deleted%20Items:7d,*:700";
        let policy = Policy::parse(text.split_whitespace()).unwrap();
        assert_eq!(policy.filters, Filters::Without(vec!["spamcheck".into()]));
        assert_eq!((policy.max_size, policy.quota_kb, policy.quota_messages), (20 << 20, Some(2 << 20), Some(9)));
        assert_eq!((policy.rate_messages, policy.rate_recipients), (Some(100), Some(500)));
        assert_eq!(policy.send_as, SendAs::Domain);
        let kept: Vec<_> = policy.retention.iter().map(|(f, d)| (f.as_str(), *d)).collect();
        assert_eq!(kept, [("Trash", 30), ("Deleted Items", 7), ("*", 700)]);
        assert_eq!((policy.days("Trash"), policy.days("INBOX"), Policy::default().days("INBOX")), (30, 700, 0));
        let names: Vec<&str> = text.split_whitespace().map(|w| w.split('=').next().unwrap()).collect();
        assert_eq!(names, NAMES);
    }

    #[test]
    fn mistakes_are_named() {
        for bad in [
            "filters=",
            "filters=a,-b",
            "max_size=big",
            "quota=-1",
            "rate_messages=x",
            "send_as=me",
            "retention=Trash",
            "retention=:3",
            "retention=Trash:0",
            "colour=red",
            "local",
        ] {
            assert!(Policy::parse([bad]).is_err(), "{bad}");
        }
    }

    #[test]
    fn filters_by_name() {
        for (text, judged) in [("all", "ab"), ("none", ""), ("a", "a"), ("-a", "b"), ("-a,-b", "")] {
            let filters = Filters::parse(text).unwrap();
            assert_eq!(["a", "b"].into_iter().filter(|n| filters.has(n)).collect::<String>(), judged, "{text}");
            assert_eq!(filters.text(), text);
        }
    }
}
