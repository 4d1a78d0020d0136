//! Mail that leaves: the filters of the services `forward` and `own` see it before its first job to another host, and
//! the header fields they print (an ARC set, DKIM signatures) go out on top of it.
//!
//! Contract    that of smtpd's filters ([`penny_queue::filter`]); the entry itself is not changed, so what is delivered
//!             here is what came
//! Invariants  1. nothing leaves that a filter of its service did not let pass   2. a filter sees a copy of the bare
//!             message, never the entry   3. a filter that fails defers, one that refuses makes the recipients fail

use crate::entry::{How, Running};
use crate::runner::{Runner, now};
use penny_base::config::Filter;
use penny_base::services::Request;
use penny_base::{Config, log};
use penny_queue::active::{deferral, failure};
use penny_queue::envelope::{Envelope, Line};
use penny_queue::filter::{self, TOTAL, Verdict};
use penny_queue::job::Route;
use penny_queue::journal::{Kind, Outcome, Target};
use penny_sys::fs::{memory_file, memory_file_of};
use penny_sys::process::Ended;
use penny_tables::cidr::in_any;
use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::time::Instant;

/// An entry whose filters are at work, and the jobs that wait for what they say.
#[derive(Debug)]
pub struct Leaving {
    slot: u64,
    service: &'static str,
    /// Its filters that have not begun.
    todo: VecDeque<Filter>,
    /// The bare message.
    message: File,
    /// The one at work.
    filter: String,
    /// What it prints.
    output: Option<File>,
    /// What those before it printed.
    fields: String,
    deadline: Instant,
    jobs: Vec<Running>,
}

/// As what a message leaves; `None` for what a user submitted, which smtpd's filters have seen as such.
fn service(config: &Config, envelope: &Envelope) -> Option<&'static str> {
    let client = envelope.client_ip.as_ref().map(Line::as_str);
    let is_ours = |ip: &str| in_any(ip, &config.smtpd.relay_clients);
    match (envelope.is_passed_on(), &envelope.login, client) {
        (true, ..) => Some("forward"),
        (false, Some(_), _) => None,
        (false, None, Some(ip)) if !is_ours(ip) => Some("forward"),
        _ => Some("own"),
    }
}

impl Runner {
    /// Starts a job to another host, after the filters of what leaves.
    pub fn start_remote(&mut self, running: Running) {
        let slot = running.job.slot;
        if let Some(leaving) = self.leaving.values_mut().find(|l| l.slot == slot) {
            return leaving.jobs.push(running);
        }
        match self.begin_leaving(&running) {
            Ok(None) => self.send_remote(running),
            Ok(Some(mut leaving)) => {
                leaving.jobs.push(running);
                self.next_filter(leaving);
            }
            Err(e) => self.could_not_start(running, &e),
        }
    }

    /// What has to be done first, if anything: an LMTP server is a mailbox, not another host.
    fn begin_leaving(&self, running: &Running) -> io::Result<Option<Leaving>> {
        let slot = running.job.slot;
        let entry = self.entries.get(&slot).ok_or(io::ErrorKind::NotFound)?;
        if self.config.filter.is_empty() || entry.on_top.is_some() || is_lmtp(running) {
            return Ok(None);
        }
        let Some(service) = service(&self.config, entry.active.envelope()) else { return Ok(None) };
        let serving = self.config.filter.iter().filter(|f| f.services.iter().any(|s| s == service));
        let todo: VecDeque<Filter> = serving.cloned().collect();
        if todo.is_empty() {
            return Ok(None);
        }
        Ok(Some(Leaving {
            slot,
            service,
            todo,
            message: self.bare_message(slot)?,
            filter: String::new(),
            output: None,
            fields: String::new(),
            deadline: Instant::now() + TOTAL,
            jobs: Vec::new(),
        }))
    }

    /// A copy of the message alone, as the contract of filters has it.
    fn bare_message(&self, slot: u64) -> io::Result<File> {
        let entry = self.entries.get(&slot).ok_or(io::ErrorKind::NotFound)?;
        let small = entry.active.envelope().size <= penny_queue::client::INLINE_MAX as u64;
        let mut copy = match small {
            true => memory_file("message")?,
            false => penny_queue::Directories::open(self.queue.root())?.spool()?,
        };
        penny_sys::fs::copy_from_offset(&self.open_message(slot)?, entry.body, &mut copy)?;
        Ok(copy)
    }

    /// Starts the next filter, or the jobs when all have spoken.
    fn next_filter(&mut self, mut leaving: Leaving) {
        let Some(filter) = leaving.todo.pop_front() else { return self.all_passed(leaving) };
        match self.start_filter(&filter, &mut leaving) {
            Ok(id) => drop(self.leaving.insert(id, leaving)),
            Err(e) => self.not_filtered(leaving, &e.to_string()),
        }
    }

    fn start_filter(&mut self, filter: &Filter, leaving: &mut Leaving) -> io::Result<u32> {
        leaving.filter.clone_from(&filter.name);
        let output = memory_file("verdict")?;
        let limit = leaving.deadline.saturating_duration_since(Instant::now()).min(filter.timeout.duration());
        if limit.is_zero() {
            return Err(io::Error::other("no time left"));
        }
        let entry = self.entries.get(&leaving.slot).ok_or(io::ErrorKind::NotFound)?;
        let elsewhere = |t: &Target| entry.active.resolved(*t).is_some_and(|r| r.kind == Kind::Remote);
        let targets: Vec<Target> = entry.active.open_targets().into_iter().filter(elsewhere).collect();
        let envelope = entry.active.job_envelope(&targets);
        let addresses: Vec<&str> = envelope.recipients.iter().map(|r| r.address.as_str()).collect();
        let (request, recipients) = filter::request(&filter.name, &addresses, &leaving.fields, limit)?;
        let request = with_facts(request, leaving.service, &envelope);
        let stderr = io::stderr();
        let fds = [leaving.message.as_fd(), output.as_fd(), stderr.as_fd(), recipients.as_fd()];
        let id = self.spawn.as_mut().ok_or(io::ErrorKind::NotConnected)?.start(&request, &fds)?;
        leaving.output = Some(output);
        Ok(id)
    }

    /// A program that spawn started ended: a filter, or one of no interest.
    pub fn filter_ended(&mut self, id: u32, how: Ended) {
        let Some(mut leaving) = self.leaving.remove(&id) else { return };
        let output = leaving.output.take().ok_or(io::ErrorKind::NotFound.into());
        let text = output.and_then(|mut file| filter::read_output(&mut file)).map_err(|e| e.to_string());
        let (verdict, fields) = match text.and_then(|text| filter::judge(how, &text)) {
            Ok(said) => said,
            Err(why) => return self.not_filtered(leaving, &why),
        };
        let (name, service) = (&leaving.filter, leaving.service);
        let id = self.name_of(leaving.slot);
        log::info(
            "filter",
            id.as_deref(),
            &[("name", name), ("service", &service), ("verdict", &format_args!("{verdict:?}"))],
        );
        if let Verdict::Reject(text) = verdict {
            let (status, text) = text.split_once(' ').unwrap_or((&text, "refused by a filter"));
            return self.end_all(leaving, &failure(now(), status, text));
        }
        leaving.fields.insert_str(0, &fields);
        self.next_filter(leaving);
    }

    /// spawn would not start a filter; false when the number is none of a filter.
    pub fn filter_refused(&mut self, id: u32, reason: &str) -> bool {
        let Some(leaving) = self.leaving.remove(&id) else { return false };
        self.not_filtered(leaving, reason);
        true
    }

    fn not_filtered(&mut self, leaving: Leaving, why: &str) {
        let id = self.name_of(leaving.slot);
        let (name, service) = (&leaving.filter, leaving.service);
        log::warning("filter-failed", id.as_deref(), &[("name", name), ("service", &service), ("why", &why)]);
        self.end_all(leaving, &deferral(now(), "4.3.0", "the message cannot be checked or signed now"));
    }

    fn end_all(&mut self, leaving: Leaving, outcome: &Outcome) {
        for running in leaving.jobs {
            let outcomes = running.job.targets.iter().map(|t| (*t, outcome.clone())).collect();
            self.finish(running, outcomes, None);
        }
    }

    fn all_passed(&mut self, leaving: Leaving) {
        if let Some(entry) = self.entries.get_mut(&leaving.slot) {
            entry.on_top = Some(leaving.fields);
        }
        leaving.jobs.into_iter().for_each(|job| self.send_remote(job));
    }

    /// The fields for a job, in a file of its own: `remote` may do with it what it likes.
    pub fn fields_of(&self, running: &Running) -> io::Result<Option<File>> {
        let entry = self.entries.get(&running.job.slot).ok_or(io::ErrorKind::NotFound)?;
        let fields = entry.on_top.as_deref().filter(|fields| !fields.is_empty() && !is_lmtp(running));
        fields.map(|fields| memory_file_of("fields", fields.as_bytes())).transpose()
    }
}

fn is_lmtp(running: &Running) -> bool {
    matches!(running.job.how, How::Remote(Route::Lmtp(_), _))
}

/// What is known of where the message came from.
fn with_facts(request: Request, service: &str, envelope: &Envelope) -> Request {
    let text = |line: &Option<Line>| line.as_ref().map(ToString::to_string).unwrap_or_default();
    request
        .env("SENDER", envelope.sender.address.as_str())
        .env("REMOTE_IP", &text(&envelope.client_ip))
        .env("REMOTE_NAME", &text(&envelope.client_name))
        .env("HELO", &text(&envelope.helo))
        .env("AUTH_USER", "")
        .env("QUEUE_ID", &text(&envelope.id))
        .env("SERVICE", service)
        .env("TLS", &text(&envelope.tls))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_what_a_message_leaves() {
        let config = Config::default();
        let of = |login: Option<&str>, ip: Option<&str>, passed_on: bool| {
            let line = |text: &str| Line::new(text).unwrap();
            let extra = passed_on.then(|| (line(penny_queue::envelope::FORWARDED_BY), line("joe@x.test")));
            let envelope = Envelope {
                login: login.map(line),
                client_ip: ip.map(line),
                extra: extra.into_iter().collect(),
                ..Envelope::default()
            };
            service(&config, &envelope)
        };
        assert_eq!(of(None, None, false), Some("own"), "a report, or sendmail(1)");
        assert_eq!(of(None, Some("127.0.0.1"), false), Some("own"), "a client that may relay");
        assert_eq!(of(None, Some("192.0.2.1"), false), Some("forward"));
        assert_eq!(of(None, None, true), Some("forward"));
        assert_eq!(of(Some("joe"), None, true), Some("forward"), "deliver keeps the login of what it passes on");
        assert_eq!(of(Some("joe"), Some("192.0.2.1"), false), None);
    }
}
