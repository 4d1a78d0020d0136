//! Cuts the byte stream of a client into commands, literals included.
//!
//! Standards   RFC 3501 2.2.1, 4.3 (literals), RFC 7888 (LITERAL+ `{n+}`), RFC 3516 4.4 (literal8 `~{n}`)
//! Invariants  1. the events do not depend on how the input is cut
//!             2. memory is bounded by [`Limits`]; a large literal is handed on in pieces when the caller asks for it
//!             3. only what this reader framed as a literal is one: the parser never counts bytes itself
//! Failures    a line or literal beyond the limits gives an event, and the stream goes on behind it
//! Quirk       `quirk_bare_lf`: a lone LF ends a line (scripts, netcat). Switch off with [`Limits::bare_lf`]
use memchr::memchr;

/// What one command may cost.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of a command outside its literals (clients send sets this long).
    pub line: usize,
    /// Bytes of all literals of a command kept in memory.
    pub literals: usize,
    /// Whether a lone LF ends a line.
    pub bare_lf: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { line: 64 * 1024, literals: 1024 * 1024, bare_lf: true }
    }
}

/// Where a literal stands in the text of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Literal {
    /// Offset of the `{` (or `~{`) in the text.
    pub at: usize,
    /// Offset of the data in the text (behind the line end).
    pub data: usize,
    /// Length of the data.
    pub len: u64,
    /// `~{`: may hold NULs.
    pub binary: bool,
    /// The data went elsewhere, the text does not hold it.
    pub streamed: bool,
}

/// One command: its text without the last line end, literals in place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Framed {
    /// The bytes.
    pub text: Vec<u8>,
    /// The literals in order.
    pub literals: Vec<Literal>,
}

/// A literal has been announced; call `accept`, `stream` or `refuse` on the reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announced {
    /// Its length.
    pub len: u64,
    /// The client waits for a continuation request.
    pub sync: bool,
    /// `~{`
    pub binary: bool,
}

/// What the reader has found.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    /// Feed more bytes.
    More,
    /// A literal follows.
    Literal(Announced),
    /// A piece of a streamed literal.
    Data(Vec<u8>),
    /// The streamed literal is complete.
    DataEnd,
    /// A whole command.
    Command(Framed),
    /// A command beyond the limits, or refused; its start is here for the tag. It is skipped to its end.
    TooLong(Framed),
}

#[derive(Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Line,
    /// Waiting for the caller's decision.
    Asked(Announced),
    Collect(u64),
    Stream(u64),
    /// Throwing away: literal bytes left, then the rest of the command.
    Skip(u64),
}

/// The reader.
#[derive(Debug, Default)]
pub struct Reader {
    limits: Limits,
    input: Vec<u8>,
    at: usize,
    /// No line end before this offset.
    scanned: usize,
    state: State,
    command: Framed,
    literal_bytes: u64,
}

impl Reader {
    /// A reader with limits.
    pub fn new(limits: Limits) -> Self {
        Reader { limits, ..Reader::default() }
    }

    /// Changes the limits (they grow after login).
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Adds bytes from the client.
    pub fn feed(&mut self, bytes: &[u8]) {
        if self.at == self.input.len() {
            self.input.clear();
            (self.at, self.scanned) = (0, 0);
        } else if self.at > 64 * 1024 {
            self.input.drain(..self.at);
            self.scanned = self.scanned.saturating_sub(self.at);
            self.at = 0;
        }
        self.input.extend_from_slice(bytes);
    }

    /// Bytes fed and not yet used.
    pub fn pending(&self) -> &[u8] {
        &self.input[self.at..]
    }

    /// True between commands with nothing buffered: the only moment STARTTLS is safe (RFC 9051 6.2.1).
    pub fn is_idle(&self) -> bool {
        self.pending().is_empty() && self.between_commands()
    }

    /// True when no command has been begun.
    pub fn between_commands(&self) -> bool {
        self.state == State::Line && self.command.text.is_empty()
    }

    /// Drops everything buffered.
    pub fn reset(&mut self) {
        *self = Reader::new(self.limits);
    }

    /// The text of the command begun so far.
    pub fn partial(&self) -> &Framed {
        &self.command
    }

    /// Takes one plain line (IDLE's DONE, SASL responses); `Err` when it is too long.
    pub fn line(&mut self) -> Option<Result<Vec<u8>, TooLong>> {
        match self.find_line() {
            Some((end, next)) if end - self.at > self.limits.line => {
                self.at = next;
                Some(Err(TooLong))
            }
            Some((end, next)) => {
                let line = self.input[self.at..end].to_vec();
                self.at = next;
                Some(Ok(line))
            }
            None if self.pending().len() > self.limits.line => {
                self.state = State::Skip(0);
                self.at = self.input.len();
                Some(Err(TooLong))
            }
            None => None,
        }
    }

    /// The next event.
    pub fn next_event(&mut self) -> Event {
        match self.state {
            State::Line => self.in_line(),
            State::Asked(announced) => Event::Literal(announced),
            State::Collect(left) => self.collect(left),
            State::Stream(left) => self.stream_on(left),
            State::Skip(left) => self.skip(left),
        }
    }

    /// Keeps the literal in the command text. Beyond the memory limit it is refused instead; the answer tells.
    #[must_use]
    pub fn accept(&mut self) -> bool {
        let State::Asked(announced) = self.state else { return false };
        if self.literal_bytes.saturating_add(announced.len) > self.limits.literals as u64 {
            self.refuse();
            return false;
        }
        self.literal_bytes += announced.len;
        self.state = State::Collect(announced.len);
        true
    }

    /// Hands the literal on as [`Event::Data`].
    pub fn stream(&mut self) {
        if let State::Asked(announced) = self.state {
            if let Some(last) = self.command.literals.last_mut() {
                last.streamed = true;
            }
            self.state = State::Stream(announced.len);
        }
    }

    /// Does not take the literal. After `{n}` the client must not send it and the command is over;
    /// after `{n+}` it comes and is skipped with the rest of the command.
    pub fn refuse(&mut self) {
        if let State::Asked(announced) = self.state {
            self.state = if announced.sync { State::Line } else { State::Skip(announced.len) };
            if announced.sync {
                self.command = Framed::default();
                self.literal_bytes = 0;
            }
        }
    }

    /// End of the next line and start of the one behind it.
    fn find_line(&mut self) -> Option<(usize, usize)> {
        let mut from = self.scanned.max(self.at);
        while let Some(n) = memchr(b'\n', &self.input[from..]) {
            let lf = from + n;
            let crlf = lf > self.at && self.input[lf - 1] == b'\r';
            if crlf || self.limits.bare_lf {
                self.scanned = lf + 1;
                return Some((lf - usize::from(crlf), lf + 1));
            }
            from = lf + 1;
        }
        self.scanned = self.input.len();
        None
    }

    fn text_len(&self) -> usize {
        self.command.text.len().saturating_sub(usize::try_from(self.literal_bytes).unwrap_or(usize::MAX))
    }

    fn in_line(&mut self) -> Event {
        let Some((end, next)) = self.find_line() else {
            if self.text_len() + self.pending().len() > self.limits.line {
                return self.start_skip();
            }
            return Event::More;
        };
        if self.text_len() + (end - self.at) > self.limits.line {
            self.keep_head();
            return self.skipped_line(end, next);
        }
        self.command.text.extend_from_slice(&self.input[self.at..end]);
        self.at = next;
        match trailing_literal(&self.command.text) {
            Some((at, announced)) => {
                self.command.text.extend_from_slice(b"\r\n");
                let data = self.command.text.len();
                self.command.literals.push(Literal {
                    at,
                    data,
                    len: announced.len,
                    binary: announced.binary,
                    streamed: false,
                });
                self.state = State::Asked(announced);
                Event::Literal(announced)
            }
            None => Event::Command(self.take()),
        }
    }

    fn take(&mut self) -> Framed {
        self.literal_bytes = 0;
        self.state = State::Line;
        std::mem::take(&mut self.command)
    }

    /// A command that is too long: what is there is kept for the tag, the rest of the line thrown away.
    fn start_skip(&mut self) -> Event {
        self.keep_head();
        self.state = State::Skip(0);
        self.skip(0)
    }

    fn keep_head(&mut self) {
        if self.command.text.is_empty() {
            let head = self.pending().len().min(256);
            self.command.text.extend_from_slice(&self.input[self.at..self.at + head]);
        }
    }

    fn collect(&mut self, left: u64) -> Event {
        let n = self.available(left);
        self.command.text.extend_from_slice(&self.input[self.at..self.at + n]);
        self.at += n;
        let left = left - n as u64;
        self.state = if left == 0 { State::Line } else { State::Collect(left) };
        if left == 0 { self.in_line() } else { Event::More }
    }

    fn stream_on(&mut self, left: u64) -> Event {
        if left == 0 {
            self.state = State::Line;
            return Event::DataEnd;
        }
        let n = self.available(left);
        if n == 0 {
            return Event::More;
        }
        let data = self.input[self.at..self.at + n].to_vec();
        self.at += n;
        self.state = State::Stream(left - n as u64);
        Event::Data(data)
    }

    fn available(&self, left: u64) -> usize {
        usize::try_from(left).unwrap_or(usize::MAX).min(self.pending().len())
    }

    fn skip(&mut self, left: u64) -> Event {
        let n = self.available(left);
        self.at += n;
        let left = left - n as u64;
        self.state = State::Skip(left);
        if left > 0 {
            return Event::More;
        }
        self.skip_line()
    }

    fn skip_line(&mut self) -> Event {
        let Some((end, next)) = self.find_line() else {
            // keep a tail: the announcement of a literal may stand at its end
            self.at = self.input.len() - self.pending().len().min(64);
            return Event::More;
        };
        self.skipped_line(end, next)
    }

    /// The line `..end` is thrown away; a literal at its end that does not wait comes and is thrown away too.
    fn skipped_line(&mut self, end: usize, next: usize) -> Event {
        let announced = trailing_literal(&self.input[self.at..end]).map(|(_, a)| a);
        self.at = next;
        match announced {
            Some(a) if !a.sync => {
                self.state = State::Skip(a.len);
                self.skip(a.len)
            }
            _ => Event::TooLong(self.take()),
        }
    }
}

/// The line was longer than the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

/// `{n}`, `{n+}`, `~{n}` or `~{n+}` at the end of a line.
fn trailing_literal(text: &[u8]) -> Option<(usize, Announced)> {
    let inner = text.strip_suffix(b"}")?;
    let (inner, sync) = inner.strip_suffix(b"+").map_or((inner, true), |i| (i, false));
    // 20 digits hold any u64
    let digits = inner.iter().rev().take(21).take_while(|b| b.is_ascii_digit()).count();
    let open = inner.len().checked_sub(digits + 1)?;
    if digits == 0 || inner[open] != b'{' {
        return None;
    }
    let len = std::str::from_utf8(&inner[open + 1..]).ok()?.parse().ok()?;
    let binary = open > 0 && inner[open - 1] == b'~';
    Some((open - usize::from(binary), Announced { len, sync, binary }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a reader over pieces, accepting or streaming, and logs the events as text.
    fn run(pieces: &[&[u8]], stream: bool, limits: Limits) -> Vec<String> {
        let (mut reader, mut log, mut data) = (Reader::new(limits), Vec::new(), Vec::new());
        for piece in pieces {
            reader.feed(piece);
            loop {
                match reader.next_event() {
                    Event::More => break,
                    Event::Literal(a) => {
                        log.push(format!("literal {} {} {}", a.len, a.sync, a.binary));
                        if stream {
                            reader.stream();
                        } else if !reader.accept() {
                            log.push("refused".into());
                        }
                    }
                    Event::Data(d) => data.extend_from_slice(&d),
                    Event::DataEnd => log.push(format!("data {}", String::from_utf8_lossy(&std::mem::take(&mut data)))),
                    Event::Command(c) => log.push(format!("command {:?}", String::from_utf8_lossy(&c.text))),
                    Event::TooLong(c) => {
                        log.push(format!("long {:?}", String::from_utf8_lossy(&c.text[..c.text.len().min(2)])))
                    }
                }
            }
        }
        log
    }

    const SCRIPT: &[u8] =
        b"a NOOP\r\nb LOGIN {1}\r\nu {3+}\r\np\r\n\r\nc APPEND x ~{2+}\r\n\0\n (y)\r\nd X {0}\r\n\r\ne {9}x\r\n";

    #[test]
    fn frames_literals() {
        let log = run(&[SCRIPT], false, Limits::default());
        assert_eq!(log[0], "command \"a NOOP\"");
        assert_eq!(log[3], "command \"b LOGIN {1}\\r\\nu {3+}\\r\\np\\r\\n\"");
        assert_eq!(log[4], "literal 2 false true");
        assert_eq!(log.last().unwrap(), "command \"e {9}x\"");
    }

    #[test]
    fn events_do_not_depend_on_cuts() {
        for stream in [false, true] {
            let whole = run(&[SCRIPT], stream, Limits::default());
            let bytes: Vec<&[u8]> = SCRIPT.chunks(1).collect();
            assert_eq!(run(&bytes, stream, Limits::default()), whole);
            for cut in 0..SCRIPT.len() {
                assert_eq!(run(&[&SCRIPT[..cut], &SCRIPT[cut..]], stream, Limits::default()), whole, "cut at {cut}");
            }
        }
    }

    #[test]
    fn too_long_is_skipped_and_the_stream_goes_on() {
        let limits = Limits { line: 20, literals: 10, bare_lf: true };
        let mut script = b"a ".to_vec();
        script.extend_from_slice(&[b'x'; 100]);
        script.extend_from_slice(
            b" {3+}\r\na\nb\r\nb NOOP\r\nc L {11+}\r\n12345678901 {1+}\r\nx\r\nd L {11}\r\ne NOOP\r\n",
        );
        let want = [
            "long \"a \"",
            "command \"b NOOP\"",
            "literal 11 false false",
            "refused",
            "long \"c \"",
            "literal 11 true false",
            "refused",
            "command \"e NOOP\"",
        ];
        assert_eq!(run(&[&script], false, limits), want);
        assert_eq!(run(&script.chunks(1).collect::<Vec<_>>(), false, limits), want);
    }

    #[test]
    fn bare_lf_is_a_switch() {
        assert_eq!(run(&[b"a X\nb Y\r\n"], false, Limits::default()), ["command \"a X\"", "command \"b Y\""]);
        let strict = Limits { bare_lf: false, ..Limits::default() };
        assert_eq!(run(&[b"a X\nb Y\r\n"], false, strict), ["command \"a X\\nb Y\""]);
    }

    #[test]
    fn huge_announcements_do_not_allocate() {
        let log = run(&[b"a X {18446744073709551615}\r\nb {18446744073709551616}\r\n"], false, Limits::default());
        assert_eq!(log[1], "refused");
        assert!(log[2].starts_with("command"));
    }

    #[test]
    fn plain_lines() {
        let mut r = Reader::new(Limits { line: 10, ..Limits::default() });
        r.feed(b"DONE\r\nx");
        assert_eq!(r.line(), Some(Ok(b"DONE".to_vec())));
        assert_eq!(r.line(), None);
        r.feed(&[b'y'; 20]);
        assert_eq!(r.line(), Some(Err(TooLong)));
    }
}
