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
mod open;
mod outcome;
mod policy;
mod sts;
mod transaction;
mod verify;
mod wire;

use penny_base::{Config, Convention, Failure, Outcome, program};
use std::process::ExitCode;

fn main() -> ExitCode {
    program::run("remote", Convention::Sysexits, work)
}

fn work() -> Result<Outcome, Failure> {
    let options = program::options(std::env::args_os().skip(1), "v", "cfr", &["jobs", "verify"])?;
    let config = Config::load(options.config())?;
    config.start_log("remote");
    if options.has("verify") {
        return verify::run(&config, &options.operands);
    }
    let sender = dialogue::Sender::new(config)?;
    if options.has("jobs") { jobs::serve(sender) } else { byhand::run(sender, &options) }
}
