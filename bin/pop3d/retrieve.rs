//! RETR and TOP.
//!
//! Invariants  1. what cannot be opened is answered -ERR before any octet   2. a read that fails in the middle ends the connection: a
//!             message cut short must not look whole

use std::os::fd::AsFd;

use penny_base::Failure;
use penny_pop3::{Multiline, err, ok};

use crate::session::Session;

/// Read at once.
const CHUNK: usize = 64 * 1024;

/// RFC 1939 5.
pub fn retr(session: &mut Session, number: u32) -> Result<bool, Failure> {
    let Some((position, uid)) = session.find(number) else { return session.no_such() };
    if send(session, uid, Multiline::whole())? {
        session.saw(position);
    }
    Ok(true)
}

/// RFC 1939 7.
pub fn top(session: &mut Session, number: u32, lines: u64) -> Result<bool, Failure> {
    let Some((_, uid)) = session.find(number) else { return session.no_such() };
    send(session, uid, Multiline::top(lines))?;
    Ok(true)
}

fn send(session: &mut Session, uid: u32, mut coder: Multiline) -> Result<bool, Failure> {
    let file = match session.mailbox().open_message(uid) {
        Ok(file) => file,
        Err(e) => {
            let gone = matches!(e, penny_maildir::Error::Gone(_));
            let code = if gone { None } else { Some("SYS/TEMP") };
            session
                .send(&err(code, if gone { "the message was removed meanwhile" } else { "cannot read the message" }))?;
            return Ok(false);
        }
    };
    session.send(&ok("message follows"))?;
    let (wire, chunk) = session.wire_and_chunk();
    while !coder.is_done() {
        chunk.clear();
        let n = penny_sys::net::read_more(file.as_fd(), chunk, CHUNK).map_err(|e| Failure::io("read message", &e))?;
        if n == 0 {
            break;
        }
        coder.feed(chunk, wire.out());
        wire.flush_if_large().map_err(|e| Failure::io("conversation", &e))?;
    }
    coder.finish(wire.out());
    Ok(true)
}
