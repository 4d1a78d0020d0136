//! sieved - one ManageSieve conversation on descriptors 0 and 1. See sieved(8).
//!
//! Order of power   pre-login: connects to spawn, confines itself, speaks until the login, hands the conversation to `sieved --session`;
//!                  session: the user, confined to the home where uids are shared
//! Convention       ucspi

mod prelogin;
mod session;

use penny_base::services::{Service, Terms, nothing_shared};
use penny_base::{Config, Convention, program};
use std::process::ExitCode;
use std::time::Duration;

const SERVICE: Service = Service {
    program: "sieved",
    name: "sieve",
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
        login_timeout: Duration::from_secs(120),
        plain_auth_loopback: config.sieved.plain_auth_loopback,
        places: vec![config.paths.tables.join("sieve")],
    }
}
