//! Jobs of qrun, one after the other, until it closes the socket.

use crate::dialogue::Sender;
use crate::letter::Letter;
use penny_base::{Failure, Outcome, log};
use penny_queue::Envelope;
use penny_queue::job::{Job, PACKET_MAX, Route, Told};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};

/// Serves the socket on descriptor 0.
pub fn serve(mut sender: Sender) -> Result<Outcome, Failure> {
    let stdin = io::stdin();
    let socket = stdin.as_fd();
    let mut buffer = vec![0; PACKET_MAX];
    loop {
        let (n, fds) = penny_sys::fdpass::receive(socket, &mut buffer).map_err(|e| Failure::io("jobs", &e))?;
        if n == 0 {
            sender.close();
            return Ok(Outcome::Done);
        }
        let job = Job::decode(buffer.get(..n).unwrap_or_default());
        let mut files = fds.into_iter().map(File::from);
        let (Some(job), Some(file)) = (job, files.next()) else {
            return Err(Failure::temporary("4.3.0", "odd packet from qrun"));
        };
        let letter = letter(job.envelope, file, files.next()).map_err(|e| Failure::io("entry", &e))?;
        one(&mut sender, socket, job.number, &job.route, &letter)?;
    }
}

/// The message, with the fields that filters put on top of it.
fn letter(envelope: Envelope, file: File, fields: Option<File>) -> io::Result<Letter> {
    let mut on_top = Vec::new();
    if let Some(mut fields) = fields {
        fields.read_to_end(&mut on_top)?;
    }
    Letter::with_fields(envelope, on_top, file)
}

fn one(
    sender: &mut Sender,
    socket: BorrowedFd<'_>,
    number: u64,
    route: &Route,
    letter: &Letter,
) -> Result<(), Failure> {
    let mut tell_site = |site: &str| {
        // qrun that does not listen is noticed with the outcomes
        let told = Told::Site { number, site: site.to_owned() };
        let _ = penny_sys::fdpass::send(socket, &told.encode(), &[]);
    };
    let report = sender.send(route, letter, &mut tell_site);
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
