//! imapd - one IMAP conversation on descriptors 0 and 1. See imapd(8).
//!
//! Order of power   pre-login: connects to spawn, confines itself (no files, sockets, exec), speaks until the login, hands the
//!                  conversation to `imapd --session` and exits; session: the user, confined to the home where uids are shared
//! Convention       ucspi

mod caps;
mod conn;
mod prelogin;
mod session;
mod state;

use penny_base::services::{self, Login, login};
use penny_base::{Config, Convention, Failure, Outcome, Owner, Peer, program, ucspi};
use std::process::ExitCode;

fn main() -> ExitCode {
    program::run("imapd", Convention::Ucspi, work)
}

fn work() -> Result<Outcome, Failure> {
    let options = program::options(std::env::args_os().skip(1), "", "c", &["session"])?;
    let config = Config::load(options.config())?;
    let config = penny_base::warm::wait("imapd", config)?;
    config.start_log("imapd");
    if options.has("session") {
        // by hand nothing is handed over: a preauthenticated conversation of the caller's own mailbox
        let state = login::handed_state().ok().map(|bytes| state::State::decode(&bytes));
        let owner = Owner::from_env(&config)?;
        // what a script run by an event needs: deliver(8) confines itself once more
        let scripts = config.paths.tables.join("sieve");
        let needed = [config.file.as_path(), &scripts, &config.deliver.sieve_programs, &config.paths.libexec];
        owner.confine(&config, if config.imapd.imapsieve.is_empty() { &[] } else { &needed })?;
        return session::serve(config, owner, state);
    }
    let spawn = services::spawn_or_restart(&config, "imapd").map_err(|e| Failure::io("spawn", &e))?;
    let login = Login::prepare().map_err(|e| Failure::io("socketpair", &e))?;
    let peer = Peer::from_env();
    let starttls = ucspi::StartTls::from_env();
    penny_sys::confine::network_conversation().map_err(|e| Failure::io("confine", &e))?;
    prelogin::serve(config, spawn, login, peer, starttls)
}
