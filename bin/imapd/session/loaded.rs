//! Messages read from the disk.
//!
//! Invariants  a header is read without the body behind it where only the header is wanted
use penny_maildir::Error;
use penny_maildir::mailbox::Mailbox;
use std::io::Read;

/// Octets read first when only the header is wanted; most headers fit.
const HEAD: usize = 8 * 1024;

/// A message that went stale while it was read (NFS) is opened again so often.
const STALE_TRIES: u32 = 3;

/// How much of a message is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The fields of `cache::FIELDS`, usually without opening the file.
    List,
    Header,
    Whole,
}

/// Reads a whole message.
pub fn read_message(mailbox: &mut Mailbox, uid: u32) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    read_part(mailbox, uid, Part::Whole, &mut bytes)?;
    Ok(bytes)
}

/// Reads a message or its header (with its empty line) into a buffer that may be used again.
pub fn read_part(mailbox: &mut Mailbox, uid: u32, part: Part, bytes: &mut Vec<u8>) -> Result<(), Error> {
    if part == Part::List {
        return super::cache::list_header(mailbox, uid, bytes);
    }
    let mut tries = 0;
    loop {
        let done = match part {
            Part::Whole => mailbox.read_message(uid, bytes),
            Part::Header | Part::List => {
                let mut file = mailbox.open_message(uid)?;
                let failed = |source| Error::Io { what: "read", path: mailbox.maildir().path().to_path_buf(), source };
                read_header(&mut file, bytes).map_err(failed)
            }
        };
        match done {
            // on NFS another machine has renamed or removed it since it was opened
            Err(Error::Io { source, .. }) if is_stale(&source) && tries < STALE_TRIES => tries += 1,
            other => return other,
        }
    }
}

fn is_stale(e: &std::io::Error) -> bool {
    e.kind() == std::io::ErrorKind::StaleNetworkFileHandle
}

fn read_header(file: &mut std::fs::File, bytes: &mut Vec<u8>) -> std::io::Result<()> {
    let (mut filled, mut step) = (0, HEAD);
    loop {
        bytes.resize(filled + step, 0);
        let got = file.read(&mut bytes[filled..])?;
        // an empty line may lie across two reads
        let from = filled.saturating_sub(3);
        filled += got;
        let end = header_end(&bytes[..filled], from);
        if end.is_some() || got == 0 {
            bytes.truncate(end.unwrap_or(filled));
            return Ok(());
        }
        step *= 2;
    }
}

/// The end of the empty line that ends the header.
fn header_end(bytes: &[u8], from: usize) -> Option<usize> {
    if bytes.starts_with(b"\n") {
        return Some(1);
    }
    if bytes.starts_with(b"\r\n") {
        return Some(2);
    }
    let mut at = from;
    while let Some(n) = bytes[at..].iter().position(|&b| b == b'\n') {
        let next = at + n + 1;
        match bytes.get(next..) {
            Some([b'\n', ..]) => return Some(next + 1),
            Some([b'\r', b'\n', ..]) => return Some(next + 2),
            _ => at = next,
        }
    }
    None
}
