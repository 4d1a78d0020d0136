//! `pennypost expire`: removes what is older than its domain lets it stay (the option retention), for a daily job.
//!
//! Invariants  1. a folder that is named has its own time, whatever `*` says   2. the work is done by maildirctl under the
//!             uid that owns the mail
//! Failures    a Maildir that fails does not stop the others; the exit code tells of it

use crate::table::say;
use penny_base::{Config, Failure, Outcome};
use penny_tables::domains::Domains;
use penny_tables::users::Users;
use std::path::Path;
use std::process::Command;

/// maildirctl's word for a folder that is not there: nothing is kept too long in it.
const NO_FOLDER: i32 = 67;

/// Its lines about folders from which nothing goes.
const NOTHING: [&str; 2] = ["expired 0 ", "would expire 0 "];

/// Runs it; exit 75 when something failed.
pub fn run(file: &Path, dry: bool) -> Result<Outcome, Failure> {
    let config = Config::load(Some(file))?;
    let (domains, _) = Domains::parse(&crate::table::text(&config, "domains")?);
    let (users, _) = Users::parse(&crate::table::text(&config, "users")?);
    let mut lookup = crate::route::connect(&config)?;
    let mut failed = false;
    let mut logins: Vec<&str> = users.iter().map(|u| u.login.as_str()).collect();
    logins.sort_unstable();
    for login in logins {
        let domain = login.rsplit_once('@').and_then(|(_, domain)| crate::domain::name(domain).ok());
        let policy = domains.policy(domain.as_deref().unwrap_or(""));
        if policy.retention.is_empty() {
            continue;
        }
        let Some(user) = lookup.user(login)?.filter(|u| u.maildir.exists()) else { continue };
        for (folder, days) in &policy.retention {
            let named = policy.retention.iter().map(|(f, _)| f.as_str()).filter(|f| *f != "*");
            let except: Vec<&str> = if folder == "*" { named.collect() } else { Vec::new() };
            failed |= !expire(&config, login, &user.maildir, (folder, *days), &except, dry)?;
        }
    }
    Ok(if failed { Outcome::Code(75) } else { Outcome::Done })
}

/// One folder, or all but some; false when it failed.
fn expire(
    config: &Config,
    login: &str,
    maildir: &Path,
    (folder, days): (&str, u32),
    except: &[&str],
    dry: bool,
) -> Result<bool, Failure> {
    let program = config.program("maildirctl");
    let mut command = Command::new(&program);
    command.args(if dry { &["--dry-run"][..] } else { &[] }).arg("expire").arg(maildir);
    command.args(["--folder", folder, "--older", &days.to_string(), "--flagged"]);
    command.args(except.iter().map(|f| format!("--except={f}")));
    let out = command.output().map_err(|e| Failure::io(program.display(), &e))?;
    let told = String::from_utf8_lossy(&out.stdout);
    for line in told.lines().filter(|l| !NOTHING.iter().any(|n| l.starts_with(n))) {
        say(&format!("{login}: {}", line.escape_debug()))?;
    }
    if !out.status.success() && out.status.code() != Some(NO_FOLDER) {
        let why = String::from_utf8_lossy(&out.stderr);
        say(&format!("{login}: {folder}: {}", why.trim().escape_debug()))?;
        return Ok(false);
    }
    Ok(true)
}
