//! The command line.
//!
//! deliver [-c FILE] [-d USER] [-f SENDER] [-a RECIPIENT] [-m FOLDER] [-t SECONDS] [-n] [--job]

use std::path::PathBuf;

use penny_base::{Config, Failure, program};

/// What was asked for.
pub struct Options {
    pub config: Config,
    /// Started by qrun or smtpd: message at the offset of fd 0, envelope on fd 3.
    pub job: bool,
    /// Whose mailbox (by hand); default: the caller's.
    pub user: Option<String>,
    /// Envelope sender (by hand).
    pub sender: Option<String>,
    /// Envelope recipient (by hand), for +extension and Delivered-To.
    pub recipient: Option<String>,
    /// Straight into this folder, no rules.
    pub folder: Option<String>,
    /// No rules.
    pub plain: bool,
    /// Time limit in seconds.
    pub limit: Option<u64>,
}

/// Reads the arguments of the process.
///
/// `-l` and `-e` and `-k` of other MDAs are not taken: what they ask for is always so here.
pub fn parse() -> Result<Options, Failure> {
    let given = program::options(std::env::args_os().skip(1), "n", "cdfamt", &["job"])?;
    if let Some(extra) = given.operands.first() {
        return Err(Failure::usage(format!("unexpected argument {}", extra.to_string_lossy())));
    }
    let text = |flag: &str| -> Result<Option<String>, Failure> {
        given.value(flag).map(|v| v.to_str().map(str::to_owned).ok_or_else(|| bad(flag))).transpose()
    };
    let config = Config::load(given.config().map(PathBuf::from).as_deref())?;
    config.start_log("deliver");
    let limit = text("t")?.map(|t| t.parse().map_err(|_| bad("t"))).transpose()?;
    Ok(Options {
        job: given.has("job"),
        user: text("d")?,
        sender: text("f")?,
        recipient: text("a")?,
        folder: text("m")?,
        plain: given.has("n"),
        limit,
        config,
    })
}

fn bad(flag: &str) -> Failure {
    Failure::usage(format!("option -{flag}: not a usable value"))
}
