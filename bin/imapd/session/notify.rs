//! NOTIFY: telling the client of changes while it says nothing, in the selected mailbox and in others.
//!
//! Standards   RFC 5465
//! Invariants  1. nothing is sent in the middle of a command   2. of the groups that fit a mailbox the first counts
//!             3. the kernel's watches only wake; what is told comes from comparing with what was told last
//! Failures    where watches are used up, or on a network file system, mailboxes are looked at every [`LOOK_EVERY`]
use super::answer::Answer;
use super::mailboxes::Filter;
use super::spaces::Place;
use super::{Flow, Next, Session, io};
use crate::conn::Got;
use penny_imap::command::StatusItem;
use penny_imap::command::notify::{Events, NotifySet};
use penny_imap::command::sources::Source;
use penny_imap::{Code, write};
use penny_maildir::annotation::Values;
use penny_maildir::{Guid, Status};
use penny_sys::poll::Watch;
use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How often to look where no watch tells.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// After a change, one more look: a second change within a clock tick may hide behind the first.
const LOOK_AGAIN: Duration = Duration::from_millis(150);
/// Mailboxes watched by one session.
const FOLDERS_MAX: usize = 5000;
/// Events that can be asked for.
const EVENTS: &str =
    "MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange MailboxMetadataChange ServerMetadataChange";

/// What was told last of a mailbox.
#[derive(Clone, Default)]
struct Known {
    guid: Guid,
    status: Status,
    subscribed: bool,
    annotations: Values,
}

/// What the client wants to hear of, and how things stood.
pub struct Notify {
    /// Of the selected mailbox; `None`: as without NOTIFY.
    pub selected: Option<Events>,
    /// Expunges wait for a command that allows them.
    pub delayed: bool,
    groups: Vec<(Filter, Events)>,
    known: BTreeMap<Place, Known>,
    server: Values,
    watch: Option<Watch>,
    again: bool,
    looked: Instant,
}

impl Session {
    pub(super) fn notify(&mut self, set: Option<&NotifySet>) -> Answer {
        let Some(set) = set else {
            self.notify = None;
            return Answer::ok("NOTIFY completed");
        };
        if set.groups.iter().any(|(_, e)| e.unknown) {
            return Answer::no(Code::BadEvent(EVENTS), "Event not known");
        }
        let mut notify = match self.new_notify(set) {
            Ok(notify) => notify,
            Err(no) => return no,
        };
        let (known, server) = self.how_it_is(&notify, &BTreeMap::new());
        if known.len() > FOLDERS_MAX {
            return Answer::no(Code::NotificationOverflow, "Too many mailboxes");
        }
        notify.watch = self.watch_all(&known);
        if set.status {
            self.tell_initial(&notify, &known);
        }
        (notify.known, notify.server) = (known, server);
        self.notify = Some(notify);
        Answer::ok("NOTIFY completed")
    }

    fn new_notify(&self, set: &NotifySet) -> Result<Notify, Answer> {
        let mut notify = Notify {
            selected: None,
            delayed: false,
            groups: Vec::new(),
            known: BTreeMap::new(),
            server: Values::new(),
            watch: None,
            again: false,
            looked: Instant::now(),
        };
        for (source, events) in &set.groups {
            if matches!(source, Source::Selected | Source::SelectedDelayed) {
                notify.selected = Some(events.clone());
                notify.delayed = *source == Source::SelectedDelayed;
                continue;
            }
            notify.groups.push((self.filter(source)?, events.clone()));
        }
        Ok(notify)
    }

    /// All folders that some group fits, as they are now. A folder that cannot be read now counts as unchanged.
    fn how_it_is(&self, notify: &Notify, before: &BTreeMap<Place, Known>) -> (BTreeMap<Place, Known>, Values) {
        let subscribed = self.spaces.subscriptions().unwrap_or_default();
        let mut all = BTreeMap::new();
        for place in self.spaces.list().unwrap_or_default().into_iter().filter(|f| f.selectable).map(|f| f.place) {
            let readable = place.is_own() || self.demand(&place, "r").is_ok();
            if let Some(events) = notify.events(&place, &subscribed).filter(|_| readable) {
                let was = before.get(&place).cloned().unwrap_or_default();
                let status = self.folder_status(&place, &[]).unwrap_or(was.status);
                let annotations = match events.metadata && place.is_own() {
                    true => self.spaces.own.annotations(&place.folder).and_then(|a| a.all()).unwrap_or(was.annotations),
                    false => Values::new(),
                };
                let subscribed = subscribed.contains(&place);
                all.insert(place, Known { guid: status.guid, status, subscribed, annotations });
            }
        }
        let wanted = notify.groups.iter().any(|(_, e)| e.server_metadata);
        let server =
            if wanted { self.spaces.own.server_annotations().all().unwrap_or_default() } else { Values::new() };
        (all, server)
    }

    /// Watches the root and all folders concerned, the selected one too.
    fn watch_all(&self, known: &BTreeMap<Place, Known>) -> Option<Watch> {
        let own = self.selected.as_ref().map(|s| &s.place);
        let dirs = known.keys().chain(own).filter_map(|p| self.spaces.store(p).maildir(&p.folder).ok());
        let mut paths: Vec<PathBuf> = dirs.flat_map(|d| [d.path().to_path_buf(), d.cur_dir(), d.new_dir()]).collect();
        paths.push(self.spaces.own.root().path().to_path_buf());
        let paths: Vec<&std::path::Path> = paths.iter().map(PathBuf::as_path).collect();
        Watch::folder(&paths).ok()
    }

    /// Another mailbox has been selected: it has to be watched as well.
    pub(super) fn notify_selection(&mut self) {
        if let Some(mut notify) = self.notify.take() {
            notify.watch = self.watch_all(&notify.known);
            self.notify = Some(notify);
        }
    }

    /// Waits for the client's next words, telling changes meanwhile.
    pub(super) fn notify_wait(&mut self) -> Flow {
        let end = Instant::now() + self.timeout();
        loop {
            if let Some(lost) = self.notify_look() {
                self.untagged(&format!("BYE {lost}"));
                return Ok(Next::Leave);
            }
            self.conn.flush().map_err(io)?;
            self.build_index();
            self.release();
            self.report_usage();
            let mut buffer = Vec::new();
            match self.wait_watched(end, &mut buffer)? {
                Got::Input => {
                    self.reader.feed(&buffer);
                    return Ok(Next::Go);
                }
                Got::Timeout if end <= Instant::now() => {
                    self.untagged("BYE Idle for too long");
                    return Ok(Next::Leave);
                }
                Got::Other | Got::Timeout => {}
                Got::End => return Ok(Next::Leave),
            }
        }
    }

    /// One wait, no longer than until the next look is due.
    pub(super) fn wait_watched(&mut self, end: Instant, buffer: &mut Vec<u8>) -> Result<Got, penny_base::Failure> {
        let left = end.saturating_duration_since(Instant::now());
        let recheck = self.selected.as_ref().and_then(|s| s.mailbox.recheck_after());
        let (watch, again) = self.notify.as_ref().map_or((None, false), |n| (n.watch.as_ref(), n.again));
        let look = match watch {
            None => Some(LOOK_EVERY),
            Some(_) => again.then_some(LOOK_AGAIN).into_iter().chain(recheck).min(),
        };
        let limit = look.map_or(left, |l| l.min(left));
        // what the watch has seen is taken by the look
        self.conn.wait(watch.map(AsFd::as_fd), limit, buffer).map_err(io)
    }

    /// Tells all that has changed; gives a text when the session cannot go on.
    pub(super) fn notify_look(&mut self) -> Option<String> {
        let own = self.notify.as_ref().and_then(|n| n.selected.as_ref().map(|e| (e.messages, n.delayed)));
        if let Some((true, delayed)) = own
            && let Some(lost) = self.sync(!delayed)
        {
            return Some(lost);
        }
        let mut notify = self.notify.take()?;
        if notify.is_due() && !notify.groups.is_empty() {
            self.look_at_others(&mut notify);
        }
        self.notify = Some(notify);
        None
    }

    fn look_at_others(&mut self, notify: &mut Notify) {
        let (mut now, server) = self.how_it_is(notify, &notify.known);
        let subscribed: Vec<Place> = now.iter().filter(|(_, k)| k.subscribed).map(|(f, _)| f.clone()).collect();
        let gone: Vec<Place> = notify.known.keys().filter(|f| !now.contains_key(f)).cloned().collect();
        let same_names = gone.is_empty() && now.len() == notify.known.len();
        let mut changed = !same_names;
        for (place, is) in &now {
            let Some(events) = notify.events(place, &subscribed).cloned() else { continue };
            let was = match notify.known.get(place) {
                Some(was) => was.clone(),
                None => {
                    self.tell_new_name(&events, place, is, &gone, &notify.known);
                    Known { guid: is.guid, subscribed: is.subscribed, ..Known::default() }
                }
            };
            changed |= self.tell_changes(&events, place, &was, is);
        }
        let renamed = |f: &Place| {
            let guid = notify.known.get(f).map(|k| k.guid);
            now.iter().any(|(n, k)| Some(k.guid) == guid && !notify.known.contains_key(n))
        };
        for place in gone.iter().filter(|f| !renamed(f)) {
            if notify.events(place, &subscribed).is_some_and(|e| e.names) && !self.spaces.exists(place) {
                self.tell_list("LIST", place, "\\NonExistent", "");
            }
        }
        if server != notify.server {
            self.tell_entries(None, &notify.server, &server);
        }
        notify.again = changed;
        notify.looked = Instant::now();
        if !same_names {
            notify.watch = self.watch_all(&now);
        }
        std::mem::swap(&mut notify.known, &mut now);
        notify.server = server;
    }

    /// RFC 5465 5.4: a mailbox that is new, or has got another name.
    fn tell_new_name(
        &mut self,
        events: &Events,
        place: &Place,
        is: &Known,
        gone: &[Place],
        known: &BTreeMap<Place, Known>,
    ) {
        if !events.names {
            return;
        }
        let old = gone.iter().find(|g| known.get(g).is_some_and(|k| k.guid == is.guid));
        let extended = old.map_or_else(String::new, |old| {
            let mut name = Vec::new();
            write::mailbox(&mut name, &self.shown(old));
            format!(" (\"OLDNAME\" ({}))", String::from_utf8_lossy(&name))
        });
        self.tell_list("LIST", place, if is.subscribed { "\\Subscribed" } else { "" }, &extended);
    }

    /// True when something was told.
    fn tell_changes(&mut self, events: &Events, place: &Place, was: &Known, is: &Known) -> bool {
        let selected = self.selected.as_ref().is_some_and(|s| s.place == *place);
        let (a, b) = (&was.status, &is.status);
        let came = events.messages && (a.messages, a.uidnext, a.uidvalidity) != (b.messages, b.uidnext, b.uidvalidity);
        let flags = events.flags && (a.unseen, a.highest_modseq) != (b.unseen, b.highest_modseq);
        if !selected && (came || flags) {
            self.tell_folder_status(events, place, b);
        }
        if events.subscriptions && was.subscribed != is.subscribed {
            self.tell_list("LIST", place, if is.subscribed { "\\Subscribed" } else { "" }, "");
        }
        if events.metadata && was.annotations != is.annotations {
            self.tell_entries(Some(place), &was.annotations, &is.annotations);
        }
        came || flags || was.subscribed != is.subscribed || was.annotations != is.annotations
    }

    fn tell_folder_status(&mut self, events: &Events, place: &Place, status: &Status) {
        let mut items = vec![StatusItem::Messages, StatusItem::UidNext, StatusItem::UidValidity];
        if events.flags {
            items.extend([StatusItem::HighestModSeq, StatusItem::Unseen]);
        }
        let shown = self.shown(place);
        self.tell_status(&shown, status, &items);
    }

    /// RFC 5465 4: how things stand, of every mailbox with message events but the selected one.
    fn tell_initial(&mut self, notify: &Notify, known: &BTreeMap<Place, Known>) {
        let subscribed: Vec<Place> = known.iter().filter(|(_, k)| k.subscribed).map(|(f, _)| f.clone()).collect();
        for (place, is) in known {
            let selected = self.selected.as_ref().is_some_and(|s| s.place == *place);
            if let Some(events) = notify.events(place, &subscribed).filter(|e| e.messages && !selected) {
                self.tell_folder_status(events, place, &is.status);
            }
        }
    }

    /// RFC 5464 4.4.2: names of the entries that have changed, without their values.
    fn tell_entries(&mut self, place: Option<&Place>, was: &Values, is: &Values) {
        let differs = |name: &&String| was.get(*name) != is.get(*name);
        let names: std::collections::BTreeSet<&String> = was.keys().chain(is.keys()).filter(differs).collect();
        let shown = place.map_or_else(String::new, |f| self.shown(f));
        let out = &mut self.conn.out;
        out.extend_from_slice(b"* METADATA ");
        write::mailbox(out, &shown);
        for name in names {
            out.push(b' ');
            write::astring(out, name.as_bytes());
        }
        out.extend_from_slice(b"\r\n");
    }
}

impl Notify {
    /// Whether something may have changed since the last look: looking costs a little for every mailbox.
    fn is_due(&self) -> bool {
        match &self.watch {
            Some(watch) => watch.changes().map_or(true, |changes| !changes.is_empty()) || self.again,
            None => self.again || self.looked.elapsed() >= LOOK_EVERY,
        }
    }

    /// The events of the first group that fits (RFC 5465 3.1).
    fn events(&self, place: &Place, subscribed: &[Place]) -> Option<&Events> {
        self.groups.iter().find(|(filter, _)| filter.fits(place, subscribed)).map(|(_, events)| events)
    }
}
