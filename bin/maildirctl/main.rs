//! maildirctl - make, look at, check, fill, empty and take over Maildirs. See maildirctl(1).
//!
//! Exit        0 done; 1 `check` found something that is not mended; sysexits otherwise (75: try again)
//! Trust       runs as the owner of the Maildir: started as root it becomes that owner before it touches anything

mod args;
mod check;
mod expire;
mod export;
mod imap;
mod import;
mod maildirs;
mod output;
mod source;
mod takeover;

use std::io::Write;
use std::process::ExitCode;

use args::{Args, Command};
use clap::Parser;
use penny_maildir::Error;

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(e) => {
            let _ = e.print(); // nobody is left to tell
            return ExitCode::from(if e.use_stderr() { 64 } else { 0 });
        }
    };
    match run(&args) {
        Ok(code) => ExitCode::from(code),
        Err(e) => {
            let _ = writeln!(std::io::stderr(), "maildirctl: {}", output::one_line(&format!("{e:#}")));
            ExitCode::from(code_of(&e))
        }
    }
}

fn run(args: &Args) -> anyhow::Result<u8> {
    args.become_owner()?;
    match &args.command {
        Command::Make { dir, folders } => maildirs::make(args, dir, folders)?,
        Command::List { dir } => maildirs::list(args, dir)?,
        Command::Check { dir, folders, repair, read } => return check::run(args, dir, folders, *repair, *read),
        Command::Quota { dir, limit, recount } => maildirs::quota(args, dir, limit.as_deref(), *recount)?,
        Command::Expire(options) => expire::run(args, options)?,
        Command::Purge { dir } => expire::purge(args, dir)?,
        Command::Import(options) => return import::run(args, options),
        Command::Export(options) => export::run(args, options)?,
        Command::TakeOver { dir, from } => takeover::take(args, dir, *from)?,
        Command::GiveBack { dir, to } => takeover::give(args, dir, *to)?,
        Command::RestoreMark { dir, folders, gap } => maildirs::restore_mark(args, dir, folders, *gap)?,
    }
    Ok(0)
}

/// The exit code of a failure (sysexits; every temporary one is 75).
fn code_of(error: &anyhow::Error) -> u8 {
    match error.downcast_ref::<Error>() {
        Some(Error::NoFolder(_)) => 67,
        Some(Error::BadName { .. } | Error::FolderExists(_)) => 65,
        Some(e) if e.is_temporary() => 75,
        Some(Error::OverQuota) => 75,
        Some(_) => 70,
        None if error.downcast_ref::<args::Usage>().is_some() => 64,
        None if error.downcast_ref::<imap::Refused>().is_some() => 77,
        None => match error.downcast_ref::<std::io::Error>().map(std::io::Error::kind) {
            Some(std::io::ErrorKind::NotFound) => 66,
            Some(std::io::ErrorKind::InvalidData) => 65,
            Some(std::io::ErrorKind::PermissionDenied) => 77,
            _ => 75,
        },
    }
}
