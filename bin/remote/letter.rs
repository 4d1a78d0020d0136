//! The message to send: its envelope, its file, and what has to be known of its octets.

use penny_queue::Envelope;
use penny_smtp::client::{DataEncoder, wire_len};
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;

/// Octets read at a time.
const PIECE: usize = 64 << 10;

/// A message.
#[derive(Debug)]
pub struct Letter {
    /// Sender, recipients and their parameters.
    pub envelope: Envelope,
    /// Header fields in front of what the file holds.
    on_top: Vec<u8>,
    file: File,
    start: u64,
    /// The header holds octets above 127: it needs SMTPUTF8.
    pub eight_bit_header: bool,
    /// The body does: it needs 8BITMIME.
    pub eight_bit_body: bool,
}

impl Letter {
    /// Takes a file whose offset is at the message; looks through it once.
    pub fn new(envelope: Envelope, file: File) -> io::Result<Letter> {
        Letter::with_fields(envelope, Vec::new(), file)
    }

    /// The same with header fields on top, of which the envelope's sizes know nothing.
    pub fn with_fields(mut envelope: Envelope, on_top: Vec<u8>, mut file: File) -> io::Result<Letter> {
        let start = io::Seek::stream_position(&mut file)?;
        envelope.size += on_top.len() as u64;
        envelope.wire_size += wire_len(&on_top);
        let mut letter = Letter { envelope, on_top, file, start, eight_bit_header: false, eight_bit_body: false };
        letter.look()?;
        Ok(letter)
    }

    fn look(&mut self) -> io::Result<()> {
        let (mut header, mut at_line_start) = (true, true);
        let mut found = (false, false);
        self.pieces(|piece| {
            let mut rest = piece;
            while header && !rest.is_empty() {
                let end = rest.iter().position(|b| *b == b'\n').map_or(rest.len(), |at| at + 1);
                let (line, after) = rest.split_at(end);
                header = !(at_line_start && line == b"\n");
                found.0 |= !line.is_ascii();
                at_line_start = line.ends_with(b"\n");
                rest = after;
            }
            found.1 |= !rest.is_ascii();
            Ok::<(), io::Error>(())
        })?;
        (self.eight_bit_header, self.eight_bit_body) = found;
        Ok(())
    }

    /// The stored message, piece by piece.
    pub fn pieces<E: From<io::Error>>(&self, mut take: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        if !self.on_top.is_empty() {
            take(&self.on_top)?;
        }
        let mut buffer = vec![0; PIECE];
        let mut at = self.start;
        loop {
            match self.file.read_at(&mut buffer, at) {
                Ok(0) => return Ok(()),
                Ok(n) => {
                    at += n as u64;
                    take(&buffer[..n])?;
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e.into()),
            }
        }
    }

    /// The message as it goes over the wire, piece by piece.
    pub fn encoded<E: From<io::Error>>(
        &self,
        mut encoder: DataEncoder,
        mut take: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut out = Vec::with_capacity(PIECE + PIECE / 16);
        self.pieces(|piece| {
            out.clear();
            encoder.push(piece, &mut out);
            take(&out)
        })?;
        out.clear();
        encoder.finish(&mut out);
        take(&out)
    }

    /// The whole message in memory, for small ones that are converted.
    pub fn bytes(&self) -> io::Result<Vec<u8>> {
        let mut all = Vec::new();
        self.pieces(|piece| {
            all.extend_from_slice(piece);
            Ok::<(), io::Error>(())
        })?;
        Ok(all)
    }

    /// The same envelope with another content.
    pub fn with_content(&self, content: &[u8]) -> io::Result<Letter> {
        let file = penny_sys::fs::memory_file_of("letter", content)?;
        let (size, wire_size) = (content.len() as u64, wire_len(content));
        Letter::new(Envelope { size, wire_size, ..self.envelope.clone() }, file)
    }
}
