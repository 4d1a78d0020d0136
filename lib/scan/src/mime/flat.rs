//! Reads a message as a flat row of parts: the union of what lenient and strict mail readers see.
//!
//! Standards   RFC 5322, RFC 2045, RFC 2046 5.1 (delimiters), read with every known leniency at once
//! Why         a delimiter of any enclosing multipart ends a part, so the tree need not be built: one pass finds parts in
//!             preambles, epilogues and behind wrong, missing, doubled or split boundaries, at any nesting, in linear time
//! Rules       a part begins at 1. the start   2. a line `--b` where b is any boundary seen so far, in any reading of it
//!             3. a line `--...` with a `Content-` field on the next line   4. a `Content-...:` or mbox `From ` line inside
//!             a body (this one overlaps the part it is in, for the other reading)
//! Invariants  every octet of the message is in the body of some part or in a header
//! Failures    none: anything is a message

use super::field::{self, Field};
use super::part;
use crate::sink::{Sink, Trouble};
use std::collections::HashSet;

/// Multiparts and messages inside each other.
const NEST_MAX: usize = 32;
/// Parts that begin inside another one's body.
const LOOSE_MAX: usize = 5000;
/// Boundaries kept.
const BOUNDARIES_MAX: usize = 20_000;
/// Fields read of one header.
const FIELDS_MAX: usize = 5000;

/// One line: where it starts, where its text ends, where the next begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Line {
    start: usize,
    end: usize,
    next: usize,
}

/// The line at `start`; CR, LF and CRLF all end one.
fn line_at(data: &[u8], start: usize) -> Line {
    let rest = data.get(start..).unwrap_or_default();
    let Some(len) = memchr::memchr2(b'\r', b'\n', rest) else {
        return Line { start, end: data.len(), next: data.len() };
    };
    let crlf = rest.get(len..).is_some_and(|r| r.starts_with(b"\r\n"));
    Line { start, end: start + len, next: start + len + if crlf { 2 } else { 1 } }
}

/// A header being or having been read.
struct Header<'a> {
    fields: Vec<Field<'a>>,
    start: usize,
    body: usize,
    /// Behind the first line of blanks in it.
    blank: Option<usize>,
}

struct Walk<'a, 's> {
    data: &'a [u8],
    sink: &'s mut dyn Sink,
    boundaries: HashSet<Vec<u8>>,
    nest: usize,
    loose: Vec<Header<'a>>,
    loose_count: usize,
}

/// Whether data that is not declared as one reads like a message.
pub fn looks_like_message(data: &[u8]) -> bool {
    let mut at = 0;
    let (mut fields, mut known) = (0, 0);
    for n in 0..40 {
        let line = line_at(data, at);
        let text = data.get(line.start..line.end).unwrap_or_default();
        if line.start >= data.len() || text.trim_ascii().is_empty() {
            break;
        }
        let folded = text.starts_with(b" ") || text.starts_with(b"\t");
        if n == 0 && text.starts_with(b"From ") {
            known += 1;
        } else if !folded || n == 0 {
            let Some(name) = field::name_of(text) else { break };
            fields += 1;
            known += usize::from(field::is_known(&name));
        }
        at = line.next;
    }
    fields >= 2 && known >= 2 || fields == 1 && known >= 1 && content_line(data)
}

/// Whether text has MIME fields somewhere, which a reader may follow.
pub fn has_parts(data: &[u8]) -> bool {
    let begins = |at: usize| match at.checked_sub(2).and_then(|b| data.get(b)) {
        Some(before) => matches!(before, b'\r' | b'\n' | b' ' | b'\t' | b'>'),
        None => at == 1,
    };
    memchr::memmem::find_iter(data, b"ontent-")
        .take(1000)
        .any(|at| begins(at) && content_line(data.get(at - 1..).unwrap_or_default()))
}

/// Reads a message.
pub fn read(data: &[u8], sink: &mut dyn Sink) {
    let mut w = Walk { data, sink, boundaries: HashSet::new(), nest: 0, loose: Vec::new(), loose_count: 0 };
    let first = line_at(data, 0);
    let start = match w.delimiter(first) {
        Some(_) => first.next,
        None if data.starts_with(b"From ") => first.next,
        None => 0,
    };
    w.parts(start);
}

impl<'a> Walk<'a, '_> {
    /// All parts from `start`, where a header begins.
    fn parts(&mut self, start: usize) {
        let mut at = start;
        let mut header = self.header(at);
        while !self.sink.done() {
            self.learn(&header);
            if part::is_message(&header.fields) && self.enter() && header.body < self.data.len() {
                // the inner message begins at once; the outer part has no body of its own
                self.outer(&header);
                header = self.header(header.body);
                continue;
            }
            let (end, delimiter) = self.body(header.body);
            self.emit(&header, end);
            let Some((line, closing)) = delimiter else { break };
            at = line.next;
            header = if closing {
                self.nest = self.nest.saturating_sub(1);
                Header { fields: Vec::new(), start: at, body: at, blank: None }
            } else {
                self.header(at)
            };
        }
    }

    fn enter(&mut self) -> bool {
        self.nest += 1;
        if self.nest > NEST_MAX {
            self.sink.trouble(Trouble::Limit, "messages and multiparts nested too deep");
        }
        true
    }

    /// Reads the header at `start`, up to an empty line, a delimiter, or a line that cannot be a field.
    fn header(&mut self, start: usize) -> Header<'a> {
        let mut fields = Vec::new();
        let mut at = start;
        let mut odd = 0;
        let mut blank = None;
        while at < self.data.len() {
            let line = line_at(self.data, at);
            let text = self.data.get(line.start..line.end).unwrap_or_default();
            if text.is_empty() {
                return Header { fields, start, body: line.next, blank };
            }
            if self.delimiter(line).is_some() {
                return Header { fields, start, body: at, blank };
            }
            let end = self.folded(line);
            let last = self.data.get(end.start..end.end).unwrap_or_default();
            if blank.is_none() && last.trim_ascii().is_empty() {
                blank = Some(end.next);
            }
            match Field::parse(self.data.get(line.start..end.end).unwrap_or_default()) {
                Some(f) if fields.len() < FIELDS_MAX => fields.push(f),
                Some(_) => {}
                None => odd += 1,
            }
            if odd > 20 && fields.is_empty() {
                // no header at all: everything is body
                return Header { fields, start, body: start, blank };
            }
            at = end.next;
        }
        // a header that never ends may as well be a body
        Header { start, body: if fields.is_empty() { start } else { self.data.len() }, fields, blank }
    }

    /// The last line of the field that begins with `line`.
    fn folded(&self, line: Line) -> Line {
        let mut last = line;
        while matches!(self.data.get(last.next), Some(b' ' | b'\t')) {
            let next = line_at(self.data, last.next);
            if next.start == next.end {
                break;
            }
            last = next;
        }
        last
    }

    /// Takes in the boundaries a header declares.
    fn learn(&mut self, header: &Header<'_>) {
        let found = part::boundaries(&header.fields);
        if !found.is_empty() && part::is_multipart(&header.fields) {
            self.enter();
        }
        for b in found {
            if self.boundaries.len() < BOUNDARIES_MAX {
                self.boundaries.insert(b);
            } else {
                self.sink.trouble(Trouble::Limit, "too many boundaries");
            }
        }
    }

    /// Whether a line is a delimiter, and whether it closes.
    fn delimiter(&self, line: Line) -> Option<bool> {
        let text = self.data.get(line.start..line.end)?;
        let rest = text.strip_prefix(b"--")?.trim_ascii();
        if self.boundaries.contains(rest) {
            return Some(false);
        }
        if let Some(open) = rest.strip_suffix(b"--").filter(|b| self.boundaries.contains(b.trim_ascii_end())) {
            return (!open.is_empty()).then_some(true);
        }
        content_line(self.data.get(line.next..)?).then_some(false)
    }

    /// The end of the body that begins at `start`, and the delimiter line behind it.
    fn body(&mut self, start: usize) -> (usize, Option<(Line, bool)>) {
        let mut at = start;
        while at < self.data.len() {
            let line = line_at(self.data, at);
            match self.data.get(at) {
                Some(b'-') => {
                    if let Some(closing) = self.delimiter(line) {
                        return (before_line_end(self.data, start, at), Some((line, closing)));
                    }
                }
                Some(b'C' | b'c' | b'F' | b' ' | b'\t' | b'>') if at > start => self.inner_header(line),
                _ => {}
            }
            at = line.next;
        }
        (self.data.len(), None)
    }

    /// A header in the middle of a body: the other reading of it.
    fn inner_header(&mut self, line: Line) {
        let from_line = || self.data.get(line.start..).is_some_and(|d| d.starts_with(b"From "));
        let at = if content_line(self.data.get(line.start..).unwrap_or_default()) {
            line.start
        } else if from_line() && looks_like_message(self.data.get(line.next..).unwrap_or_default()) {
            line.next
        } else {
            return;
        };
        // the lines of one header are one beginning, not many
        if self.loose.last().is_some_and(|h| at < h.body) {
            return;
        }
        self.loose_count += 1;
        if self.loose_count > LOOSE_MAX {
            self.sink.trouble(Trouble::Limit, "too many headers inside bodies");
            return;
        }
        let header = self.header(at);
        self.learn(&header);
        self.loose.push(header);
    }

    fn emit(&mut self, header: &Header<'a>, end: usize) {
        let body = self.data.get(header.body..end.max(header.body)).unwrap_or_default();
        part::part(&header.fields, body, self.sink);
        self.blankish(header, end);
        let loose = std::mem::take(&mut self.loose);
        // each ends where the next begins, so that many of them cost no more than one
        let ends: Vec<usize> = loose.iter().skip(1).map(|h| h.start).chain([end]).collect();
        for (loose, end) in loose.iter().zip(ends) {
            let body = self.data.get(loose.body..end.max(loose.body)).unwrap_or_default();
            if !self.sink.done() {
                part::part(&loose.fields, body, self.sink);
            }
        }
    }

    /// A part whose content is a message: its own names still count.
    fn outer(&mut self, header: &Header<'a>) {
        part::describe(&header.fields, self.sink);
    }

    /// The reading in which a line of blanks ends the header: the rest of the header is body too.
    fn blankish(&mut self, header: &Header<'a>, end: usize) {
        let Some(at) = header.blank else { return };
        let body = self.data.get(at..end.max(at)).unwrap_or_default();
        part::part(&header.fields, body, self.sink);
    }
}

/// The end of the text before the line end in front of `at`.
fn before_line_end(data: &[u8], start: usize, at: usize) -> usize {
    let body = data.get(start..at).unwrap_or_default();
    let body = body.strip_suffix(b"\n").unwrap_or(body);
    start + body.strip_suffix(b"\r").unwrap_or(body).len()
}

/// Whether the data begins with a field that describes a part.
fn content_line(data: &[u8]) -> bool {
    let data = data.get(..120).unwrap_or(data).trim_ascii_start();
    let Some(head) = data.get(..8) else { return false };
    head.eq_ignore_ascii_case(b"content-")
        && field::name_of(data).is_some_and(|n| {
            matches!(&n[..], b"content-type" | b"content-transfer-encoding" | b"content-disposition" | b"content-id")
        })
}
