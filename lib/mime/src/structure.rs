//! The tree of parts of a message, with byte offsets.
//!
//! Standards   RFC 2046 5.1 (multipart), 5.2.1 (message/rfc822); RFC 6532 3.7 (message/global)
//! Format      a flat list of parts; part 0 is the message, children follow their parents
//! Invariants  1. one pass over the bytes; each line is compared with at most [`Limits::depth`] boundaries
//!             2. a child lies inside its parent's body   3. every part has a header span (maybe empty) and a body span
//! Failures    none: a multipart without boundary or beyond the limits stays a leaf; an unclosed part ends with its parent
//! Not here    decoding of bodies ([`crate::Encoding`]); archives
use crate::content::{ContentType, Encoding};
use crate::header::{Fields, is_empty_line, line_end, trim_end};

/// How far to go into a message.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Levels of multipart and message/rfc822.
    pub depth: usize,
    /// Parts in all.
    pub parts: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { depth: 64, parts: 10_000 }
    }
}

/// A run of bytes with what is needed to give its size in CRLF form.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// After the last byte.
    pub end: usize,
    /// Line ends (LF) inside.
    pub lines: usize,
    /// Line ends without CR inside.
    pub bare_lf: usize,
}

impl Span {
    /// The bytes themselves.
    pub fn of<'a>(&self, message: &'a [u8]) -> &'a [u8] {
        message.get(self.start..self.end).unwrap_or_default()
    }

    /// The length once every line ends with CRLF.
    pub fn crlf_len(&self) -> usize {
        self.end - self.start + self.bare_lf
    }
}

/// One part of a message.
#[derive(Clone, Debug)]
pub struct Part {
    /// The part around this one.
    pub parent: Option<usize>,
    /// The parts inside: of a multipart any number, of a message/rfc822 one.
    pub children: Vec<usize>,
    /// The header with its closing empty line.
    pub header: Span,
    /// The body, without the line end that belongs to the boundary after it.
    pub body: Span,
    /// Its type; the default where none is given or readable.
    pub content_type: ContentType,
    /// Its transfer encoding.
    pub encoding: Encoding,
}

impl Part {
    /// A multipart that was split into its parts.
    pub fn is_multipart(&self) -> bool {
        self.content_type.is_kind("multipart")
    }

    /// A message/rfc822 that was looked into.
    pub fn is_message(&self) -> bool {
        self.content_type.is_message() && !self.children.is_empty()
    }
}

/// The parts of a message.
#[derive(Clone, Debug)]
pub struct Structure {
    /// Part 0 is the message itself.
    pub parts: Vec<Part>,
}

impl Structure {
    /// Reads a message with LF or CRLF line ends.
    pub fn parse(message: &[u8], limits: Limits) -> Self {
        let mut parser =
            Parser { message, limits, parts: Vec::new(), open: Vec::new(), lines: 0, bare: 0, in_header: true };
        parser.open_part(None, 0, false);
        parser.run();
        Structure { parts: parser.parts }
    }

    /// The message itself.
    pub fn root(&self) -> &Part {
        &self.parts[0] // parse always makes part 0
    }

    /// Leaf parts in order.
    pub fn leaves(&self) -> impl Iterator<Item = &Part> {
        self.parts.iter().filter(|p| p.children.is_empty())
    }
}

/// A part whose end has not been seen.
struct Open {
    part: usize,
    /// The boundary to look for; taken away once the closing one was seen.
    boundary: Option<Vec<u8>>,
    digest: bool,
}

struct Parser<'a> {
    message: &'a [u8],
    limits: Limits,
    parts: Vec<Part>,
    open: Vec<Open>,
    /// Line ends before the current line, all and bare.
    lines: usize,
    bare: usize,
    in_header: bool,
}

impl Parser<'_> {
    fn run(&mut self) {
        let mut at = 0;
        while at < self.message.len() {
            let end = line_end(self.message, at);
            match self.boundary_at(at, end) {
                Some((level, closing)) => self.boundary(level, closing, at, end),
                None if self.in_header && is_empty_line(self.message, at) => self.end_header(at, end),
                None => self.count(at, end),
            }
            at = end;
        }
        self.close_to(0, at, self.lines, self.bare);
    }

    /// Adds the line `at..end` to the counters.
    fn count(&mut self, at: usize, end: usize) {
        let line = &self.message[at..end];
        if line.ends_with(b"\n") {
            self.lines += 1;
            self.bare += usize::from(!line.ends_with(b"\r\n"));
        }
    }

    fn here(&self, at: usize) -> Span {
        Span { start: at, end: at, lines: self.lines, bare_lf: self.bare }
    }

    fn open_part(&mut self, parent: Option<usize>, at: usize, digest: bool) {
        let index = self.parts.len();
        if let Some(parent) = parent {
            self.parts[parent].children.push(index);
        }
        // RFC 2046 5.1.5: the default inside a digest
        let content_type =
            if digest { ContentType::new("message", "rfc822") } else { ContentType::new("text", "plain") };
        let here = self.here(at);
        self.parts.push(Part {
            parent,
            children: Vec::new(),
            header: here,
            body: here,
            content_type,
            encoding: Encoding::Identity,
        });
        self.open.push(Open { part: index, boundary: None, digest: false });
        self.in_header = true;
    }

    /// The empty line `at..end` closes the header of the innermost part.
    fn end_header(&mut self, at: usize, end: usize) {
        self.count(at, end);
        self.in_header = false;
        let Some(part) = self.open.last().map(|o| o.part) else { return };
        let (lines, bare, here) = (self.lines, self.bare, self.here(end));
        let p = &mut self.parts[part];
        close(&mut p.header, end, lines, bare);
        p.body = here;
        self.read_header(part);
        self.enter(part, end);
    }

    fn read_header(&mut self, part: usize) {
        let header = self.parts[part].header.of(self.message);
        let (mut seen_type, mut seen_encoding) = (false, false);
        for field in Fields::new(header) {
            if !seen_type && field.is("Content-Type") {
                seen_type = true;
                if let Some(t) = ContentType::parse(field.value) {
                    self.parts[part].content_type = t;
                }
            } else if !seen_encoding && field.is("Content-Transfer-Encoding") {
                seen_encoding = true;
                self.parts[part].encoding = Encoding::parse(field.value);
            }
        }
    }

    /// Looks into a part that holds others.
    fn enter(&mut self, part: usize, at: usize) {
        if self.open.len() > self.limits.depth || self.parts.len() >= self.limits.parts {
            return;
        }
        let p = &self.parts[part];
        if p.is_multipart() {
            let boundary = p.content_type.boundary().map(<[u8]>::to_vec);
            let digest = p.content_type.is("multipart", "digest");
            if let Some(open) = self.open.last_mut() {
                (open.boundary, open.digest) = (boundary, digest);
            }
        } else if p.content_type.is_message() && p.encoding == Encoding::Identity {
            self.open_part(Some(part), at, false);
        }
    }

    /// Which open multipart the line is a boundary of, innermost first, and whether it is the closing one.
    fn boundary_at(&self, at: usize, end: usize) -> Option<(usize, bool)> {
        let line = self.message[at..end].strip_prefix(b"--")?;
        let line = trim_end(line);
        self.open.iter().enumerate().rev().find_map(|(level, open)| {
            let rest = line.strip_prefix(open.boundary.as_deref()?)?;
            // RFC 2046 5.1.1: only blanks may follow; "--" closes
            match rest {
                b"" => Some((level, false)),
                b"--" => Some((level, true)),
                _ => None,
            }
        })
    }

    fn boundary(&mut self, level: usize, closing: bool, at: usize, end: usize) {
        // the line end before the boundary belongs to it (RFC 2046 5.1.1)
        let (body_end, lines, bare) = self.before_line(at);
        self.close_to(level + 1, body_end, lines, bare);
        self.count(at, end);
        self.in_header = false;
        let Some(open) = self.open.last_mut() else { return };
        let (part, digest) = (open.part, open.digest);
        if closing {
            open.boundary = None;
        } else if self.parts.len() < self.limits.parts {
            self.open_part(Some(part), end, digest);
        }
    }

    /// The position before the line end that precedes `at`, with the counters there.
    fn before_line(&self, at: usize) -> (usize, usize, usize) {
        let before = &self.message[..at];
        if before.ends_with(b"\r\n") {
            (at - 2, self.lines - 1, self.bare)
        } else if before.ends_with(b"\n") {
            (at - 1, self.lines - 1, self.bare - 1)
        } else {
            (at, self.lines, self.bare)
        }
    }

    /// Ends all open parts from `level` inwards.
    fn close_to(&mut self, level: usize, at: usize, lines: usize, bare: usize) {
        while self.open.len() > level {
            let header_open = self.in_header;
            self.in_header = false;
            if let Some(open) = self.open.pop() {
                self.close_part(open.part, header_open, at, lines, bare);
            }
        }
    }

    fn close_part(&mut self, part: usize, header_open: bool, at: usize, lines: usize, bare: usize) {
        let p = &mut self.parts[part];
        if header_open {
            // a header that runs into the end: everything is header, the body is empty
            if at >= p.header.start {
                close(&mut p.header, at, lines, bare);
            } else {
                p.header = Span { start: p.header.start, end: p.header.start, lines: 0, bare_lf: 0 };
            }
            p.body = Span { start: p.header.end, end: p.header.end, lines: 0, bare_lf: 0 };
            self.read_header(part);
        } else if at >= p.body.start {
            close(&mut p.body, at, lines, bare);
        } else {
            // a boundary right after the empty line: its line end was the header's
            p.body = Span { start: p.body.start, end: p.body.start, lines: 0, bare_lf: 0 };
        }
    }
}

/// Turns a span that holds start counters into one that holds differences.
fn close(span: &mut Span, end: usize, lines: usize, bare: usize) {
    span.end = end;
    span.lines = lines.saturating_sub(span.lines);
    span.bare_lf = bare.saturating_sub(span.bare_lf);
}

#[cfg(test)]
#[path = "structure_tests.rs"]
mod tests;
