//! sieved - one ManageSieve conversation on descriptors 0 and 1. See sieved(8).
//!
//! Order of power   pre-login: connects to spawn, confines itself, speaks until the login, hands the conversation to `sieved --session`;
//!                  session: the user, confined to the home where uids are shared
//! Convention       ucspi

mod prelogin;
mod session;
mod state;

use penny_base::services::{self, Login, login};
use penny_base::{Config, Convention, Failure, Outcome, Owner, Peer, program, ucspi};
use std::process::ExitCode;

fn main() -> ExitCode {
    program::run("sieved", Convention::Ucspi, work)
}

fn work() -> Result<Outcome, Failure> {
    let options = program::options(std::env::args_os().skip(1), "", "c", &["session"])?;
    let config = Config::load(options.config())?;
    let config = penny_base::warm::wait("sieved", config)?;
    config.start_log("sieved");
    if options.has("session") {
        let state = login::handed_state().unwrap_or_default();
        let owner = Owner::from_env(&config)?;
        owner.confine(&config, &[&config.paths.tables.join("sieve")])?;
        return session::serve(&config, &owner, state::State::decode(&state));
    }
    let spawn = services::spawn_or_restart(&config, "sieved").map_err(|e| Failure::io("spawn", &e))?;
    let login = Login::prepare().map_err(|e| Failure::io("socketpair", &e))?;
    let peer = Peer::from_env();
    let starttls = ucspi::StartTls::from_env();
    penny_sys::confine::network_conversation().map_err(|e| Failure::io("confine", &e))?;
    prelogin::serve(config, spawn, login, peer, starttls)
}
