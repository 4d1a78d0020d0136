//! tlsd - TLS for one connection on descriptor 0, for inetd, tcpserver and systemd's Accept=yes. See tlsd(8).
//!
//! Order       read the keys; fork; the child becomes the tls id and holds the keys; this process goes on as argv with
//!             SSLCTLFD, SSLREADFD and SSLWRITEFD (`tlsd smtpd`), or, with `-i`, after the handshake with SSL_* set

mod child;

use penny_base::{Config, Convention, Failure, Outcome, program};
use std::process::ExitCode;

fn main() -> ExitCode {
    program::run("tlsd", Convention::Ucspi, work)
}

fn work() -> Result<Outcome, Failure> {
    // what follows the first operand belongs to the program
    let all: Vec<_> = std::env::args_os().skip(1).collect();
    let mut split = 0;
    while let Some(a) = all.get(split).filter(|a| a.as_encoded_bytes().starts_with(b"-")) {
        split += if a == "-c" { 2 } else { 1 };
    }
    let options = program::options(all.iter().take(split).cloned(), "i", "c", &[])?;
    let argv = all.get(split..).unwrap_or(&[]);
    let config = Config::load(options.config())?;
    config.start_log("tlsd");
    if argv.is_empty() {
        return Err(Failure::usage("usage: tlsd [-c file] [-i] program [argument ...]"));
    }
    child::run(&config, options.has("i"), argv)
}
