//! Which rules a message follows: the first that is there.
//!
//! Order       -m FOLDER; Sieve script; what a filter marked junk -> Junk; `.forward`; `.qmail`, `.qmail-ext`, `-default`;
//!             +extension to the folder of that name if it exists; INBOX
//! Invariants  a rules file that is unsafe or wrong defers the message: nothing is delivered by rules the owner did not write

use penny_base::Failure;

use crate::context::Context;
use crate::folder::{self, Filing};
use crate::outcome::Done;
use crate::{fields, forward, qmail, safe, sieve, steps};

/// Delivers the message.
pub fn deliver(context: Context) -> Result<Done, Failure> {
    let context = &context;
    if let Some(event) = &context.event {
        return sieve::event::run(context, event);
    }
    fields::check_loop(context)?;
    if let Some(step) = &context.instruction {
        return steps::run(context, std::slice::from_ref(step), &[]);
    }
    if let Some(name) = &context.folder {
        let took = folder::deliver(context, name, &Filing { create: true, ..Filing::default() })?;
        return Ok(Done::new(format!("delivered to {took}")));
    }
    if context.plain {
        return default(context);
    }
    safe::check_home(&context.owner.home)?;
    if let Some(done) = sieve::deliver(context)? {
        return Ok(done);
    }
    if context.is_junk() {
        return default(context);
    }
    if let Some(done) = by_forward(context)? {
        return Ok(done);
    }
    if let Some(done) = by_qmail(context)? {
        return Ok(done);
    }
    default(context)
}

/// Anything that may be a rule for this message, safe to use or not.
pub fn exist(context: &Context) -> bool {
    let home = &context.owner.home;
    let there = |path: &std::path::Path| path.symlink_metadata().is_ok();
    context.config.deliver.scripts_for_all()
        || !matches!(penny_base::scripts::Scripts::of(home).active_file(), Ok(None))
        || there(&home.join(".forward"))
        || qmail::candidates(home, context.extension().as_deref()).iter().any(|(path, _)| there(path))
}

/// The folder mail goes to without rules: Junk, +extension, INBOX.
pub fn default_folder(context: &Context) -> (String, bool) {
    if context.is_junk() {
        return (context.config.mail.junk_folder.clone(), true);
    }
    let folder = context.extension().and_then(|e| folder::named(context, &e));
    (folder.unwrap_or_else(|| "INBOX".into()), false)
}

fn default(context: &Context) -> Result<Done, Failure> {
    let (name, create) = default_folder(context);
    let took = folder::deliver(context, &name, &Filing { create, ..Filing::default() })?;
    Ok(Done::new(format!("delivered to {took}")))
}

fn by_forward(context: &Context) -> Result<Option<Done>, Failure> {
    let path = context.owner.home.join(".forward");
    let Some(rules) = safe::read(&path)? else { return Ok(None) };
    let text = String::from_utf8(rules.text).map_err(|_| steps::bad(&path, "not UTF-8"))?;
    let list = forward::parse(&text, &context.owner.user).map_err(|e| steps::bad(&path, &e))?;
    if list.is_empty() {
        // an empty .forward says nothing
        return Ok(None);
    }
    steps::run(context, &list, &[]).map(Some)
}

fn by_qmail(context: &Context) -> Result<Option<Done>, Failure> {
    let extension = context.extension();
    for (path, default) in qmail::candidates(&context.owner.home, extension.as_deref()) {
        let Some(rules) = safe::read(&path)? else { continue };
        let text = String::from_utf8(rules.text).map_err(|_| steps::bad(&path, "not UTF-8"))?;
        let executable = rules.mode & 0o100 != 0;
        let list = qmail::parse(&text, executable).map_err(|e| steps::bad(&path, &e))?;
        let extra: Vec<_> = default.into_iter().map(|d| ("DEFAULT".to_owned(), d)).collect();
        return steps::run(context, &list.steps, &extra).map(Some);
    }
    Ok(None)
}
