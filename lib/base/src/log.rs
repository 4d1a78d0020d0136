//! Log lines: one line an event, `key=value`, the queue id first.
//!
//! Format      specified in pennypost-log(5): `program[pid]: q=<queue id or -> ev=<event> key=value ...`
//! Invariants  1. an event is one line whatever it is made of: every octet outside printable ASCII, and the quote
//!             and backslash, are escaped   2. logging never fails a program and never blocks it for long
//! Target      standard error (systemd-journald, multilog, s6-log) or syslog facility `mail`, connected before
//!             the program confines itself and connected again when syslogd was restarted. inetd and xinetd make the
//!             connection standard error as well: nothing is ever written there, syslog gets the lines

use std::fmt::{Display, Write as _};
use std::io::Write;
use std::os::unix::net::UnixDatagram;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock};
use syslog::{Facility, Severity};

/// How grave an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// The program cannot go on.
    Error,
    /// Something an admin should look at.
    Warning,
    /// The ordinary course of mail.
    Info,
    /// Detail, off by default.
    Debug,
}

impl Level {
    fn severity(self) -> Severity {
        match self {
            Level::Error => Severity::LOG_ERR,
            Level::Warning => Severity::LOG_WARNING,
            Level::Info => Severity::LOG_INFO,
            Level::Debug => Severity::LOG_DEBUG,
        }
    }
}

struct Target {
    program: &'static str,
    syslog: Option<Mutex<UnixDatagram>>,
    /// Lines kept back until [`release`].
    held: Option<Mutex<String>>,
    /// Standard error is the connection.
    peer: bool,
    debug: AtomicBool,
}

/// Octets kept back; more go to standard error at once.
const HELD_MAX: usize = 64 * 1024;

static TARGET: OnceLock<Target> = OnceLock::new();

const SYSLOG_SOCKET: &str = "/dev/log";

/// Sets where lines go; the first call counts.
pub fn init(program: &'static str, to_syslog: bool, debug: bool) {
    let peer = stderr_is_peer();
    let syslog = (to_syslog || peer).then(connect).flatten().map(Mutex::new);
    let _ = TARGET.set(Target { program, syslog, held: None, peer, debug: debug.into() });
}

/// For a program whose caller takes anything on standard error for a failure: lines go to syslog; where there is none they are kept
/// back until [`release`].
pub fn init_silent(program: &'static str, debug: bool) {
    let syslog = connect().map(Mutex::new);
    let held = syslog.is_none().then(Mutex::default);
    let _ = TARGET.set(Target { program, syslog, held, peer: stderr_is_peer(), debug: debug.into() });
}

/// Debug lines too, or no more.
pub fn set_debug(on: bool) {
    if let Some(target) = TARGET.get() {
        target.debug.store(on, Ordering::Relaxed);
    }
}

/// Writes what [`init_silent`] kept back.
pub fn release() {
    let Some(mut held) = TARGET.get().and_then(|t| t.held.as_ref()).and_then(|h| h.lock().ok()) else { return };
    let _ = std::io::stderr().write_all(std::mem::take(&mut *held).as_bytes());
}

fn connect() -> Option<UnixDatagram> {
    let socket = UnixDatagram::unbound().ok()?;
    socket.connect(SYSLOG_SOCKET).ok()?;
    Some(socket)
}

/// Writes one event. `id` is the queue id, `fields` are shown in their order.
pub fn event(level: Level, name: &str, id: Option<&str>, fields: &[(&str, &dyn Display)]) {
    let target = TARGET.get();
    if level == Level::Debug && !target.is_some_and(|t| t.debug.load(Ordering::Relaxed)) {
        return;
    }
    let program = target.map_or("pennypost", |t| t.program);
    let line = format_line(name, id, fields);
    let text = format!("{program}[{}]: {line}", std::process::id());
    match target.and_then(|t| t.syslog.as_ref()) {
        Some(socket) => send(socket, level, &text),
        None if target.map_or_else(stderr_is_peer, |t| t.peer) => {
            // before init, or without a syslogd: better lost than told to a stranger
            if let Some(socket) = target.is_none().then(connect).flatten() {
                send(&Mutex::new(socket), level, &text);
            }
        }
        None => write_line(target.and_then(|t| t.held.as_ref()), &format!("{text}\n")),
    }
}

fn write_line(held: Option<&Mutex<String>>, line: &str) {
    if let Some(Ok(mut held)) = held.map(Mutex::lock)
        && held.len() + line.len() <= HELD_MAX
    {
        held.push_str(line);
        return;
    }
    // one write, so that lines of several processes do not mix
    let _ = std::io::stderr().write_all(line.as_bytes());
}

/// Whether standard error is a connection to another host (journald's is a unix socket).
fn stderr_is_peer() -> bool {
    use nix::sys::socket::{AddressFamily, SockaddrLike, SockaddrStorage, getsockname};
    let address = getsockname::<SockaddrStorage>(2).ok();
    address.and_then(|a| a.family()).is_some_and(|f| matches!(f, AddressFamily::Inet | AddressFamily::Inet6))
}

fn send(socket: &Mutex<UnixDatagram>, level: Level, text: &str) {
    // no time stamp of ours: syslogd sets its own when it is missing
    let packet = format!("<{}>{text}", Facility::LOG_MAIL as u32 | level.severity() as u32);
    let Ok(mut guard) = socket.lock() else { return };
    if guard.send(packet.as_bytes()).is_err()
        && let Some(again) = connect()
    {
        *guard = again;
        let _ = guard.send(packet.as_bytes());
    }
}

/// The line of an event, without program and pid.
pub fn format_line(name: &str, id: Option<&str>, fields: &[(&str, &dyn Display)]) -> String {
    let mut line = String::with_capacity(128);
    line.push_str("q=");
    push_value(&mut line, id.unwrap_or("-"));
    line.push_str(" ev=");
    push_value(&mut line, name);
    for (key, value) in fields {
        line.push(' ');
        line.push_str(key);
        line.push('=');
        push_value(&mut line, &value.to_string());
    }
    line
}

/// Appends a value: bare where that is safe, else in quotes with `\"`, `\\` and `\xNN`.
pub fn push_value(line: &mut String, value: &str) {
    let bare = |b: u8| b.is_ascii_graphic() && b != b'"' && b != b'\\' && b != b'=';
    if !value.is_empty() && value.bytes().all(bare) {
        line.push_str(value);
        return;
    }
    line.push('"');
    for b in value.bytes() {
        match b {
            b'"' | b'\\' => {
                line.push('\\');
                line.push(b as char);
            }
            b' '..=b'~' => line.push(b as char),
            _ => {
                let _ = write!(line, "\\x{b:02x}");
            }
        }
    }
    line.push('"');
}

/// An event of the ordinary course of mail.
pub fn info(name: &str, id: Option<&str>, fields: &[(&str, &dyn Display)]) {
    event(Level::Info, name, id, fields);
}

/// Something an admin should look at.
pub fn warning(name: &str, id: Option<&str>, fields: &[(&str, &dyn Display)]) {
    event(Level::Warning, name, id, fields);
}

/// The program cannot go on.
pub fn error(name: &str, id: Option<&str>, fields: &[(&str, &dyn Display)]) {
    event(Level::Error, name, id, fields);
}

/// Detail for a search for faults.
pub fn debug(name: &str, id: Option<&str>, fields: &[(&str, &dyn Display)]) {
    event(Level::Debug, name, id, fields);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_octets_cannot_make_a_second_line_or_field() {
        let line = format_line("reject", None, &[("helo", &"a\nq=1 ev=\"forged\"\x1b[0m é")]);
        assert_eq!(line, "q=- ev=reject helo=\"a\\x0aq=1 ev=\\\"forged\\\"\\x1b[0m \\xc3\\xa9\"");
    }

    #[test]
    fn plain_values_stay_plain() {
        assert_eq!(format_line("sent", Some("1.2"), &[("to", &"<a@b>"), ("n", &3)]), "q=1.2 ev=sent to=<a@b> n=3");
    }
}
