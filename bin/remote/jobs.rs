//! Jobs of qrun, one after the other, until it closes the socket.

use crate::dialogue::Sender;
use crate::letter::Letter;
use penny_base::{Failure, Outcome, log};
use penny_queue::job::{Job, PACKET_MAX, Told};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

/// Serves the socket on descriptor 0.
pub fn serve(mut sender: Sender) -> Result<Outcome, Failure> {
    let stdin = io::stdin();
    let socket = stdin.as_fd();
    let mut buffer = vec![0; PACKET_MAX];
    loop {
        let (n, mut fds) = penny_sys::fdpass::receive(socket, &mut buffer).map_err(|e| Failure::io("jobs", &e))?;
        if n == 0 {
            sender.close();
            return Ok(Outcome::Done);
        }
        let job = Job::decode(buffer.get(..n).unwrap_or_default());
        let (Some(job), Some(fd)) = (job, fds.pop()) else {
            return Err(Failure::temporary("4.3.0", "odd packet from qrun"));
        };
        one(&mut sender, socket, job, File::from(fd))?;
    }
}

fn one(sender: &mut Sender, socket: BorrowedFd<'_>, job: Job, file: File) -> Result<(), Failure> {
    let number = job.number;
    let letter = Letter::new(job.envelope, file).map_err(|e| Failure::io("entry", &e))?;
    let mut tell_site = |site: &str| {
        // qrun that does not listen is noticed with the outcomes
        let told = Told::Site { number, site: site.to_owned() };
        let _ = penny_sys::fdpass::send(socket, &told.encode(), &[]);
    };
    let report = sender.send(&job.route, &letter, &mut tell_site);
    let id = letter.envelope.id.as_ref().map(ToString::to_string);
    log::debug("job", id.as_deref(), &[("recipients", &report.outcomes.len()), ("open", &sender.is_open())]);
    let tell = |told: Told| {
        let sent = penny_sys::fdpass::send(socket, &told.encode(), &[]);
        sent.map(drop).map_err(|e| Failure::io("answer", &e))
    };
    for (index, outcome) in report.outcomes.into_iter().enumerate() {
        tell(Told::Recipient { number, index, outcome })?;
    }
    tell(Told::End { number, reached: report.reached, again: true })?;
    sender.record();
    Ok(())
}
