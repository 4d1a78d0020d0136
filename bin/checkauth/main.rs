//! checkauth - the SASL server side and password checks for one connection. See checkauth(8).
//!
//! Runs as the auth uid, started by spawn; root only for PAM and the checkpassword interface.

mod backend;
mod checkpassword;
mod oauth;
mod pam;
mod protocol;
mod users;

use penny_base::{Config, Convention, Failure, Outcome, program};
use std::process::ExitCode;

fn main() -> ExitCode {
    program::run("checkauth", Convention::Ucspi, work)
}

fn work() -> Result<Outcome, Failure> {
    let options = program::options(std::env::args_os().skip(1), "", "c", &["granted"])?;
    if options.has("granted") {
        return checkpassword::granted();
    }
    let config = Config::load(options.config())?;
    penny_sys::confine::not_dumpable().map_err(|e| Failure::io("prctl", &e))?;
    let mut kept = users::Kept::default();
    let config = penny_base::warm::wait_prepared("checkauth", config, |config| kept.refresh(config))?;
    config.start_log("checkauth");
    protocol::serve(backend::Backend::new(config, kept))
}
