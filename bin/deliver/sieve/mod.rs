//! Delivery by Sieve scripts: the administrator's before, the user's, the administrator's after.
//!
//! Standards   RFC 5228 2.10.6 (a script that fails: the message is kept)
//! Order       each script only while an implicit or explicit keep is in effect, as Pigeonhole has it
//! Invariants  1. an error in a user's script never loses or bounces mail: it is logged, and the message goes to INBOX
//!             2. an error in the administrator's script defers: nothing is delivered by half of the rules

mod act;
pub mod event;
mod host;
mod remember;

use std::path::{Path, PathBuf};

use penny_base::scripts::Scripts;
use penny_base::{Failure, log};
use penny_sieve::{Envelope, Library, Location, Machine, Message, ScanField, ScanStyle, Script, Settings};

use crate::context::Context;
use crate::outcome::Done;
use crate::{fields, safe};

/// Runs the scripts there are; `None` if there are none.
pub fn deliver(context: &Context) -> Result<Option<Done>, Failure> {
    let own = user_script(context)?;
    let before = admin_scripts(&context.config.deliver.sieve_before)?;
    let after = admin_scripts(&context.config.deliver.sieve_after)?;
    if own.is_none() && before.is_empty() && after.is_empty() {
        return Ok(None);
    }
    let only_admins = own.is_none();
    let settings = settings(context);
    let mut bytes = Vec::new();
    fields::write_original(context, &mut bytes).map_err(|e| Failure::io("read message", &e))?;
    let mut world = host::World::new(context);
    let original = Message::new(bytes);
    let mut machine = Machine::new(&mut world, &settings, envelope(context), original.clone());
    let admins = |paths: Vec<PathBuf>| paths.into_iter().map(|path| (path, true));
    for (path, admin) in admins(before).chain(own.map(|path| (path, false))).chain(admins(after)) {
        if !machine.goes_on() {
            break;
        }
        if admin { run_admin(context, &mut machine, &path)? } else { run_user(context, &mut machine, &path)? }
    }
    let outcome = machine.outcome();
    if only_admins
        && outcome.implicit_keep
        && outcome.actions.is_empty()
        && outcome.message.same(&original)
        && outcome.keep_flags.is_empty()
    {
        // the administrator's scripts had nothing to say: the user's other rules come to their right
        return Ok(None);
    }
    act::carry_out(context, &original, outcome).map(Some)
}

fn user_script(context: &Context) -> Result<Option<PathBuf>, Failure> {
    let scripts = Scripts::of(&context.owner.home);
    scripts.active_file().map_err(|e| {
        Failure::temporary("4.3.0", "the recipient's delivery instructions are not safe to use")
            .with_detail(e.to_string())
    })
}

/// One file, or the `.sieve` files of a directory in order of name.
fn admin_scripts(path: &Path) -> Result<Vec<PathBuf>, Failure> {
    if path.as_os_str().is_empty() {
        return Ok(Vec::new());
    }
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let entries = std::fs::read_dir(path).map_err(|e| Failure::io(path.display(), &e))?;
    let mut all: Vec<PathBuf> = entries.flatten().map(|e| e.path()).collect();
    all.retain(|p| p.extension().is_some_and(|e| e == "sieve"));
    all.sort();
    Ok(all)
}

fn run_admin(context: &Context, machine: &mut Machine<'_>, path: &Path) -> Result<(), Failure> {
    let fail = |why: String| {
        Failure::temporary("4.3.5", "the mail system's delivery rules have an error")
            .with_detail(format!("{}: {why}", path.display()))
    };
    let source = std::fs::read(path).map_err(|e| fail(e.to_string()))?;
    let script = compile(context, path, &source).map_err(fail)?;
    machine.run(&script).map_err(|e| fail(e.to_string()))
}

fn run_user(context: &Context, machine: &mut Machine<'_>, path: &Path) -> Result<(), Failure> {
    let Some(rules) = safe::read(path)? else { return Ok(()) };
    let ran = compile(context, path, &rules.text).and_then(|script| machine.run(&script).map_err(|e| e.to_string()));
    if let Err(why) = ran {
        log::warning(
            "sieve-error",
            context.id(),
            &[("user", &context.owner.user), ("script", &path.display()), ("why", &why)],
        );
    }
    Ok(())
}

fn compile(context: &Context, path: &Path, source: &[u8]) -> Result<Script, String> {
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    let library = Sources { context, user: Scripts::of(&context.owner.home) };
    penny_sieve::compile(&name, source, &library)
        .map_err(|errors| errors.iter().take(3).map(ToString::to_string).collect::<Vec<_>>().join("; "))
}

/// Scripts to include: the user's own, or the administrator's below the tables.
struct Sources<'a> {
    context: &'a Context,
    user: Scripts,
}

impl Library for Sources<'_> {
    fn enabled(&self, extension: &str) -> bool {
        match extension {
            "vnd.dovecot.pipe" | "vnd.dovecot.filter" | "vnd.dovecot.execute" => {
                self.context.config.deliver.sieve_programs.is_dir()
            }
            "imapsieve" => self.context.event.is_some(),
            other if self.context.event.is_some() && event::FORBIDDEN.contains(&other) => false,
            other => penny_sieve::EXTENSIONS.iter().any(|e| e.name == other && !e.optional),
        }
    }

    fn script(&self, location: Location, name: &str) -> Option<Vec<u8>> {
        match location {
            Location::Personal => safe::read(&self.user.path(name).ok()?).ok()?.map(|r| r.text),
            Location::Global => global(self.context, name),
        }
    }
}

/// A script of the administrator's for all to use.
fn global(context: &Context, name: &str) -> Option<Vec<u8>> {
    let valid = penny_base::scripts::valid_name(name);
    let path = context.config.paths.tables.join("sieve").join(format!("{name}.sieve"));
    valid.then(|| std::fs::read(path).ok())?
}

fn envelope(context: &Context) -> Envelope {
    let e = &context.envelope;
    let mut params = Vec::new();
    let mut add = |name: &str, list: &[penny_queue::Param], key: &str| {
        params.extend(
            list.iter().filter(|p| p.is(key)).filter_map(|p| p.value()).map(|v| (name.to_owned(), v.to_owned())),
        );
    };
    add("ret", &e.sender.params, "RET");
    add("envid", &e.sender.params, "ENVID");
    if let Some(recipient) = context.recipient_entry() {
        add("notify", &recipient.params, "NOTIFY");
        add("orcpt", &recipient.params, "ORCPT");
    }
    Envelope {
        from: context.sender().to_owned(),
        to: context.recipient().to_owned(),
        original_to: None,
        auth: e.login.as_ref().map(|l| l.as_str().to_owned()),
        params,
    }
}

fn settings(context: &Context) -> Settings {
    let d = &context.config.deliver;
    let mut s = Settings {
        separators: context.config.mail.separators.clone(),
        hostname: context.config.hostname(),
        postmaster: format!("postmaster@{}", context.config.hostname()),
        vacation_min: d.vacation_min.0,
        user_address: context.owner.user.contains('@').then(|| context.owner.user.clone()),
        spam: scan(&d.spamtest, f64::from(d.spamtest_max)),
        virus: scan(&d.virustest, 5.0),
        ..Settings::default()
    };
    s.limits.redirects = usize::try_from(d.sieve_redirects).unwrap_or(usize::MAX);
    s
}

/// `Field:regex`
fn scan(text: &str, max: f64) -> Option<ScanField> {
    let (header, pattern) = text.split_once(':').unwrap_or((text, ""));
    let field = ScanField {
        header: header.into(),
        pattern: pattern.into(),
        style: ScanStyle::Score,
        max,
        ..ScanField::default()
    };
    (!header.is_empty()).then_some(field)
}
