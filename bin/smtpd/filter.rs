//! The filter chain: programs that judge a message before it is accepted.
//!
//! Contract    pennypost-overview(7), filters: message on descriptor 0 (a file of its own, read-only), variables in the
//!             environment; what they may say: [`penny_queue::filter`]
//! Invariants  1. all filters together get [`TOTAL`]; what is not judged by then is 451
//!             2. a reject of any filter a recipient has refuses it; junk of any marks it

use crate::mail::Mail;
use crate::rcpt::address_text;
use crate::session::Session;
use penny_addr::ForwardPath;
use penny_base::config::Filter;
use penny_base::log;
use penny_base::services::Request;
use penny_queue::client::Spool;
use penny_queue::filter::{self, TOTAL, Verdict};
use penny_smtp::server::Reply;
use penny_sys::process::Ended;
use penny_tables::policy::Filters;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// What all filters said.
pub struct Verdicts {
    /// Fields to put on top, LF line ends.
    pub fields: String,
    each: Vec<(usize, String, Verdict)>,
}

impl Verdicts {
    /// The filter that called the message junk for any recipient.
    pub fn junk(&self, mail: &Mail) -> Option<&str> {
        mail.recipients.iter().find_map(|r| self.junk_for(&r.filters))
    }

    /// The filter that called it junk for one with these filters.
    pub fn junk_for(&self, filters: &[usize]) -> Option<&str> {
        let junk =
            |(index, _, verdict): &&(usize, String, Verdict)| filters.contains(index) && *verdict == Verdict::Junk;
        self.each.iter().find(junk).map(|(_, name, _)| name.as_str())
    }

    /// The refusal for one with these filters.
    pub fn reject_for(&self, filters: &[usize]) -> Option<Reply> {
        self.each.iter().filter(|(index, ..)| filters.contains(index)).find_map(|(_, _, verdict)| match verdict {
            Verdict::Reject(text) => Some(Reply::from_text(text, 554, 451)),
            _ => None,
        })
    }
}

impl Session {
    /// The filters that judge mail to a recipient whose domain wants these. Postmaster has none (RFC 5321 4.5.1).
    pub fn filters_for(&self, path: &ForwardPath, address: &str, wanted: &Filters) -> Vec<usize> {
        if path.is_postmaster() {
            return Vec::new();
        }
        let service = self.service();
        let serves =
            |f: &Filter| f.services.iter().any(|s| s == service) && wanted.has(&f.name) && !opted_out(f, path, address);
        self.config.filter.iter().enumerate().filter(|(_, f)| serves(f)).map(|(index, _)| index).collect()
    }

    /// Runs the filters of this mail. `Err` is the reply when nobody may have it now or at all.
    pub fn run_filters(&mut self, mail: &Mail, spool: &mut Spool) -> Result<Verdicts, Reply> {
        self.know_background(); // what DNS lists say is told to filters, whoever has let the client in
        let deadline = Instant::now() + TOTAL;
        let mut verdicts = Verdicts { fields: String::new(), each: Vec::new() };
        for index in 0..self.config.filter.len() {
            if !mail.recipients.iter().any(|r| r.filters.contains(&index)) {
                continue;
            }
            let Some(filter) = self.config.filter.get(index).cloned() else { continue };
            let (verdict, fields) = self.run_filter(&filter, mail, spool, deadline, &verdicts.fields)?;
            log::info(
                "filter",
                None,
                &[("id", &mail.id), ("name", &filter.name), ("verdict", &format_args!("{verdict:?}"))],
            );
            verdicts.fields.insert_str(0, &fields);
            verdicts.each.push((index, filter.name.clone(), verdict));
            // once nobody can get it any more, the rest of the chain has nothing to say
            if let Some(replies) = all(mail.recipients.iter().map(|r| verdicts.reject_for(&r.filters))) {
                return Err(replies);
            }
        }
        Ok(verdicts)
    }

    fn run_filter(
        &mut self,
        filter: &Filter,
        mail: &Mail,
        spool: &mut Spool,
        deadline: Instant,
        before: &str,
    ) -> Result<(Verdict, String), Reply> {
        let later = |why: String| {
            log::warning("filter-failed", None, &[("id", &mail.id), ("name", &filter.name), ("why", &why)]);
            Reply::new(451, "4.3.0", "the message cannot be checked now")
        };
        let limit = deadline.saturating_duration_since(Instant::now()).min(filter.timeout.duration());
        if limit.is_zero() {
            return Err(later("no time left".into()));
        }
        let (ended, mut output) =
            self.start_filter(filter, mail, spool, limit, before).map_err(|e| later(e.to_string()))?;
        let text = if filter.rewrite && matches!(ended, Ended::Code(0 | 99)) {
            replace(spool, output).map(|()| String::new())
        } else {
            filter::read_output(&mut output)
        };
        filter::judge(ended, &text.map_err(|e| later(e.to_string()))?).map_err(later)
    }

    /// Runs one filter to its end; its output is in a memory file.
    fn start_filter(
        &mut self,
        filter: &Filter,
        mail: &Mail,
        spool: &mut Spool,
        limit: Duration,
        before: &str,
    ) -> io::Result<(Ended, File)> {
        let addresses: Vec<&str> = mail.recipients.iter().map(|r| r.address.as_str()).collect();
        let (request, recipients) = filter::request(&filter.name, &addresses, before, limit)?;
        let request = self.with_facts(request, mail);
        let output = penny_sys::fs::memory_file("verdict")?;
        let errors = io::stderr().as_fd().try_clone_to_owned()?;
        let message = spool.file()?;
        let fds = [message.as_fd(), output.as_fd(), errors.as_fd(), recipients.as_fd()];
        let id = self.services.spawn.start(&request, &fds)?;
        let ended = self.services.spawn.wait(id)?;
        Ok((ended, output))
    }

    /// What is known of where the message comes from.
    fn with_facts(&self, request: Request, mail: &Mail) -> Request {
        let tls = self.peer.tls.as_ref().map(|t| format!("{} {}", t.protocol, t.cipher)).unwrap_or_default();
        let (lists, score) = self.background.lists();
        request
            .env("SENDER", &mail.sender_text())
            .env("REMOTE_IP", &self.peer.ip)
            .env("REMOTE_NAME", &self.client.name)
            .env("HELO", &self.client.helo)
            .env("AUTH_USER", self.client.login.as_deref().unwrap_or_default())
            .env("QUEUE_ID", &mail.id)
            .env("SERVICE", self.service())
            .env("TLS", &tls)
            .env("DNSBL", &lists.join(" "))
            .env("DNSBL_SCORE", &score.to_string())
    }
}

/// A recipient's own wish: its address, or `@` and its domain, in the filter's list.
fn opted_out(filter: &Filter, path: &ForwardPath, address: &str) -> bool {
    let folded = match path {
        ForwardPath::Mailbox(mailbox) => mailbox.folded(),
        ForwardPath::Postmaster => address_text(path),
    };
    let domain = folded.rsplit_once('@').map(|(_, domain)| format!("@{domain}")).unwrap_or_default();
    filter.except.iter().any(|e| *e == address || e.to_lowercase() == folded || e.to_lowercase() == domain)
}

/// The first reply when every recipient has one.
pub fn all(mut replies: impl Iterator<Item = Option<Reply>>) -> Option<Reply> {
    let first = replies.next()??;
    replies.all(|r| r.is_some()).then_some(first)
}

/// What a rewriting filter printed becomes the message; line ends become LF.
fn replace(spool: &mut Spool, mut output: File) -> io::Result<()> {
    output.seek(SeekFrom::Start(0))?;
    let mut bytes = Vec::new();
    output.read_to_end(&mut bytes)?;
    if bytes.is_empty() {
        return Err(io::Error::other("a rewriting filter printed nothing"));
    }
    spool.replace(penny_sys::fs::memory_file_of("message", &lf_only(&bytes))?)
}

fn lf_only(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    for (at, &b) in bytes.iter().enumerate() {
        match b {
            b'\r' if bytes.get(at + 1) == Some(&b'\n') => {}
            b'\r' | 0 => out.push(b' '),
            b => out.push(b),
        }
    }
    if out.last() != Some(&b'\n') {
        out.push(b'\n');
    }
    out
}
