//! The header of an arriving message, held back until it is whole.
//!
//! Invariants  1. at most [`HEADER_MAX`] octets are held, whatever comes   2. header and body together are the message,
//!             octet by octet

use penny_mime::header::Fields;

/// Largest header, octets.
pub const HEADER_MAX: usize = 1 << 20;

/// Collects a header.
#[derive(Debug, Default)]
pub struct HeaderBuffer {
    bytes: Vec<u8>,
    done: bool,
    too_large: bool,
}

impl HeaderBuffer {
    /// Takes a piece of the message; gives what of it belongs to the body.
    pub fn push<'a>(&mut self, piece: &'a [u8]) -> &'a [u8] {
        if self.done || self.too_large {
            return piece;
        }
        let before = self.bytes.len();
        self.bytes.extend_from_slice(piece);
        match find_end(&self.bytes, before.saturating_sub(1)) {
            Some(end) => {
                self.done = true;
                self.bytes.truncate(end);
                piece.get(end.saturating_sub(before)..).unwrap_or_default()
            }
            None => {
                self.too_large = self.bytes.len() > HEADER_MAX;
                &[]
            }
        }
    }

    /// Whether the empty line has come.
    pub fn is_done(&self) -> bool {
        self.done
    }

    /// Whether the header was too large to hold.
    pub fn is_too_large(&self) -> bool {
        self.too_large
    }

    /// Takes the header, with its empty line if there was one.
    pub fn take(&mut self) -> Vec<u8> {
        self.done = true;
        std::mem::take(&mut self.bytes)
    }
}

/// Offset after the empty line; the message may begin with it.
fn find_end(bytes: &[u8], from: usize) -> Option<usize> {
    if bytes.first() == Some(&b'\n') {
        return Some(1);
    }
    let tail = bytes.get(from..)?;
    tail.windows(2).position(|w| w == b"\n\n").map(|at| from + at + 2)
}

/// Received fields: the hops so far (RFC 5321 6.3).
pub fn hops(header: &[u8]) -> usize {
    Fields::new(header).filter(|field| field.is("Received")).count()
}
