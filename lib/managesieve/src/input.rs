//! Cuts the stream into commands: words, strings and numbers up to CRLF, literals inside.
//!
//! Standards   RFC 5804 1.2 (strings), 4 (grammar); a client's literals are `{n+}` only

use crate::{LINE_MAX, QUOTED_MAX};

/// A piece of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Arg {
    /// An atom or a number.
    Word(String),
    /// A quoted string or a literal.
    Text(Vec<u8>),
}

/// What the stream holds next.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// A whole command.
    Command(Vec<Arg>),
    /// A command with a literal longer than allowed; it was skipped.
    TooLarge,
    /// A line that is no command; it was skipped.
    Bad,
}

/// Bytes received and not yet taken.
#[derive(Debug, Default)]
pub struct Input {
    buffer: Vec<u8>,
    /// Octets of a refused literal still to be skipped.
    skip: u64,
    too_large: bool,
    /// A line without end is being skipped.
    skipping_line: bool,
}

enum Step {
    More,
    Done(Vec<Arg>, usize),
    /// The literal begins after so many octets and is that long.
    Large(usize, u64),
    Bad,
}

impl Input {
    /// Adds bytes from the peer.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// True if nothing is waiting: required before STARTTLS (RFC 5804 2.2).
    pub fn is_empty(&self) -> bool {
        self.buffer.is_empty() && self.skip == 0 && !self.skipping_line
    }

    /// Everything not yet taken.
    pub fn into_rest(self) -> Vec<u8> {
        self.buffer
    }

    /// The next command; literals may have `limit` octets.
    pub fn next(&mut self, limit: u64) -> Option<Next> {
        loop {
            if self.skip > 0 {
                let n = usize::try_from(self.skip).unwrap_or(usize::MAX).min(self.buffer.len());
                self.buffer.drain(..n);
                self.skip -= n as u64;
                if self.skip > 0 {
                    return None;
                }
            }
            if self.skipping_line {
                let Some(at) = self.buffer.iter().position(|&b| b == b'\n') else {
                    self.buffer.clear();
                    return None;
                };
                self.buffer.drain(..=at);
                self.skipping_line = false;
                return Some(Next::Bad);
            }
            match parse(&self.buffer, limit, self.too_large) {
                Step::More => return None,
                Step::Done(args, used) => {
                    self.buffer.drain(..used);
                    let large = std::mem::take(&mut self.too_large);
                    return Some(if large { Next::TooLarge } else { Next::Command(args) });
                }
                Step::Large(used, size) => {
                    self.buffer.drain(..used);
                    self.skip = size;
                    self.too_large = true;
                }
                Step::Bad => {
                    self.too_large = false;
                    self.skipping_line = true;
                }
            }
        }
    }
}

/// Parses one command from the start. `rest`: only the rest of a refused one is wanted.
fn parse(bytes: &[u8], limit: u64, rest: bool) -> Step {
    let mut args = Vec::new();
    let mut at = 0;
    let mut outside = 0;
    loop {
        if outside > LINE_MAX {
            return Step::Bad;
        }
        let Some(&b) = bytes.get(at) else { return Step::More };
        match b {
            b' ' => {
                at += 1;
                outside += 1;
            }
            b'\r' => match bytes.get(at + 1) {
                None => return Step::More,
                Some(b'\n') => return Step::Done(args, at + 2),
                Some(_) => return Step::Bad,
            },
            // people type into nc: LF alone ends a line too
            b'\n' => return Step::Done(args, at + 1),
            b'"' => match quoted(bytes.get(at + 1..).unwrap_or_default()) {
                Ok(Some((text, used))) => {
                    args.push(Arg::Text(text));
                    at += used + 1;
                    outside += used + 1;
                }
                Ok(None) => return Step::More,
                Err(()) => return Step::Bad,
            },
            b'{' => match literal(bytes.get(at + 1..).unwrap_or_default()) {
                Ok(Some((size, used))) => {
                    let start = at + 1 + used;
                    if size > limit {
                        return Step::Large(start, size);
                    }
                    let end = start + usize::try_from(size).unwrap_or(usize::MAX);
                    let Some(text) = bytes.get(start..end) else { return Step::More };
                    if !rest {
                        args.push(Arg::Text(text.to_vec()));
                    }
                    at = end;
                    outside += used + 1;
                }
                Ok(None) => return Step::More,
                Err(()) => return Step::Bad,
            },
            b if is_atom(b) => {
                let word = bytes.get(at..).unwrap_or_default().iter().take_while(|&&b| is_atom(b)).count();
                if at + word == bytes.len() {
                    return if outside + word > LINE_MAX { Step::Bad } else { Step::More };
                }
                args.push(Arg::Word(
                    String::from_utf8_lossy(bytes.get(at..at + word).unwrap_or_default()).into_owned(),
                ));
                at += word;
                outside += word;
            }
            _ => return Step::Bad,
        }
    }
}

/// RFC 5804 4: `*` alone cancels an AUTHENTICATE.
fn is_atom(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'*' | b'.' | b'/' | b'+' | b'=')
}

type Found<T> = Result<Option<(T, usize)>, ()>;

/// After the opening quote: the text and its length with the closing one.
fn quoted(bytes: &[u8]) -> Found<Vec<u8>> {
    let mut text = Vec::new();
    let mut at = 0;
    loop {
        let Some(&b) = bytes.get(at) else { return Ok(None) };
        at += 1;
        match b {
            b'"' => return Ok(Some((text, at))),
            b'\\' => {
                let Some(&escaped) = bytes.get(at) else { return Ok(None) };
                if escaped != b'"' && escaped != b'\\' {
                    return Err(());
                }
                text.push(escaped);
                at += 1;
            }
            b'\r' | b'\n' | 0 => return Err(()),
            b => text.push(b),
        }
        if text.len() > QUOTED_MAX {
            return Err(());
        }
    }
}

/// After the brace: size and length of `n+}CRLF`.
fn literal(bytes: &[u8]) -> Found<u64> {
    let digits = bytes.iter().take_while(|b| b.is_ascii_digit()).count();
    if digits > 19 {
        return Err(());
    }
    let rest = bytes.get(digits..).unwrap_or_default();
    let end: &[u8] = b"+}\r\n";
    let have = rest.len().min(end.len());
    if rest.get(..have) != end.get(..have) {
        return Err(());
    }
    if have < end.len() {
        return Ok(None);
    }
    let text = std::str::from_utf8(bytes.get(..digits).unwrap_or_default()).map_err(drop)?;
    Ok(Some((text.parse().map_err(drop)?, digits + end.len())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(input: &mut Input) -> Vec<Next> {
        std::iter::from_fn(|| input.next(10)).collect()
    }

    #[test]
    fn however_it_is_cut() {
        let stream: &[u8] = b"NOOP\r\nPUTSCRIPT \"a\\\"b\" {5+}\r\nke\r\n;\r\nX {99+}\r\n\
            0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789X\r\n\
            bad \x01 line\r\n\"unclosed\r\nHAVESPACE {1+}\r\nn 17\r\n";
        let mut whole = Input::default();
        whole.feed(stream);
        let want = all(&mut whole);
        assert_eq!(want.len(), 6, "{want:?}");
        assert_eq!(want[0], Next::Command(vec![Arg::Word("NOOP".into())]));
        assert_eq!(
            want[1],
            Next::Command(vec![
                Arg::Word("PUTSCRIPT".into()),
                Arg::Text(b"a\"b".to_vec()),
                Arg::Text(b"ke\r\n;".to_vec())
            ])
        );
        assert_eq!((&want[2], &want[3], &want[4]), (&Next::TooLarge, &Next::Bad, &Next::Bad));
        for cut in 0..stream.len() {
            let mut input = Input::default();
            let mut got = Vec::new();
            for part in [&stream[..cut], &stream[cut..]] {
                input.feed(part);
                got.extend(all(&mut input));
            }
            assert_eq!(got, want, "cut at {cut}");
            assert!(input.is_empty());
        }
        let mut input = Input::default();
        let mut got = Vec::new();
        for b in stream {
            input.feed(&[*b]);
            got.extend(all(&mut input));
        }
        assert_eq!(got, want, "byte by byte");
    }

    #[test]
    fn endless_lines_keep_no_memory() {
        let mut input = Input::default();
        for _ in 0..200 {
            input.feed(&[b'x'; 1000]);
            assert_eq!(input.next(10), None);
            assert!(input.buffer.len() <= LINE_MAX + 1001);
        }
        let mut input = Input::default();
        input.feed(b"X {18446744073709551615+}\r\n");
        assert_eq!(input.next(10), Some(Next::Bad), "20 digits are no size");
    }
}
