//! Sweeps over the queue for a control request: which entries, what is shown, what is done with each.

use crate::entry::Wanted;
use crate::runner::{Runner, now};
use penny_base::log;
use penny_base::services::escape::split;
use penny_queue::active::Active;
use penny_queue::entry::{Opened, open_entry, parse_cur};
use penny_queue::envelope::Address;
use penny_queue::journal::{Target, Verdict};
use penny_queue::json::Object;
use penny_queue::{Envelope, Name};
use std::collections::BTreeMap;
use std::io;
use std::time::{Duration, Instant};

/// Time for one portion of a sweep.
const PORTION: Duration = Duration::from_millis(5);
/// Recipients shown in a listing.
const SHOWN_MAX: usize = 20;

/// A request taken apart.
#[derive(Debug, Default, Clone)]
pub struct Request {
    /// What to do.
    pub verb: String,
    /// Entries by name; empty means all that match.
    pub ids: Vec<Name>,
    /// Who asks; `None` may do all.
    pub uid: Option<u32>,
    sender: Option<String>,
    recipient: Option<String>,
    domain: Option<String>,
    state: Option<String>,
    reason: Option<String>,
    older: Option<u64>,
    younger: Option<u64>,
    all: bool,
}

/// Verbs that change nothing.
const READING: [&str; 4] = ["list", "show", "summary", "status"];
/// Verbs for admins.
const CHANGING: [&str; 7] = ["cat", "hold", "release", "retry", "remove", "bounce", "requeue"];

impl Request {
    /// Reads a request line.
    pub fn parse(line: &str, uid: Option<u32>) -> Result<Request, String> {
        let mut fields = split(line).into_iter();
        let verb = fields.next().unwrap_or_default();
        let mut r = Request { verb, uid, ..Request::default() };
        if CHANGING.contains(&r.verb.as_str()) && uid.is_some() {
            return Err("not permitted".into());
        }
        if !CHANGING.contains(&r.verb.as_str()) && !READING.contains(&r.verb.as_str()) {
            return Err(format!("unknown request {}", r.verb));
        }
        for field in fields {
            r.take(&field)?;
        }
        if CHANGING.contains(&r.verb.as_str()) && !r.selects() {
            return Err("which entries? give an id, a filter or all".into());
        }
        Ok(r)
    }

    fn take(&mut self, field: &str) -> Result<(), String> {
        let (key, value) = field.split_once('=').unwrap_or((field, ""));
        let seconds = || value.parse::<u64>().map_err(|_| format!("{key}: not a number of seconds"));
        match key {
            "id" => self.ids.push(value.parse().map_err(|_| format!("{value}: not an entry name"))?),
            "sender" => self.sender = Some(value.to_lowercase()),
            "recipient" => self.recipient = Some(value.to_lowercase()),
            "domain" => self.domain = Some(value.to_lowercase()),
            "state" => self.state = Some(value.to_owned()),
            "reason" => self.reason = Some(value.to_lowercase()),
            "older" => self.older = Some(seconds()?),
            "younger" => self.younger = Some(seconds()?),
            "all" => self.all = true,
            _ => return Err(format!("unknown filter {key}")),
        }
        Ok(())
    }

    fn selects(&self) -> bool {
        let some = [&self.sender, &self.recipient, &self.domain, &self.state, &self.reason].iter().any(|f| f.is_some());
        self.all || some || !self.ids.is_empty() || self.older.is_some() || self.younger.is_some()
    }

    /// Whether an entry must be read to see if it is meant.
    fn needs_content(&self) -> bool {
        let texts =
            [&self.sender, &self.recipient, &self.domain, &self.state, &self.reason].iter().any(|f| f.is_some());
        texts || self.uid.is_some() || self.older.is_some() || self.younger.is_some()
    }

    fn matches(&self, s: &Seen<'_>, time: u64) -> bool {
        let envelope = s.active.envelope();
        let age = time.saturating_sub(envelope.arrival.0);
        let is = |filter: &Option<String>, test: &dyn Fn(&str) -> bool| filter.as_deref().is_none_or(test);
        self.uid.is_none_or(|uid| envelope.client_uid == Some(uid))
            && is(&self.sender, &|f| address_is(&envelope.sender.address, f))
            && is(&self.recipient, &|f| envelope.recipients.iter().any(|r| address_is(&r.address, f)))
            && is(&self.domain, &|f| domains(s.active).any(|d| d == f))
            && is(&self.state, &|f| s.state == f)
            && is(&self.reason, &|f| {
                s.active.state().outcomes.values().any(|o| o.text.as_str().to_lowercase().contains(f))
            })
            && self.older.is_none_or(|f| age > f)
            && self.younger.is_none_or(|f| age < f)
    }
}

/// `user@domain` exactly, `@domain` for all of a domain, `<>` for the null sender.
fn address_is(address: &Address, filter: &str) -> bool {
    match filter.strip_prefix('@') {
        _ if filter == "<>" => address.is_empty(),
        Some(domain) => address.domain() == domain,
        None => address.as_str().to_lowercase() == filter,
    }
}

/// Domains the entry still has to go to.
fn domains(active: &Active) -> impl Iterator<Item = String> + '_ {
    let of = |text: &str| Address::new(text).map(|a| a.domain()).unwrap_or_default();
    let open =
        active.open_targets().into_iter().filter_map(move |t| active.resolved(t)).map(move |r| of(r.value.as_str()));
    let raw = active.unresolved().into_iter().filter_map(|rcpt| active.recipient(Target { rcpt, result: 0 }));
    open.chain(raw.map(|r| r.address.domain()))
}

/// An entry as a sweep sees it.
struct Seen<'a> {
    active: &'a Active,
    state: &'static str,
    due: u64,
}

/// Where an entry lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    New,
    Cur,
    Held,
}

/// A request being worked off.
#[derive(Debug)]
pub struct Sweep {
    request: Request,
    names: std::vec::IntoIter<(Place, Name)>,
    /// Answer lines not yet handed on.
    pub output: String,
    /// Entries that matched.
    pub count: usize,
    /// Entries whose running deliveries have to end first.
    pub awaited: Vec<u64>,
    summary: BTreeMap<String, [u64; AGES.len() + 1]>,
    changed: bool,
}

/// Bounds of the ages of a summary in seconds.
const AGES: [u64; 7] = [300, 1200, 3600, 4 * 3600, 16 * 3600, 86_400, 3 * 86_400];

impl Runner {
    /// Finds the names a request is about; envelopes are read later, a portion at a time.
    pub fn begin_sweep(&mut self, request: Request) -> Result<Sweep, String> {
        let names = if request.ids.is_empty() { self.all_names() } else { Ok(self.places_of(&request.ids)) };
        let names = names.map_err(|e| format!("cannot read the queue: {e}"))?;
        if !request.ids.is_empty() && names.is_empty() {
            return Err("no such entry".into());
        }
        if request.verb == "retry" {
            // a pause ends where a try is asked for
            let domain = request.domain.clone();
            let sites: Vec<&str> = domain.as_deref().map(|d| self.sites.of_domain(d).collect()).unwrap_or_default();
            let matches = |text: &str| domain.as_deref().is_none_or(|d| text == d || sites.contains(&text));
            self.plan.retry_now(matches, self.steady());
        }
        Ok(Sweep {
            request,
            names: names.into_iter(),
            output: String::new(),
            count: 0,
            awaited: Vec::new(),
            summary: BTreeMap::new(),
            changed: false,
        })
    }

    fn all_names(&self) -> io::Result<Vec<(Place, Name)>> {
        let mut names: Vec<_> = self.queue.list("new")?.0.into_iter().map(|n| (Place::New, n)).collect();
        for item in std::fs::read_dir(self.queue.dir("cur"))? {
            if let Some((name, held)) = parse_cur(&item?.file_name()) {
                names.push((if held { Place::Held } else { Place::Cur }, name));
            }
        }
        names.sort_by(|a, b| a.1.cmp(&b.1));
        Ok(names)
    }

    fn places_of(&self, ids: &[Name]) -> Vec<(Place, Name)> {
        let place = |name: &Name| {
            let q = &self.queue;
            let places = [
                (Place::Cur, q.cur_path(name, false)),
                (Place::Held, q.cur_path(name, true)),
                (Place::New, q.new_path(name)),
            ];
            places.into_iter().find(|(_, path)| path.exists()).map(|(place, _)| place)
        };
        ids.iter().filter_map(|n| place(n).map(|p| (p, n.clone()))).collect()
    }

    /// Works off a portion; true when the sweep is over.
    pub fn proceed(&mut self, sweep: &mut Sweep) -> bool {
        let end = Instant::now() + PORTION;
        while Instant::now() < end {
            let Some((place, name)) = sweep.names.next() else {
                self.end_sweep(sweep);
                return true;
            };
            self.look_at(sweep, place, &name);
        }
        false
    }

    fn look_at(&mut self, sweep: &mut Sweep, place: Place, name: &Name) {
        let time = now();
        let slot = self.slots.get(name).copied();
        if CHANGING.contains(&sweep.request.verb.as_str()) && !sweep.request.needs_content() {
            return self.change_one(sweep, place, name, slot);
        }
        let from_disk;
        let active = match slot.and_then(|s| self.entries.get(&s)) {
            Some(entry) => &entry.active,
            None => match self.read_active(place, name) {
                Some(active) => {
                    from_disk = active;
                    &from_disk
                }
                None => return, // gone meanwhile, or to be set aside when its turn comes
            },
        };
        let state = match place {
            Place::New => "new",
            Place::Held => "held",
            Place::Cur if slot.is_some() => "active",
            Place::Cur => "waiting",
        };
        let due = self.waiting.due(name).unwrap_or(time);
        let seen = Seen { active, state, due };
        if !sweep.request.matches(&seen, time) {
            return;
        }
        sweep.count += 1;
        match sweep.request.verb.as_str() {
            "list" => push_line(&mut sweep.output, &listing(&seen, SHOWN_MAX)),
            "show" => push_line(&mut sweep.output, &listing(&seen, usize::MAX)),
            "summary" => summarise(&mut sweep.summary, &seen, time),
            _ => {
                sweep.count -= 1;
                self.change_one(sweep, place, name, slot);
            }
        }
    }

    fn change_one(&mut self, sweep: &mut Sweep, place: Place, name: &Name, slot: Option<u64>) {
        let verb = sweep.request.verb.clone();
        if self.change(&verb, place, name, slot, &mut sweep.awaited) {
            sweep.changed = true;
            sweep.count += 1;
        }
    }

    fn read_active(&self, place: Place, name: &Name) -> Option<Active> {
        let path = match place {
            Place::New => self.queue.new_path(name),
            Place::Cur => self.queue.cur_path(name, false),
            Place::Held => self.queue.cur_path(name, true),
        };
        let Opened { envelope, .. } = open_entry(&path).ok()?;
        let journal = std::fs::read(self.queue.log_path(name)).unwrap_or_default();
        Active::new(name.clone(), envelope, &journal).ok()
    }

    /// Does it; false where the verb means nothing for an entry in this state.
    fn change(&mut self, verb: &str, place: Place, name: &Name, slot: Option<u64>, awaited: &mut Vec<u64>) -> bool {
        let done = match (verb, place, slot) {
            ("hold", Place::Cur, Some(slot)) => self.want(slot, Wanted::Hold, awaited),
            ("remove", Place::Cur, Some(slot)) => self.want(slot, Wanted::Remove, awaited),
            ("bounce", Place::Cur, Some(slot)) => self.want(slot, Wanted::Bounce, awaited),
            ("hold", Place::Cur, None) => self.unqueue(name).and_then(|()| self.queue.set_held(name, true)),
            ("hold", Place::New, _) => self.queue.take(name, true),
            ("release", Place::Held, _) => self.release(name),
            ("retry", Place::Cur, None) => {
                self.forced.insert(name.clone());
                self.put_off(name.clone(), now());
                Ok(())
            }
            ("requeue", Place::Cur | Place::Held, None) => self.requeue(place, name),
            ("requeue", Place::Cur, Some(slot)) => self.want(slot, Wanted::Requeue, awaited),
            ("remove", Place::Cur, None) => self.unqueue(name).and_then(|()| self.drop_entry(name, false)),
            ("remove", Place::Held, _) => self.drop_entry(name, true),
            ("remove", Place::New, _) => self.queue.take(name, true).and_then(|()| self.drop_entry(name, true)),
            ("bounce", Place::Cur | Place::Held | Place::New, None) => self.give_back(place, name, awaited),
            ("retry", Place::Cur | Place::New, _) => Ok(()), // under way
            _ => return false,
        };
        match done {
            Ok(()) => log::info("admin", Some(name.as_str()), &[("verb", &verb)]),
            Err(e) => log::error("admin-failed", Some(name.as_str()), &[("verb", &verb), ("error", &e)]),
        }
        true
    }

    /// Asks for something that has to wait for running deliveries; those not yet started are called off.
    fn want(&mut self, slot: u64, wanted: Wanted, awaited: &mut Vec<u64>) -> io::Result<()> {
        let called_off = self.plan.remove_entry(slot, self.steady()).len();
        if let Some(entry) = self.entries.get_mut(&slot) {
            entry.jobs = entry.jobs.saturating_sub(called_off);
            entry.wanted = wanted;
        }
        awaited.push(slot);
        self.round_over(slot);
        Ok(())
    }

    fn unqueue(&mut self, name: &Name) -> io::Result<()> {
        self.waiting.remove(name);
        self.forced.remove(name);
        Ok(())
    }

    fn release(&mut self, name: &Name) -> io::Result<()> {
        self.queue.set_due(name, true, now())?;
        self.queue.set_held(name, false)?;
        self.waiting.insert(now(), name.clone());
        Ok(())
    }

    /// Aliases and routes are looked up again for what is left, at once.
    fn requeue(&mut self, place: Place, name: &Name) -> io::Result<()> {
        if place == Place::Held {
            self.queue.set_held(name, false)?;
        }
        self.unqueue(name)?;
        self.load_wanted(name.clone(), Wanted::Requeue);
        Ok(())
    }

    fn drop_entry(&mut self, name: &Name, held: bool) -> io::Result<()> {
        self.queue.unlink(name, held)?;
        self.pending.unlinked.push((name.clone(), true));
        self.pending.touch();
        Ok(())
    }

    /// Brings an entry into memory and fails what is left of it.
    fn give_back(&mut self, place: Place, name: &Name, awaited: &mut Vec<u64>) -> io::Result<()> {
        match place {
            Place::New => self.queue.take(name, false)?,
            Place::Held => self.queue.set_held(name, false)?,
            Place::Cur => self.unqueue(name)?,
        }
        if let Some(slot) = self.load_wanted(name.clone(), Wanted::Bounce) {
            awaited.push(slot);
        }
        Ok(())
    }

    fn end_sweep(&mut self, sweep: &mut Sweep) {
        if sweep.changed
            && let Err(e) = self.queue.sync("cur").and_then(|()| self.queue.sync("new"))
        {
            log::error("sync-failed", None, &[("what", &"cur"), ("error", &e)]);
        }
        for (domain, counts) in std::mem::take(&mut sweep.summary) {
            push_line(&mut sweep.output, &summary_line(&domain, &counts));
        }
    }
}

fn push_line(out: &mut String, object: &str) {
    out.push_str(object);
    out.push('\n');
}

fn summarise(summary: &mut BTreeMap<String, [u64; AGES.len() + 1]>, seen: &Seen<'_>, time: u64) {
    let age = time.saturating_sub(seen.active.envelope().arrival.0);
    let column = AGES.iter().position(|bound| age < *bound).unwrap_or(AGES.len());
    for domain in domains(seen.active) {
        if let Some(cell) = summary.entry(domain).or_default().get_mut(column) {
            *cell += 1;
        }
    }
}

fn summary_line(domain: &str, counts: &[u64]) -> String {
    let ages = AGES.iter().copied().chain([0]).zip(counts);
    let cells = ages.map(|(below, n)| Object::new().number("below", below).number("recipients", *n));
    Object::new().text("domain", domain).number("recipients", counts.iter().sum()).array("ages", cells).finish()
}

fn listing(seen: &Seen<'_>, shown: usize) -> String {
    let (active, envelope) = (seen.active, seen.active.envelope());
    let reason = active.state().outcomes.values().filter(|o| o.verdict == Verdict::Later).max_by_key(|o| o.time);
    Object::new()
        .text("id", active.name().as_str())
        .text("state", seen.state)
        .number("arrival", envelope.arrival.0)
        .number("due", seen.due)
        .number("size", envelope.size)
        .text("sender", envelope.sender.address.as_str())
        .maybe("login", envelope.login.as_ref().map(|l| l.as_str()))
        .maybe("client", envelope.client_ip.as_ref().map(|l| l.as_str()))
        .maybe("hold", envelope.hold.as_ref().map(|l| l.as_str()))
        .number("attempts", u64::from(active.state().attempts))
        .number("recipient_count", envelope.recipients.len() as u64)
        .maybe("reason", reason.map(|o| o.text.as_str()))
        .array("recipients", recipients(active, envelope).take(shown))
        .finish()
}

/// Each resulting recipient with what is known of it.
fn recipients<'a>(active: &'a Active, envelope: &'a Envelope) -> impl Iterator<Item = Object> + 'a {
    envelope.recipients.iter().zip(0u32..).flat_map(move |(recipient, rcpt)| {
        let results = active.state().expanded.get(&rcpt).map_or(1, |r| r.len());
        (0..u32::try_from(results).unwrap_or(u32::MAX)).map(move |result| {
            let target = Target { rcpt, result };
            let outcome = active.state().outcomes.get(&target);
            let to = active.resolved(target).map(|r| r.value.as_str()).filter(|v| *v != recipient.address.as_str());
            Object::new()
                .text("address", recipient.address.as_str())
                .maybe("to", to)
                .text("state", outcome.map_or("open", |o| o.verdict.word()))
                .maybe("status", outcome.map(|o| o.status.as_str()))
                .maybe("mta", outcome.and_then(|o| o.mta.as_ref()).map(|m| m.as_str()))
                .maybe("text", outcome.map(|o| o.text.as_str()))
        })
    })
}
