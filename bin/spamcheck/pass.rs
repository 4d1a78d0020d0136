//! `--pass`: the message through, `X-Spamcheck:` on top, foreign ones removed. Memory stays flat whatever the size.

use crate::args::Options;
use crate::classify::{Judge, code, read_bounded};
use crate::output;
use penny_spam::view::is_own_field;
use std::io::{self, BufWriter, Read, Write};

/// Octets of a line kept to see its name.
const NAME_MAX: usize = 64;

/// Runs it.
pub fn run(o: &Options) -> anyhow::Result<u8> {
    let mut input = io::stdin().lock();
    let head = read_bounded(&mut input)?;
    let mut judge = Judge::new(o);
    let verdict = judge.judge(&head);
    let mut out = BufWriter::with_capacity(64 * 1024, io::stdout().lock());
    let mut strip = Strip::new(is_own_field);
    begin(&head, &output::field(&verdict, judge.trouble.as_deref()), &mut strip, &mut out)?;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let n = input.read(&mut buffer)?;
        if n == 0 {
            break;
        }
        strip.feed(buffer.get(..n).unwrap_or(b""), &mut out)?;
    }
    strip.end(&mut out)?;
    out.flush()?;
    Ok(code(verdict.class))
}

/// Writes the beginning of a message with fields of ours on top; the mbox line stays first.
fn begin(head: &[u8], fields: &str, strip: &mut Strip, out: &mut impl Write) -> io::Result<()> {
    let mut rest = head;
    if head.starts_with(b"From ") {
        let end = head.iter().position(|&c| c == b'\n').map_or(head.len(), |i| i + 1);
        let (line, tail) = head.split_at(end);
        out.write_all(line)?;
        rest = tail;
    }
    if rest.split(|&c| c == b'\n').next().is_some_and(|l| l.ends_with(b"\r")) {
        out.write_all(fields.replace('\n', "\r\n").as_bytes())?;
    } else {
        out.write_all(fields.as_bytes())?;
    }
    strip.feed(rest, out)
}

/// A whole message in memory with fields on top, and without those that `foreign` names.
pub fn rewritten(message: &[u8], fields: &str, foreign: fn(&[u8]) -> bool) -> io::Result<Vec<u8>> {
    let (mut out, mut strip) = (Vec::with_capacity(message.len() + fields.len()), Strip::new(foreign));
    begin(message, fields, &mut strip, &mut out)?;
    strip.end(&mut out)?;
    Ok(out)
}

/// Removes fields from a header that comes in pieces.
struct Strip {
    /// Whether a field of this name goes.
    foreign: fn(&[u8]) -> bool,
    /// Start of the line at hand, until its name is known.
    line: Vec<u8>,
    /// The line's fate is known: copy or drop the rest of it.
    decided: Option<bool>,
    /// The field at hand is dropped, and its continuation lines with it.
    dropping: bool,
    /// Behind the empty line.
    body: bool,
}

impl Strip {
    fn new(foreign: fn(&[u8]) -> bool) -> Strip {
        Strip { foreign, line: Vec::new(), decided: None, dropping: false, body: false }
    }

    fn feed(&mut self, bytes: &[u8], out: &mut impl Write) -> io::Result<()> {
        let mut rest = bytes;
        while !self.body && !rest.is_empty() {
            let end = rest.iter().position(|&c| c == b'\n').map_or(rest.len(), |i| i + 1);
            let (piece, tail) = rest.split_at(end);
            rest = tail;
            self.piece(piece, out)?;
        }
        out.write_all(rest)
    }

    fn piece(&mut self, piece: &[u8], out: &mut impl Write) -> io::Result<()> {
        let ends = piece.ends_with(b"\n");
        match self.decided {
            Some(true) => out.write_all(piece)?,
            Some(false) => {}
            None => {
                self.line.extend_from_slice(piece);
                if ends || self.line.len() >= NAME_MAX {
                    self.decide(out)?;
                }
            }
        }
        if ends {
            self.decided = None;
        }
        Ok(())
    }

    fn decide(&mut self, out: &mut impl Write) -> io::Result<()> {
        let continues = matches!(self.line.first(), Some(b' ' | b'\t'));
        self.body = matches!(self.line.as_slice(), b"\n" | b"\r\n");
        if !continues {
            let colon = self.line.iter().position(|&c| c == b':').unwrap_or(0);
            self.dropping = (self.foreign)(self.line.get(..colon).unwrap_or(b"").trim_ascii());
        }
        if !self.dropping {
            out.write_all(&self.line)?;
        }
        self.decided = Some(!self.dropping);
        self.line.clear();
        Ok(())
    }

    fn end(&mut self, out: &mut impl Write) -> io::Result<()> {
        if self.line.is_empty() { Ok(()) } else { self.decide(out) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAIL: &[u8] =
        b"A: 1\nX-Spamcheck: ham\n more\n\tmore\nB: 2\nx-SPAMCHECK-old : x\nC: 3\n\nX-Spamcheck: body\n";

    #[test]
    fn every_cut_gives_the_same() {
        for cut in 0..=MAIL.len() {
            let (a, b) = MAIL.split_at(cut);
            let (mut out, mut strip) = (Vec::new(), Strip::new(is_own_field));
            strip.feed(a, &mut out).unwrap();
            strip.feed(b, &mut out).unwrap();
            strip.end(&mut out).unwrap();
            assert_eq!(out, b"A: 1\nB: 2\nC: 3\n\nX-Spamcheck: body\n", "cut at {cut}");
        }
    }

    #[test]
    fn a_header_without_end() {
        let (mut out, mut strip) = (Vec::new(), Strip::new(is_own_field));
        strip.feed(b"A: 1\nX-Spam", &mut out).unwrap();
        strip.end(&mut out).unwrap();
        assert_eq!(out, b"A: 1\nX-Spam");
    }
}
