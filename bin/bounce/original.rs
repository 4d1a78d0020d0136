//! The message a report is about: its envelope, and as much of its content as is returned.

use penny_base::Failure;
use penny_queue::Envelope;
use penny_queue::entry::{EntryError, read_envelope};
use penny_queue::report::Content;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;

/// Longest header returned.
const HEADER_MAX: u64 = 256 << 10;

/// The message.
pub struct Original {
    /// Its envelope.
    pub envelope: Envelope,
    header: Vec<u8>,
    file: File,
    body: u64,
}

impl Original {
    /// Reads envelope and header.
    pub fn read(file: File) -> Result<Original, Failure> {
        let (envelope, body) = read_envelope(&file).map_err(|e| match e {
            EntryError::Io(e) => Failure::io("entry", &e),
            EntryError::Gone => Failure::temporary("4.3.0", "the entry is gone"),
            EntryError::Corrupt(what) => Failure::temporary("4.3.0", "the entry is not understood").with_detail(what),
        })?;
        let start = read_at(&file, body, envelope.size.min(HEADER_MAX)).map_err(|e| Failure::io("entry", &e))?;
        Ok(Original { envelope, header: header_of(&start).to_vec(), file, body })
    }

    /// What is returned.
    pub fn content(&self, how: Content) -> Result<Vec<u8>, Failure> {
        match how {
            Content::Headers => Ok(self.header.clone()),
            Content::Full => read_at(&self.file, self.body, self.envelope.size).map_err(|e| Failure::io("entry", &e)),
        }
    }

    /// Its Message-ID, for In-Reply-To.
    pub fn message_id(&self) -> Option<String> {
        let text = String::from_utf8_lossy(&self.header);
        let mut lines = text.lines().peekable();
        while let Some(line) = lines.next() {
            let Some((name, value)) = line.split_once(':') else { continue };
            if name.trim_end().eq_ignore_ascii_case("message-id") {
                // folded after the colon, as long identifiers are
                let folded = lines.peek().filter(|next| next.starts_with([' ', '\t']));
                let value = if value.trim().is_empty() { folded.copied().unwrap_or_default() } else { value };
                return Some(value.trim().to_owned()).filter(|v| v.starts_with('<') && v.ends_with('>'));
            }
        }
        None
    }
}

/// The header with the empty line that ends it left out, cut at a line where it is too long.
fn header_of(start: &[u8]) -> &[u8] {
    if start.first() == Some(&b'\n') {
        return &[];
    }
    let end = start.windows(2).position(|w| w == b"\n\n").map(|at| at + 1);
    let cut = || start.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
    start.get(..end.unwrap_or_else(cut)).unwrap_or_default()
}

fn read_at(file: &File, offset: u64, len: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(len).map_err(|_| ErrorKind::OutOfMemory)?];
    file.read_exact_at(&mut bytes, offset)?;
    Ok(bytes)
}
