//! The command line: `smtpd [-c file] [-r mx|submission|lmtp]`.

use penny_base::{Failure, program};
use penny_smtp::server::Role;
use std::ffi::OsString;
use std::path::PathBuf;

/// What was asked for.
pub struct Options {
    /// `-c`
    pub config: Option<PathBuf>,
    /// `-r`
    pub role: Role,
}

/// Parses the arguments.
pub fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Options, Failure> {
    let options = program::options(arguments, "", "cr", &[])?;
    if let Some(operand) = options.operands.first() {
        return Err(Failure::usage(format!("unexpected argument {}", operand.to_string_lossy())));
    }
    let role = match options.value("r").map(|r| r.to_string_lossy().into_owned()).as_deref() {
        None | Some("mx") => Role::Mx,
        Some("submission") => Role::Submission,
        Some("lmtp") => Role::Lmtp,
        Some(other) => return Err(Failure::usage(format!("-r {other}: use mx, submission or lmtp"))),
    };
    Ok(Options { config: options.config().map(PathBuf::from), role })
}

/// The name of a role in logs, filters and questions to lookup.
pub fn service_name(role: Role) -> &'static str {
    match role {
        Role::Mx => "mx",
        Role::Submission => "submission",
        Role::Lmtp => "lmtp",
    }
}
