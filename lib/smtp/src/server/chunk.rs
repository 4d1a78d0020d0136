//! The content of BDAT chunks: counted octets, so nothing in them ends anything.
//!
//! Standards   RFC 3030 section 2 (CHUNKING), 3 (BINARYMIME)
//! Invariants  1. text content leaves with LF line ends and is held to the same rules as DATA
//!             2. a CRLF may be cut by chunk borders
//!             3. binary content leaves as it came; the caller re-codes it before anything else reads it

use super::data::{Content, Policy, Problem, Sink};

/// Decoder of the chunks of one message.
#[derive(Debug)]
pub struct ChunkDecoder {
    sink: Sink,
    binary: bool,
    pending_cr: bool,
}

impl ChunkDecoder {
    /// A decoder at the beginning of a message; `binary` for BODY=BINARYMIME.
    pub fn new(policy: Policy, binary: bool) -> Self {
        Self { sink: Sink::new(policy), binary, pending_cr: false }
    }

    /// Decodes octets that belong to a chunk.
    pub fn feed(&mut self, input: &[u8], out: &mut Vec<u8>) {
        if self.binary {
            return self.sink.raw(input, out);
        }
        let mut at = 0;
        while let Some(&byte) = input.get(at) {
            at += self.octet(byte, input.get(at..).unwrap_or_default(), out);
        }
    }

    fn octet(&mut self, byte: u8, rest: &[u8], out: &mut Vec<u8>) -> usize {
        if std::mem::take(&mut self.pending_cr) {
            if byte == b'\n' {
                self.sink.line_end(out);
                return 1;
            }
            self.sink.bare(Problem::BareCr, out);
        }
        match byte {
            b'\r' => self.pending_cr = true,
            b'\n' => self.sink.bare(Problem::BareLf, out),
            0 => self.sink.bare(Problem::Nul, out),
            _ => return self.sink.run(rest, out),
        }
        1
    }

    /// What is known so far.
    pub fn facts(&self) -> Content {
        self.sink.facts
    }

    /// Notes a problem found outside, such as a chunk that would exceed the limit.
    pub fn refuse(&mut self, problem: Problem) {
        self.sink.problem(problem);
    }

    /// The end of the last chunk: a last line without CRLF gets its line end.
    pub fn finish(&mut self, out: &mut Vec<u8>) -> Content {
        if std::mem::take(&mut self.pending_cr) {
            self.sink.bare(Problem::BareCr, out);
        }
        if !self.binary && !self.sink.at_line_start() {
            self.sink.line_end(out);
        }
        self.sink.facts
    }
}
