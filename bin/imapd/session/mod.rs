//! The session of an authenticated user: one mailbox owner's view of the store.
//!
//! Standards   RFC 3501, RFC 9051 and the extensions of `caps.rs`; one file per group of commands
//! Invariants  1. answers of pipelined commands leave in one write   2. the folder lock is given up before waiting
//!             3. EXPUNGE is never sent while FETCH, STORE or SEARCH (without UID) runs (RFC 3501 7.4.1)
//!             4. a failed command changes nothing it did not say
//! Trust       client octets and message octets are hostile; the process runs as the mailbox's owner
mod acl;
mod answer;
mod append;
mod cache;
mod child;
mod context;
mod copy;
mod enable;
mod event;
mod fetch;
mod filters;
mod folders;
mod fulltext;
mod idle;
mod learn;
mod limit;
mod list;
mod loaded;
mod mailboxes;
mod metadata;
mod multisearch;
mod notify;
mod progress;
mod quota;
mod search;
mod select;
mod selected;
mod sort;
mod spaces;
mod special;
mod spool;
mod store;
mod uidonly;
mod unauthenticate;
mod warn;

use crate::caps;
use crate::conn::{Conn, Got};
use answer::Answer;
use enable::Enabled;
pub use event::enabled as runs_scripts;
use penny_base::services::Handed;
use penny_base::{Config, Failure, Outcome, Owner, log};
use penny_imap::command::{self, Command, Tagged};
use penny_imap::{Announced, Code, Event, Framed, Limits, Reader, write};
use penny_maildir::{DiskEncoding, NameStyle, Store, store::StoreOptions};
use selected::Selected;
use spaces::Spaces;
use spool::Spool;
use std::time::Duration;
pub use warn::enabled as warns;

/// Literals kept in memory outside APPEND.
const LIMITS: Limits = Limits { line: 64 * 1024, literals: 1024 * 1024, bare_lf: true };
/// Commands that are not understood in a row.
const ERRORS_MAX: u32 = 20;

struct Session {
    config: Box<Config>,
    owner: Owner,
    spaces: Spaces,
    conn: Conn,
    reader: Reader,
    selected: Option<Selected>,
    enabled: Enabled,
    /// What NOTIFY asked for.
    notify: Option<notify::Notify>,
    /// Something came or went: lookup has not been told yet.
    usage_changed: bool,
    /// The usage before that, where the user is to be warned.
    usage_before: Option<penny_maildir::Usage>,
    /// Literals of the APPEND being read.
    spools: Vec<Spool>,
    /// The literal being streamed is thrown away, and why (the command is answered at its end).
    refused: Option<Answer>,
    errors: u32,
    can_unauthenticate: bool,
}

/// Whether the conversation goes on.
#[derive(PartialEq, Eq)]
enum Next {
    Go,
    Leave,
}

type Flow = Result<Next, Failure>;

/// Speaks until the client leaves.
pub fn serve(config: Box<Config>, owner: Owner, handed: Option<Handed>) -> Result<Outcome, Failure> {
    let mut session = Session::open(config, owner)?;
    session.can_unauthenticate = unauthenticate::is_possible(&session.config, handed.as_ref());
    session.greet(handed);
    let end = session.run();
    if let Some(selected) = &mut session.selected {
        let _ = selected.mailbox.release();
    }
    session.conn.flush().map_err(io)?;
    session.report_usage();
    end.map(|()| Outcome::Done)
}

fn io(e: std::io::Error) -> Failure {
    Failure::io("conversation", &e)
}

impl Session {
    fn open(config: Box<Config>, owner: Owner) -> Result<Session, Failure> {
        let separator = config.imapd.separator.chars().next().unwrap_or('/');
        let style = NameStyle { separator, prefix: config.imapd.prefix.clone() };
        let (storage, messages) = owner.quota(&config);
        let limits = (storage.is_some() || messages.is_some()).then_some(penny_maildir::Limits { storage, messages });
        let options =
            StoreOptions { style: style.clone(), encoding: DiskEncoding::Mutf7, limits, ..StoreOptions::default() };
        let fresh = !penny_maildir::Maildir::is_at(&owner.maildir);
        let store = Store::open_or_create(&owner.maildir, options).map_err(|e| store_failure(&e))?;
        let session = Session {
            conn: Conn::open().map_err(io)?,
            spaces: Spaces::open(store, style, &config, &owner),
            config,
            owner,
            reader: Reader::new(LIMITS),
            selected: None,
            enabled: Enabled::default(),
            notify: None,
            usage_changed: false,
            usage_before: None,
            spools: Vec::new(),
            refused: None,
            errors: 0,
            can_unauthenticate: false,
        };
        if fresh {
            session.autocreate();
        }
        crate::shares::note(&session.config, &session.owner.user, &session.spaces.own);
        Ok(session)
    }

    /// Answers the login, or greets as preauthenticated.
    fn greet(&mut self, handed: Option<Handed>) {
        let caps = Code::Capability(self.capabilities());
        let text = format!("{} logged in", self.owner.user);
        match handed.as_ref().and_then(|h| Some((h, h.get("tag")?))) {
            Some((handed, tag)) => {
                write::status(&mut self.conn.out, tag, "OK", Some(&caps), &text);
                self.reader.feed(&handed.input);
            }
            None => write::status(&mut self.conn.out, "*", "PREAUTH", Some(&caps), &text),
        }
        log::info("login", None, &[("user", &self.owner.user)]);
    }

    fn capabilities(&self) -> String {
        let more = [(self.can_unauthenticate, "UNAUTHENTICATE"), (self.may_set_quota(), "QUOTASET")];
        caps::session(&self.config, &more.iter().filter(|m| m.0).map(|m| m.1).collect::<Vec<_>>())
    }

    fn run(&mut self) -> Result<(), Failure> {
        while self.next()? == Next::Go {
            self.conn.flush_if_large().map_err(io)?;
        }
        Ok(())
    }

    fn next(&mut self) -> Flow {
        match self.reader.next_event() {
            Event::More => self.fill(),
            Event::Literal(announced) => Ok(self.literal(announced)),
            Event::Data(bytes) => {
                self.spool(&bytes);
                Ok(Next::Go)
            }
            Event::DataEnd => Ok(Next::Go),
            Event::Command(framed) => self.framed(&framed),
            Event::TooLong(framed) => {
                let tag = command::peek_word(&framed).0.unwrap_or_else(|| "*".into());
                self.spools.clear();
                let answer = self.refused.take().unwrap_or_else(|| Answer::bad("Command too long"));
                answer.write(&mut self.conn.out, &tag);
                self.count_error()
            }
        }
    }

    fn timeout(&self) -> Duration {
        Duration::from_secs(self.config.imapd.timeout.0)
    }

    fn fill(&mut self) -> Flow {
        if self.notify.is_some() && self.reader.between_commands() {
            return self.notify_wait();
        }
        self.conn.flush().map_err(io)?;
        self.build_index();
        self.release();
        self.report_usage();
        let mut buffer = Vec::new();
        match self.conn.wait(None, self.timeout(), &mut buffer).map_err(io)? {
            Got::Input => {
                self.reader.feed(&buffer);
                Ok(Next::Go)
            }
            Got::Timeout => {
                self.untagged("BYE Idle for too long");
                Ok(Next::Leave)
            }
            Got::End | Got::Other => Ok(Next::Leave),
        }
    }

    /// Gives the folder lock up before others have to wait for our client.
    fn release(&mut self) {
        if let Some(selected) = &mut self.selected
            && let Err(e) = selected.mailbox.release()
        {
            log::warning("index", None, &[("user", &self.owner.user), ("why", &e)]);
        }
    }

    fn untagged(&mut self, line: &str) {
        self.conn.out.extend_from_slice(format!("* {line}\r\n").as_bytes());
    }

    /// A literal is announced: message data is spooled, everything else is short.
    fn literal(&mut self, announced: Announced) -> Next {
        let (tag, word) = command::peek_word(self.reader.partial());
        let is_message = word == "APPEND" || word == "REPLACE";
        // short literals stay in the text: a mailbox name may come as one
        let in_text = !is_message || command::append::target(self.reader.partial()).is_none();
        if let Some(no) = (!in_text).then(|| self.may_append(announced.len)).flatten() {
            self.reader.refuse();
            self.spools.clear();
            match tag.filter(|_| announced.sync) {
                Some(tag) => no.write(&mut self.conn.out, &tag),
                None => self.refused = Some(no),
            }
            return Next::Go;
        }
        if in_text {
            if !self.reader.accept() {
                let no = Answer::no(Code::TooBig, "Literal too large");
                match tag.filter(|_| announced.sync) {
                    Some(tag) => no.write(&mut self.conn.out, &tag),
                    None => self.refused = Some(no),
                }
                return Next::Go;
            }
        } else {
            self.spools.push(Spool::new(self.spaces.own.root().tmp_dir(), announced.binary));
            self.reader.stream();
        }
        if announced.sync {
            self.conn.out.extend_from_slice(b"+ OK\r\n");
        }
        Next::Go
    }

    fn spool(&mut self, bytes: &[u8]) {
        if let Some(spool) = self.spools.last_mut() {
            spool.write(bytes);
        }
    }

    fn count_error(&mut self) -> Flow {
        self.errors += 1;
        if self.errors < ERRORS_MAX {
            return Ok(Next::Go);
        }
        self.untagged("BYE Too many errors");
        Ok(Next::Leave)
    }

    fn framed(&mut self, framed: &Framed) -> Flow {
        let result = match command::parse(framed) {
            Ok(tagged) => {
                self.errors = 0;
                self.command(tagged)
            }
            Err(e) => {
                Answer::bad(e.bad.0).write(&mut self.conn.out, e.tag.as_deref().unwrap_or("*"));
                self.count_error()
            }
        };
        self.spools.clear();
        result
    }

    fn command(&mut self, tagged: Tagged) -> Flow {
        let Tagged { tag, command } = tagged;
        self.hold_or_release(&command);
        match command {
            Command::Logout => {
                self.untagged("BYE Logging out");
                Answer::ok("LOGOUT completed").write(&mut self.conn.out, &tag);
                return Ok(Next::Leave);
            }
            Command::Idle => return self.idle(&tag),
            Command::Unauthenticate => return self.unauthenticate(&tag),
            Command::Compress(algorithm) => return self.compress(&tag, &algorithm),
            _ => {}
        }
        let expunges = expunges_allowed(&command);
        let opened = matches!(command, Command::Select(_));
        self.usage_changed |= quota::changes_usage(&command);
        self.note_usage(&command);
        let answer = match self.enabled.uidonly && uidonly::has_numbers(&command) {
            true => uidonly::refusal(),
            false => self.execute(&tag, command)?,
        };
        // a mailbox just opened is up to date: a VANISHED between the answers of SELECT could be taken for (EARLIER)
        if let Some(lost) = if opened { None } else { self.sync(expunges) } {
            answer.write(&mut self.conn.out, &tag);
            self.untagged(&format!("BYE {lost}"));
            return Ok(Next::Leave);
        }
        answer.write(&mut self.conn.out, &tag);
        Ok(Next::Go)
    }

    /// Commands that only touch the selected mailbox keep its lock while more of them are here already. All others may
    /// open this or another mailbox, and two locks are never held at once.
    fn hold_or_release(&mut self, command: &Command) {
        let own = matches!(
            command,
            Command::Noop | Command::Fetch(_) | Command::Store(_) | Command::Search(_) | Command::Expunge(_)
        );
        if !own || self.reader.pending().is_empty() {
            return self.release();
        }
        if let Some(selected) = &mut self.selected {
            selected.mailbox.hold();
        }
    }

    fn execute(&mut self, tag: &str, command: Command) -> Result<Answer, Failure> {
        Ok(match command {
            Command::Capability => {
                let line = format!("CAPABILITY {}", self.capabilities());
                self.untagged(&line);
                Answer::ok("CAPABILITY completed")
            }
            Command::Noop => Answer::ok("NOOP completed"),
            Command::Id(_) => {
                self.untagged("ID (\"name\" \"pennypost\")");
                Answer::ok("ID completed")
            }
            Command::Enable(words) => self.enable(&words),
            Command::Namespace => self.namespace(),
            Command::Select(args) => self.select(&args),
            Command::Create { name, special_use } => self.create(&name, &special_use),
            Command::Delete(name) => self.delete(&name),
            Command::Rename { from, to } => self.rename(&from, &to),
            Command::Subscribe(name) => self.subscribe(&name, true),
            Command::Unsubscribe(name) => self.subscribe(&name, false),
            Command::List(args) => self.list(&args),
            Command::Status { name, items } => self.status(&name, &items),
            Command::Append { name, messages } => self.append(&name, messages),
            Command::MultiSearch { sources, search } => self.multi_search(tag, &sources, &search),
            Command::GetMetadata(args) => self.get_metadata(&args),
            Command::SetMetadata { name, entries } => self.set_metadata(&name, &entries),
            Command::Notify(set) => self.notify(set.as_ref()),
            Command::Acl(command) => self.acl_command(&command),
            Command::GetQuota(root) => self.get_quota(&root),
            Command::GetQuotaRoot(name) => self.get_quota_root(&name),
            Command::SetQuota { root, limits } => self.set_quota(&root, &limits).unwrap_or_else(|no| no),
            Command::StartTls | Command::Login { .. } | Command::Authenticate { .. } => {
                Answer::bad("Already logged in")
            }
            command => return self.in_mailbox(tag, command),
        })
    }

    /// Commands that need a selected mailbox.
    fn in_mailbox(&mut self, tag: &str, command: Command) -> Result<Answer, Failure> {
        if self.selected.is_none() {
            return Ok(Answer::bad("Select a mailbox first"));
        }
        Ok(match command {
            Command::Check => Answer::ok("CHECK completed"),
            Command::Close => self.close(true),
            Command::Unselect => self.close(false),
            Command::Expunge(set) => self.expunge(set.as_ref()),
            Command::Search(args) => self.search(tag, &args),
            Command::Sort(args) => self.sort(tag, &args),
            Command::Thread(args) => self.thread(tag, &args),
            Command::UidBatches { size, range } => self.uid_batches(tag, size, range),
            Command::CancelUpdate(tags) => self.cancel_update(&tags),
            Command::Fetch(args) => self.fetch(&args)?,
            Command::Store(args) => self.store_flags(&args),
            Command::Copy { set, uid, name } => self.copy(&set, uid, &name, false),
            Command::Move { set, uid, name } => self.copy(&set, uid, &name, true),
            Command::Replace { set, uid, name, message } => self.replace(&set, uid, &name, message),
            _ => Answer::bad("Not supported"),
        })
    }

    /// RFC 4978: the client waits for the answer, so nothing may have come behind the command.
    fn compress(&mut self, tag: &str, algorithm: &str) -> Flow {
        let answer = if algorithm != "DEFLATE" {
            Answer::bad("Unknown compression")
        } else if self.conn.is_compressed() {
            Answer::no(Code::CompressionActive, "DEFLATE is active")
        } else if !self.reader.pending().is_empty() {
            Answer::bad("Nothing may follow COMPRESS before its answer")
        } else {
            Answer::ok("DEFLATE active")
        };
        let start = answer == Answer::ok("DEFLATE active");
        answer.write(&mut self.conn.out, tag);
        if start {
            self.conn.compress().map_err(io)?;
        }
        Ok(Next::Go)
    }
}

/// RFC 3501 7.4.1: not while FETCH, STORE or SEARCH runs; UID commands may carry them.
fn expunges_allowed(command: &Command) -> bool {
    match command {
        Command::Fetch(args) => args.uid,
        Command::Store(args) => args.uid,
        Command::Search(args) => args.uid,
        Command::Sort(args) => args.search.uid,
        Command::Thread(args) => args.search.uid,
        _ => true,
    }
}

fn store_failure(e: &penny_maildir::Error) -> Failure {
    Failure::temporary("4.3.0", "the mailbox is not available").with_detail(e.to_string())
}
