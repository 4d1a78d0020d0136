//! remote - takes mail to other hosts by SMTP or LMTP. See remote(8).
//!
//! Runs as the out id, without any file of ours but the configuration. qrun starts `remote --jobs` with a packet socket
//! on descriptor 0 and gives it job after job for one destination; by hand
//! `remote [-f sender] [-r route] recipient ... < message` sends one message and prints an answer a recipient, and
//! `remote --verify address` asks whether the host behind a relay domain would take mail for it.
//!
//! Invariants  1. a recipient is `done` only when the host said 2xx to the end of the data for it
//!             2. what a host says is one escaped line wherever it goes   3. every wait has an end
//!             4. nothing read before STARTTLS's handshake is believed after it
//! Trust       every octet of the other host and of the DNS is hostile

mod byhand;
mod dialogue;
mod downgrade;
mod hosts;
mod jobs;
mod letter;
mod memory;
mod open;
mod outcome;
mod policy;
mod state;
mod sts;
mod tls_reports;
mod tlsrpt;
mod transaction;
mod utf8;
mod verify;
mod wire;

use penny_base::{Config, Convention, Failure, Outcome, program};
use std::process::ExitCode;

fn main() -> ExitCode {
    program::run("remote", Convention::Sysexits, work)
}

fn work() -> Result<Outcome, Failure> {
    let long = ["jobs", "verify", "send-reports"];
    let options = program::options(std::env::args_os().skip(1), "v", "cfor", &long)?;
    let config = Config::load(options.config())?;
    config.start_log("remote");
    if options.has("verify") {
        return verify::run(&config, &options.operands);
    }
    let sender = dialogue::Sender::new(&config)?;
    if options.has("send-reports") {
        return tls_reports::run(&config, &sender, options.value("o").map(Into::into));
    }
    if options.has("jobs") {
        confine(&config)?;
        return jobs::serve(sender);
    }
    byhand::run(sender, &options)
}

/// What talks to strangers is left sockets, the trusted roots and its own state: nothing to execute, nobody to signal.
fn confine(config: &Config) -> Result<(), Failure> {
    let failed = |e: std::io::Error| Failure::io("confine", &e);
    let state = config.paths.state.join("out");
    if config.paths.state.is_dir() {
        let _ = std::fs::create_dir(&state); // there already, or nothing is kept
    }
    let roots = [config.remote.ca_file.as_path(), "/etc/ssl".as_ref(), "/etc/pki".as_ref(), "/usr".as_ref()];
    let readable: Vec<_> = roots.into_iter().filter(|p| !p.as_os_str().is_empty()).collect();
    // where there is no Landlock its uid still keeps it from the files of others
    penny_sys::confine::paths_only(&[&state], &readable).map_err(failed)?;
    penny_sys::confine::sending().map_err(failed)
}
