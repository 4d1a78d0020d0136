//! imapd - one IMAP conversation on descriptors 0 and 1. See imapd(8).
//!
//! Order of power   pre-login: connects to spawn, confines itself (no files, sockets, exec), speaks until the login, hands the
//!                  conversation to `imapd --session` and exits; session: the user, confined to the home where uids are shared
//! Convention       ucspi

mod caps;
mod conn;
mod prelogin;
mod session;
mod shares;

use penny_base::services::{Service, Terms};
use penny_base::{Config, Convention, program};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

const SERVICE: Service = Service {
    program: "imapd",
    name: "imap",
    terms,
    before: prelogin::serve,
    open: shares::open,
    session: session::serve,
};

fn main() -> ExitCode {
    program::run(SERVICE.program, Convention::Ucspi, || SERVICE.run())
}

fn terms(config: &Config) -> Terms {
    Terms {
        login_timeout: Duration::from_secs(config.imapd.login_timeout.0),
        plain_auth_loopback: config.imapd.plain_auth_loopback,
        places: programs(config),
    }
}

/// What programs of the session need: a script run by an event (deliver(8) confines itself once more), and the warning.
fn programs(config: &Config) -> Vec<PathBuf> {
    let mut places = Vec::new();
    if session::runs_scripts(config) {
        let (tables, libexec) = (&config.paths.tables, &config.paths.libexec);
        places.extend([
            config.file.clone(),
            tables.join("sieve"),
            config.deliver.sieve_programs.clone(),
            libexec.clone(),
        ]);
    }
    if session::warns(config) {
        places.push(config.mail.quota_warning.clone());
    }
    places
}
