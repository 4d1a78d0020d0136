//! The command: `enqueue -f SENDER RECIPIENT... < message`, and qmail-queue's form when called `qmail-queue`.
//!
//! qmail-queue  message on descriptor 0; on descriptor 1 `F sender NUL`, `T recipient NUL` ..., NUL
//! Exit         sysexits; as qmail-queue 0, 11 (address too long), 31 (refused), 53 (trouble writing), 54 (trouble
//!              reading the envelope), 91 (envelope format), 81 (other)

use penny_base::{Config, Failure, Outcome, program::Options};
use penny_queue::{Address, Enqueue, Envelope, Message, Recipient, Sender};
use std::io::{self, Read};
use std::os::fd::AsFd;

pub fn run(config: &Config, options: &Options) -> Result<Outcome, Failure> {
    let called = std::env::args_os().next().unwrap_or_default();
    if called.to_string_lossy().rsplit('/').next() == Some("qmail-queue") {
        return Ok(Outcome::Code(qmail_queue(config)));
    }
    let sender = options.value("f").map(|v| v.to_string_lossy().into_owned()).unwrap_or_default();
    let recipients: Vec<String> = options.operands.iter().map(|o| o.to_string_lossy().into_owned()).collect();
    let envelope = envelope(&sender, &recipients)?;
    let message = read_message()?;
    let mut enqueue = Enqueue::connect(config, None).map_err(|e| Failure::io("enqueue", &e))?;
    commit(&mut enqueue, &envelope, &message)?;
    Ok(Outcome::Done)
}

fn commit(enqueue: &mut Enqueue, envelope: &Envelope, message: &[u8]) -> Result<(), Failure> {
    if message.len() <= penny_queue::client::INLINE_MAX {
        return enqueue.commit(envelope, b"", Message::Bytes(message)).map(|_| ());
    }
    let file = penny_sys::fs::memory_file_of("message", message).map_err(|e| Failure::io("memory file", &e))?;
    enqueue.commit(envelope, b"", Message::File(&file)).map(|_| ())
}

fn address(text: &str) -> Result<Address, Failure> {
    Address::new(text).ok_or_else(|| Failure::usage(format!("not an address: {text}")))
}

fn envelope(sender: &str, recipients: &[String]) -> Result<Envelope, Failure> {
    if recipients.is_empty() {
        return Err(Failure::usage("usage: enqueue [-c file] [-f sender] recipient ... < message"));
    }
    let sender =
        Sender { address: if sender.is_empty() { Address::default() } else { address(sender)? }, params: Vec::new() };
    let to = recipients.iter().map(|r| Ok(Recipient { address: address(r)?, params: Vec::new() }));
    Ok(Envelope { sender, recipients: to.collect::<Result<_, Failure>>()?, ..Envelope::default() })
}

/// The message on descriptor 0 with CRLF made LF.
fn read_message() -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    io::stdin().lock().read_to_end(&mut bytes).map_err(|e| Failure::io("standard input", &e))?;
    if !bytes.contains(&b'\r') {
        return Ok(bytes);
    }
    let mut out = Vec::with_capacity(bytes.len());
    for (i, b) in bytes.iter().enumerate() {
        if *b != b'\r' || bytes.get(i + 1) != Some(&b'\n') {
            out.push(*b);
        }
    }
    Ok(out)
}

fn qmail_queue(config: &Config) -> u8 {
    let Ok(message) = read_message() else { return 54 };
    let mut raw = Vec::new();
    let fd = match io::stdout().as_fd().try_clone_to_owned() {
        Ok(fd) => fd,
        Err(_) => return 54,
    };
    if std::fs::File::from(fd).read_to_end(&mut raw).is_err() {
        return 54;
    }
    let Some((sender, recipients)) = qmail_envelope(&raw) else { return 91 };
    let Ok(envelope) = envelope(&sender, &recipients) else { return 11 };
    let Ok(mut enqueue) = Enqueue::connect(config, None) else { return 81 };
    match commit(&mut enqueue, &envelope, &message) {
        Ok(()) => 0,
        Err(f) if f.is_temporary() => 53,
        Err(_) => 31,
    }
}

fn qmail_envelope(raw: &[u8]) -> Option<(String, Vec<String>)> {
    let text = std::str::from_utf8(raw).ok()?.strip_suffix("\0\0")?;
    let mut parts = text.split('\0');
    let sender = parts.next()?.strip_prefix('F')?.to_string();
    let recipients = parts.map(|p| p.strip_prefix('T').map(String::from)).collect::<Option<Vec<_>>>()?;
    Some((sender, recipients))
}
