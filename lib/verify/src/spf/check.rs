//! `check_host()`: evaluates records against a client.
//!
//! Standards   RFC 7208 4 (the function), 4.6.4 (limits), 5 (mechanisms), 6.1 (redirect), 6.2 (explanation)

use super::macros::{MacroString, Place, Values, ip_text};
use super::record::{Directive, DualCidr, Mechanism, Record, is_spf};
use super::{Client, Outcome, Verdict};
use penny_dns::{Answer, Data, Error, Name, Resolve, Type, reverse_name};
use std::net::IpAddr;

/// Terms that cause DNS queries (4.6.4).
const LOOKUPS_MAX: u32 = 10;
/// Terms whose query finds nothing (4.6.4).
const VOIDS_MAX: u32 = 2;
/// MX hosts of one `mx`, reverse names of one client (4.6.4).
const NAMES_MAX: usize = 10;
/// Octets of an explanation we are willing to repeat; an SMTP reply line holds 512.
const EXPLANATION_MAX: usize = 400;

/// Why evaluation stops early.
enum Stop {
    Temp(String),
    Perm(String),
}

/// What one record said, and where its explanation would be.
struct Finding {
    outcome: Outcome,
    reason: String,
    explanation: Option<(MacroString, String)>,
}

impl Finding {
    fn new(outcome: Outcome, reason: impl Into<String>) -> Self {
        Self { outcome, reason: reason.into(), explanation: None }
    }
}

/// Checks the MAIL FROM identity, or HELO when the reverse-path is null.
pub fn check(dns: &dyn Resolve, client: &Client<'_>) -> Verdict {
    let helo = client.mail_from.is_empty();
    let (local, domain) = match client.mail_from.rsplit_once('@') {
        _ if helo => ("postmaster", client.helo),
        // 4.3: a missing local part is "postmaster"
        Some(("", domain)) => ("postmaster", domain),
        Some((local, domain)) => (local, domain),
        None => ("postmaster", client.mail_from),
    };
    let mut run = Run {
        dns,
        client,
        ip: client.ip.to_canonical(), // 5: a mapped address is an IPv4 address
        local: local.to_owned(),
        sender_domain: domain.to_owned(),
        lookups: 0,
        voids: 0,
        names: None,
        domain: domain.to_owned(),
    };
    let finding = run.check_host(domain).unwrap_or_else(|stop| match stop {
        Stop::Temp(why) => Finding::new(Outcome::TempError, why),
        Stop::Perm(why) => Finding::new(Outcome::PermError, why),
    });
    let explanation = match (finding.outcome, finding.explanation) {
        (Outcome::Fail, Some((spec, domain))) => run.explain(&spec, &domain),
        _ => None,
    };
    Verdict { outcome: finding.outcome, domain: domain.to_owned(), helo, explanation, reason: finding.reason }
}

/// The state of one check.
struct Run<'a> {
    dns: &'a dyn Resolve,
    client: &'a Client<'a>,
    ip: IpAddr,
    local: String,
    sender_domain: String,
    lookups: u32,
    voids: u32,
    /// Confirmed names of the client, looked up at most once.
    names: Option<Vec<Name>>,
    /// The current `<domain>`; include and redirect change it.
    domain: String,
}

impl Run<'_> {
    /// 4: the result for one domain, as seen by the caller of this level.
    fn check_host(&mut self, domain: &str) -> Result<Finding, Stop> {
        let Some(name) = multi_label(domain) else {
            return Ok(Finding::new(Outcome::None, format!("{}: no domain to check", shown(domain))));
        };
        let answer = self.dns.query(&name, Type::Txt).map_err(|e| Stop::Temp(format!("{name}: {e}")))?;
        let mut records = answer.records.iter().filter_map(text).filter(|t| is_spf(t));
        let Some(record) = records.next() else {
            return Ok(Finding::new(Outcome::None, format!("{name}: no SPF record")));
        };
        // 4.5: more than one is an error
        if records.next().is_some() {
            return Err(Stop::Perm(format!("{name}: several SPF records")));
        }
        let record = Record::parse(record).map_err(|e| Stop::Perm(format!("{name}: {e}")))?;
        let outer = std::mem::replace(&mut self.domain, domain.to_owned());
        let finding = self.evaluate(&record);
        self.domain = outer;
        finding
    }

    fn evaluate(&mut self, record: &Record) -> Result<Finding, Stop> {
        for directive in &record.directives {
            if self.matches(directive)? {
                let mut finding = Finding::new(directive.qualifier, format!("{} of {}", directive.text, self.domain));
                finding.explanation = record.explanation.clone().map(|spec| (spec, self.domain.clone()));
                return Ok(finding);
            }
        }
        let Some(target) = &record.redirect else {
            return Ok(Finding::new(Outcome::Neutral, format!("nothing of {} matches", self.domain))); // 4.7
        };
        self.count_lookup()?;
        let target = target.expand_domain(self);
        match self.check_host(&target)? {
            // 6.1: no record at the target is an error of the one who points there
            Finding { outcome: Outcome::None, reason, .. } => Err(Stop::Perm(reason)),
            finding => Ok(finding),
        }
    }

    fn matches(&mut self, directive: &Directive) -> Result<bool, Stop> {
        match &directive.mechanism {
            Mechanism::All => Ok(true),
            Mechanism::Ip(network, length) => Ok(within(self.ip, *network, *length)),
            asks => {
                self.count_lookup()?;
                match asks {
                    Mechanism::Include(spec) => self.include(spec),
                    Mechanism::A(spec, cidr) => self.a(spec.as_ref(), *cidr),
                    Mechanism::Mx(spec, cidr) => self.mx(spec.as_ref(), *cidr),
                    Mechanism::Ptr(spec) => self.ptr(spec.as_ref()),
                    Mechanism::Exists(spec) => self.exists(spec),
                    Mechanism::All | Mechanism::Ip(..) => Ok(false),
                }
            }
        }
    }

    /// 4.6.4: one more term that asks the DNS.
    fn count_lookup(&mut self) -> Result<(), Stop> {
        self.lookups += 1;
        if self.lookups > LOOKUPS_MAX { Err(Stop::Perm("more than 10 DNS look-ups".into())) } else { Ok(()) }
    }

    /// The target-name of a mechanism (4.8).
    fn target(&mut self, spec: Option<&MacroString>) -> String {
        match spec {
            Some(spec) => spec.expand_domain(self),
            None => self.domain.clone(),
        }
    }

    /// One look-up of a term. A name that can't exist has no records, and asking costs nothing.
    fn ask(&mut self, name: &str, kind: Type) -> Result<Vec<Data>, Stop> {
        let answer = match self.dns.lookup(name, kind) {
            Ok(answer) => answer,
            Err(Error::BadName) => return Ok(Vec::new()),
            Err(error) => return Err(Stop::Temp(format!("{}: {error}", shown(name)))),
        };
        if answer.is_empty() {
            self.count_void()?;
        }
        Ok(answer.records)
    }

    fn count_void(&mut self) -> Result<(), Stop> {
        self.voids += 1;
        if self.voids > VOIDS_MAX { Err(Stop::Perm("more than 2 look-ups in vain".into())) } else { Ok(()) }
    }

    /// A for an IPv4 client, AAAA for an IPv6 one (5).
    fn family(&self) -> Type {
        if self.ip.is_ipv4() { Type::A } else { Type::Aaaa }
    }

    fn any_within(&self, records: &[Data], cidr: DualCidr) -> bool {
        let length = if self.ip.is_ipv4() { cidr.v4 } else { cidr.v6 };
        records.iter().filter_map(Data::address).any(|address| within(self.ip, address, length))
    }

    /// 5.2
    fn include(&mut self, spec: &MacroString) -> Result<bool, Stop> {
        let target = spec.expand_domain(self);
        let Finding { outcome, reason, .. } = self.check_host(&target)?;
        match outcome {
            Outcome::Pass => Ok(true),
            Outcome::Fail | Outcome::SoftFail | Outcome::Neutral => Ok(false),
            Outcome::TempError => Err(Stop::Temp(reason)),
            Outcome::PermError | Outcome::None => Err(Stop::Perm(reason)),
        }
    }

    /// 5.3
    fn a(&mut self, spec: Option<&MacroString>, cidr: DualCidr) -> Result<bool, Stop> {
        let target = self.target(spec);
        let records = self.ask(&target, self.family())?;
        Ok(self.any_within(&records, cidr))
    }

    /// 5.4; no MX record means no match, never an implicit one
    fn mx(&mut self, spec: Option<&MacroString>, cidr: DualCidr) -> Result<bool, Stop> {
        let target = self.target(spec);
        let hosts = self.ask(&target, Type::Mx)?;
        if hosts.len() > NAMES_MAX {
            return Err(Stop::Perm(format!("{}: more than 10 MX hosts", shown(&target)))); // 4.6.4
        }
        for host in hosts {
            let Data::Mx(_, host) = host else { continue };
            if host.is_root() {
                continue; // RFC 7505: no host at all
            }
            // Hosts without address don't count as void: the limit is on terms (4.6.4).
            let found = self.dns.query(&host, self.family()).map_err(|e| Stop::Temp(format!("{host}: {e}")))?;
            if self.any_within(&found.records, cidr) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// 5.5
    fn ptr(&mut self, spec: Option<&MacroString>) -> Result<bool, Stop> {
        let target = self.target(spec);
        let Ok(target) = Name::parse(&target) else { return Ok(false) };
        let names = self.confirmed_names(true)?;
        Ok(names.iter().any(|name| name.is_within(&target)))
    }

    /// 5.7; always type A
    fn exists(&mut self, spec: &MacroString) -> Result<bool, Stop> {
        let target = spec.expand_domain(self);
        Ok(!self.ask(&target, Type::A)?.is_empty())
    }

    /// 5.5: names of the client that lead back to it. Failures of these look-ups only mean "no match".
    fn confirmed_names(&mut self, term: bool) -> Result<Vec<Name>, Stop> {
        if let Some(names) = &self.names {
            return Ok(names.clone());
        }
        let found = self.dns.query(&reverse_name(self.ip), Type::Ptr);
        if term && found.as_ref().is_ok_and(Answer::is_empty) {
            self.count_void()?;
        }
        let records = found.map(|answer| answer.records).unwrap_or_default();
        let names: Vec<Name> = records
            .into_iter()
            .filter_map(|data| if let Data::Ptr(name) = data { Some(name) } else { None })
            .take(NAMES_MAX)
            .filter(|name| self.leads_back(name))
            .collect();
        self.names = Some(names.clone());
        Ok(names)
    }

    fn leads_back(&self, name: &Name) -> bool {
        let answer = self.dns.query(name, self.family());
        answer.is_ok_and(|a| a.records.iter().any(|d| d.address() == Some(self.ip)))
    }

    /// 6.2: the text a domain gives for its `fail`; anything odd about it means there is none.
    fn explain(&mut self, spec: &MacroString, domain: &str) -> Option<String> {
        self.domain = domain.to_owned();
        let target = spec.expand_domain(self);
        let answer = self.dns.lookup(&target, Type::Txt).ok()?;
        let [Data::Txt(text)] = answer.records.as_slice() else { return None };
        let text = std::str::from_utf8(text).ok().filter(|t| t.is_ascii())?;
        let expanded = MacroString::parse(text, Place::Explanation).ok()?.expand(self);
        // Macro values come from the client: only printable ASCII gets into a reply.
        let clean: String = expanded.chars().filter(|c| matches!(c, ' '..='~')).take(EXPLANATION_MAX).collect();
        Some(clean).filter(|text| !text.is_empty())
    }

    /// The `p` macro (7.3): a name equal to the domain, else below it, else any.
    fn client_name(&mut self) -> String {
        let names = self.confirmed_names(false).unwrap_or_default();
        let best = Name::parse(&self.domain).ok().and_then(|domain| {
            let equal = names.iter().find(|n| **n == domain);
            equal.or_else(|| names.iter().find(|n| n.is_within(&domain)))
        });
        best.or(names.first()).map_or_else(|| "unknown".to_owned(), Name::to_string)
    }
}

impl Values for Run<'_> {
    fn value(&mut self, letter: char) -> String {
        match letter {
            's' => format!("{}@{}", self.local, self.sender_domain),
            'l' => self.local.clone(),
            'o' => self.sender_domain.clone(),
            'd' => self.domain.clone(),
            'i' => ip_text(self.ip),
            'p' => self.client_name(),
            'v' => if self.ip.is_ipv4() { "in-addr" } else { "ip6" }.to_owned(),
            'h' => self.client.helo.to_owned(),
            'c' => self.ip.to_string(),
            'r' if self.client.receiver.is_empty() => "unknown".to_owned(),
            'r' => self.client.receiver.to_owned(),
            't' => self.client.now.to_string(),
            _ => String::new(), // the parser lets no other letter through
        }
    }
}

/// 4.3: a well-formed name of more than one label; an address literal is none.
fn multi_label(domain: &str) -> Option<Name> {
    let name = Name::parse(domain).ok()?;
    (name.label_count() > 1 && !domain.starts_with('[')).then_some(name)
}

fn text(data: &Data) -> Option<&Vec<u8>> {
    if let Data::Txt(text) = data { Some(text) } else { None }
}

/// Foreign text for a reason.
fn shown(text: &str) -> String {
    text.chars().take(100).flat_map(char::escape_debug).collect()
}

/// Whether an address lies in a network of the same family.
fn within(ip: IpAddr, network: IpAddr, length: u8) -> bool {
    match (ip, network) {
        (IpAddr::V4(a), IpAddr::V4(b)) => {
            let differ = a.to_bits() ^ b.to_bits();
            differ.checked_shr(32 - u32::from(length.min(32))).unwrap_or(0) == 0
        }
        (IpAddr::V6(a), IpAddr::V6(b)) => {
            let differ = a.to_bits() ^ b.to_bits();
            differ.checked_shr(128 - u32::from(length.min(128))).unwrap_or(0) == 0
        }
        _ => false,
    }
}
