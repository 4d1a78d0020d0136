//! What a user's script may know and start.
//!
//! Invariants  programs come from the administrator's directory only, and only plain files that neither the user nor others can write

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use penny_base::log;
use penny_sieve::{Host, ProgramKind, Ran};
use penny_sys::fs::memory_file_of;
use penny_sys::process::Ended;

use super::remember::Memory;
use crate::context::Context;
use crate::{folder, program};

/// Longest output of a filter or execute, octets.
const OUTPUT_MAX: usize = 64 << 20;
/// CPU and waiting time of scripts.
const TIME_MAX: Duration = Duration::from_secs(60);

/// The world of one delivery.
pub struct World<'a> {
    context: &'a Context,
    started: Instant,
    memory: Memory,
    counter: u32,
}

impl<'a> World<'a> {
    pub fn new(context: &'a Context) -> Self {
        Self { context, started: Instant::now(), memory: Memory::of(context), counter: 0 }
    }
}

impl Host for World<'_> {
    fn now(&self) -> i64 {
        now()
    }

    fn zone(&self, moment: i64) -> i32 {
        penny_sys::time::zone_minutes(moment)
    }

    /// RFC 5183 4.1.
    fn environment(&self, name: &str) -> Option<String> {
        let user = &self.context.owner.user;
        if let Some(value) = self.context.event.as_ref().and_then(|e| e.environment(user, name)) {
            return Some(value);
        }
        let e = &self.context.envelope;
        let line = |l: &Option<penny_queue::Line>| l.as_ref().map(|l| l.as_str().to_owned());
        match name {
            "remote-ip" => line(&e.client_ip),
            "remote-host" => line(&e.client_name).or_else(|| line(&e.client_ip)),
            "vnd.dovecot.username" => Some(self.context.owner.user.clone()),
            _ => None,
        }
    }

    fn mailbox_exists(&self, name: &str) -> bool {
        folder::exists(self.context, name)
    }

    /// RFC 5490 3.2 and 4: an empty annotation is one.
    fn metadata(&self, mailbox: Option<&str>, name: &str) -> Option<String> {
        let store = folder::all(self.context).ok()?;
        let annotations = match mailbox {
            None => store.server_annotations(),
            Some(mailbox) => {
                let folder = folder::folder_name(self.context, mailbox).ok()?;
                store.annotations(&folder).ok()?
            }
        };
        annotations.get(name).ok()?.map(|v| String::from_utf8_lossy(&v).into_owned())
    }

    fn special_use(&self, mailbox: Option<&str>, flag: &str) -> bool {
        let known = special_folder(self.context, flag);
        known.is_some_and(|k| mailbox.is_none_or(|m| m == k))
    }

    fn mailbox_by_id(&self, id: &str) -> Option<String> {
        mailbox_by_id(self.context, id)
    }

    fn duplicate_seen(&self, key: &str) -> bool {
        self.memory.has(&format!("d/{key}"), now())
    }

    fn list_members(&self, list: &str) -> Option<Vec<String>> {
        list_members(self.context, list)
    }

    fn run_program(
        &mut self,
        kind: ProgramKind,
        name: &str,
        args: &[String],
        input: Option<&[u8]>,
    ) -> Result<Ran, String> {
        run_program(self.context, kind, name, args, input)
    }

    fn log(&mut self, text: &str) {
        log::info("sieve", self.context.id(), &[("user", &self.context.owner.user), ("text", &text)]);
    }

    fn unique(&mut self) -> String {
        self.counter += 1;
        format!("{:x}.{:016x}.{}", now(), penny_sys::random::u64(), self.counter)
    }

    fn out_of_time(&self) -> bool {
        self.started.elapsed() > TIME_MAX
    }
}

/// Seconds since 1970.
pub fn now() -> i64 {
    let since = penny_sys::time::now();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// The folder with a special use (RFC 6154), by the names imapd gives those uses to; only if it exists.
pub fn special_folder(context: &Context, flag: &str) -> Option<String> {
    let name = match flag.to_ascii_lowercase().as_str() {
        "\\junk" => context.config.mail.junk_folder.as_str(),
        "\\sent" => "Sent",
        "\\trash" => "Trash",
        "\\drafts" => "Drafts",
        "\\archive" => "Archive",
        _ => return None,
    };
    folder::exists(context, name).then(|| name.to_owned())
}

/// RFC 9042: the folder with that MAILBOXID.
pub fn mailbox_by_id(context: &Context, id: &str) -> Option<String> {
    let store = folder::all(context).ok()?;
    let style = &store.options().style;
    let mut folders = store.list().ok()?.into_iter().filter(|f| f.selectable);
    let found = folders.find(|f| store.status(&f.name).is_ok_and(|s| s.guid.to_string() == id))?;
    Some(found.name.to_utf8(style))
}

/// RFC 6134: `~/sieve/lists/NAME`, one entry a line; NAME is what follows the last colon.
fn list_members(context: &Context, list: &str) -> Option<Vec<String>> {
    let name = list.rsplit(':').next()?;
    if !penny_base::scripts::valid_name(name) {
        return None;
    }
    let path = context.owner.home.join("sieve/lists").join(name);
    let text = crate::safe::read(&path).ok()??.text;
    let text = String::from_utf8_lossy(&text).into_owned();
    Some(text.lines().map(str::trim).filter(|l| !l.is_empty()).map(str::to_owned).collect())
}

/// The program's path, if it is one the administrator put there.
fn program_path(context: &Context, name: &str) -> Result<PathBuf, String> {
    let path = context.config.deliver.sieve_programs.join(name);
    let meta = std::fs::metadata(&path).map_err(|_| format!("program '{name}' is not available"))?;
    let own = penny_sys::ids::own_uid();
    // where one ordinary user runs everything, that user is the administrator
    let trusted = meta.uid() == 0 || (meta.uid() == own && !penny_sys::ids::is_root() && context.owner.shell_ok);
    if !meta.is_file() || meta.mode() & 0o111 == 0 || meta.mode() & 0o022 != 0 || !trusted {
        return Err(format!(
            "program '{name}' is not usable: it must be an executable file only the administrator can write"
        ));
    }
    Ok(path)
}

/// Runs a program of the administrator's directory.
pub fn run_program(
    context: &Context,
    kind: ProgramKind,
    name: &str,
    args: &[String],
    input: Option<&[u8]>,
) -> Result<Ran, String> {
    let path = program_path(context, name)?;
    let command = program::Command {
        path,
        args: args.to_vec(),
        environment: Vec::new(),
        output_max: OUTPUT_MAX,
        limit: Duration::from_secs(context.config.deliver.pipe_timeout.0),
    };
    let file = input.map(|bytes| memory_file_of("input", bytes)).transpose().map_err(|e| e.to_string())?;
    let ran = program::run(context, &command, file.as_ref()).map_err(|f| f.to_string())?;
    let success = ran.ended == Some(Ended::Code(0));
    let how = format!("{:?}", ran.ended);
    log::info("sieve-program", context.id(), &[("kind", &kind.name()), ("program", &name), ("ended", &how)]);
    Ok(Ran { success, output: ran.output })
}
