//! The content of DATA: dots unstuffed, CRLF to LF, and one way to end only.
//!
//! Standards   RFC 5321 2.3.8, 4.1.1.4 (only CRLF . CRLF ends the content), 4.5.2 (transparency)
//! Invariants  1. nothing but the octets CR LF . CR LF (or . CR LF at the start) ends the content: none of LF.LF, LF.CRLF,
//!                CRLF.LF, CR.CR, CR.LF, LF.CR, CR.CRLF, CRLF.CR, CRLF.CRCRLF, CRLF NUL.CRLF, CRLF.NUL CRLF does
//!             2. a content with a bare CR, bare LF or NUL is reported as such, unless the policy normalises it
//!             3. the output holds LF as the only line end
//! Quirks      [`BarePolicy::Normalise`]: bare LF ends a line (but not the content, nor does a dot after it count as
//!             stuffed), bare CR and NUL become a space

/// What to do with a bare CR, a bare LF or a NUL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BarePolicy {
    /// Refuse the message, after its end.
    #[default]
    Refuse,
    /// Write something harmless instead.
    Normalise,
}

/// Limits and policy of content.
#[derive(Clone, Copy, Debug, Default)]
pub struct Policy {
    /// Largest message in CRLF octets; 0 for none.
    pub size_max: u64,
    /// Longest line in octets with CRLF; 0 for none.
    pub line_max: usize,
    /// Bare line ends and NULs.
    pub bare: BarePolicy,
}

/// Why a content is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// A CR without LF.
    BareCr,
    /// An LF without CR.
    BareLf,
    /// A NUL.
    Nul,
    /// More octets than allowed.
    TooBig,
    /// A line longer than allowed.
    LineTooLong,
}

/// What is known about a content at its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// Octets with LF line ends.
    pub size: u64,
    /// Octets with CRLF line ends, without stuffing.
    pub wire_size: u64,
    /// Whether an octet above 127 occurred.
    pub eight_bit: bool,
    /// The first thing wrong with it.
    pub problem: Option<Problem>,
}

/// Collects output and facts; shared by DATA and BDAT.
#[derive(Debug)]
pub(super) struct Sink {
    pub policy: Policy,
    pub facts: Content,
    line: usize,
    last: u8,
}

impl Sink {
    pub fn new(policy: Policy) -> Self {
        Self { policy, facts: Content::default(), line: 0, last: b'\n' }
    }

    pub fn problem(&mut self, problem: Problem) {
        self.facts.problem.get_or_insert(problem);
    }

    /// Adds octets of a line; nothing is kept any more once the content is refused.
    pub fn text(&mut self, run: &[u8], out: &mut Vec<u8>) {
        self.line = self.line.saturating_add(run.len());
        if self.policy.line_max > 0 && self.line + 2 > self.policy.line_max {
            self.problem(Problem::LineTooLong);
        }
        self.facts.eight_bit = self.facts.eight_bit || !run.is_ascii();
        self.put(run, run.len() as u64, out);
    }

    /// Ends a line.
    pub fn line_end(&mut self, out: &mut Vec<u8>) {
        self.line = 0;
        self.put(b"\n", 2, out);
    }

    /// Octets as they are (BINARYMIME).
    pub fn raw(&mut self, run: &[u8], out: &mut Vec<u8>) {
        self.put(run, run.len() as u64, out);
    }

    fn put(&mut self, run: &[u8], wire: u64, out: &mut Vec<u8>) {
        let Some(&last) = run.last() else { return };
        self.facts.wire_size = self.facts.wire_size.saturating_add(wire);
        if self.policy.size_max > 0 && self.facts.wire_size > self.policy.size_max {
            self.problem(Problem::TooBig);
        }
        if self.facts.problem.is_none() {
            self.facts.size += run.len() as u64;
            self.last = last;
            out.extend_from_slice(run);
        }
    }

    /// A bare CR, bare LF or NUL.
    pub fn bare(&mut self, problem: Problem, out: &mut Vec<u8>) {
        match (self.policy.bare, problem) {
            (BarePolicy::Refuse, _) => self.problem(problem),
            (BarePolicy::Normalise, Problem::BareLf) => self.line_end(out),
            (BarePolicy::Normalise, _) => self.text(b" ", out),
        }
    }

    /// A text without special octets before `\r`, `\n` or NUL; gives its length.
    pub fn run(&mut self, input: &[u8], out: &mut Vec<u8>) -> usize {
        let len = memchr::memchr3(b'\r', b'\n', 0, input).unwrap_or(input.len());
        self.text(input.get(..len).unwrap_or_default(), out);
        len
    }

    /// Whether the output ends in LF (or is empty).
    pub fn at_line_start(&self) -> bool {
        self.last == b'\n'
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// After CRLF or at the beginning.
    LineStart,
    /// `.` at a line start.
    Dot,
    /// `.` CR at a line start.
    DotCr,
    /// Inside a line.
    Text,
    /// CR inside a line.
    Cr,
    /// The content has ended.
    End,
}

/// Decoder of one DATA content.
#[derive(Debug)]
pub struct DataDecoder {
    state: State,
    sink: Sink,
}

impl DataDecoder {
    /// A decoder at the beginning of a content.
    pub fn new(policy: Policy) -> Self {
        Self { state: State::LineStart, sink: Sink::new(policy) }
    }

    /// Decodes `input` into `out`; gives the octets used, and the facts when the content has ended.
    pub fn feed(&mut self, input: &[u8], out: &mut Vec<u8>) -> (usize, Option<Content>) {
        let mut at = 0;
        while self.state != State::End {
            let Some(&byte) = input.get(at) else { return (at, None) };
            at += self.octet(byte, input.get(at..).unwrap_or_default(), out);
        }
        (at, Some(self.sink.facts))
    }

    /// Handles the octet at the start of `rest`; gives how many octets were used (0: look again in the new state).
    fn octet(&mut self, byte: u8, rest: &[u8], out: &mut Vec<u8>) -> usize {
        match (self.state, byte) {
            (State::LineStart, b'.') => self.to(State::Dot),
            (State::LineStart, _) => self.again(State::Text),
            (State::Dot, b'\r') => self.to(State::DotCr),
            (State::Dot, _) => self.again(State::Text), // the dot was stuffing, 4.5.2
            (State::DotCr, b'\n') => self.to(State::End),
            (State::DotCr, _) => {
                self.sink.bare(Problem::BareCr, out);
                self.again(State::Text)
            }
            (State::Cr, b'\n') => {
                self.sink.line_end(out);
                self.to(State::LineStart)
            }
            (State::Cr, _) => {
                self.sink.bare(Problem::BareCr, out);
                self.again(State::Text)
            }
            (State::Text, b'\r') => self.to(State::Cr),
            (State::Text, b'\n') => self.bare(Problem::BareLf, out),
            (State::Text, 0) => self.bare(Problem::Nul, out),
            (State::Text, _) => self.sink.run(rest, out),
            (State::End, _) => 0,
        }
    }

    fn to(&mut self, state: State) -> usize {
        self.state = state;
        1
    }

    fn again(&mut self, state: State) -> usize {
        self.state = state;
        0
    }

    fn bare(&mut self, problem: Problem, out: &mut Vec<u8>) -> usize {
        self.sink.bare(problem, out);
        1
    }
}
