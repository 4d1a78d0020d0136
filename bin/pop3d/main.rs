//! pop3d - one POP3 conversation on descriptors 0 and 1. See pop3d(8).
//!
//! Order of power   pre-login: connects to spawn, confines itself (no files, sockets, exec), speaks until the login, hands the
//!                  conversation to `pop3d --session` and exits; session: the user, confined to the home where uids are shared
//! Convention       ucspi

mod lang;
mod lock;
mod prelogin;
mod retrieve;
mod session;
mod uidl;

use penny_base::services::{Service, Terms, nothing_shared};
use penny_base::{Config, Convention, program};
use std::process::ExitCode;
use std::time::Duration;

const SERVICE: Service = Service {
    program: "pop3d",
    name: "pop3",
    terms,
    before: prelogin::serve,
    open: nothing_shared,
    session: session::serve,
};

fn main() -> ExitCode {
    program::run(SERVICE.program, Convention::Ucspi, || SERVICE.run())
}

fn terms(config: &Config) -> Terms {
    Terms {
        login_timeout: Duration::from_secs(config.pop3d.login_timeout.0),
        plain_auth_loopback: config.pop3d.plain_auth_loopback,
        places: Vec::new(),
    }
}
