//! mbox files: read any of the common kinds, write mboxrd.
//!
//! Standards   RFC 4155; mboxrd quoting (`^>*From ` gets one more '>'); Status, X-Status, X-Keywords of c-client
//! Format      a message starts at a line `From <sender> <date>` at the start or after an empty line
//! Invariants  1. a message read from an mboxrd written here is the message that went in (with LF line ends)
//!             2. memory is bounded by the longest line and the header (1 MiB), not by the message
//! Trust       hostile

use std::io::{self, BufRead, Write};

use crate::date;
use crate::name::Flags;

/// Header kept in memory at most.
const HEADER_MAX: usize = 1 << 20;

/// What an mbox says about a message beside its bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Meta {
    /// Where the message began in the file.
    pub offset: u64,
    /// Date of the From_ line, Unix seconds.
    pub date: Option<i64>,
    /// From Status and X-Status.
    pub flags: Flags,
    /// From X-Keywords.
    pub keywords: Vec<String>,
}

/// Reads messages one after the other.
pub struct Reader<R> {
    input: R,
    position: u64,
    /// The From_ line of the next message, already read, and where it began.
    next: Option<(u64, Vec<u8>)>,
    line: Vec<u8>,
}

/// True for a line that starts a message: `From `, something, a date.
fn is_from_line(line: &[u8]) -> bool {
    line.starts_with(b"From ") && std::str::from_utf8(line).is_ok_and(|l| date::from_ctime(l).is_some())
}

impl<R: BufRead> Reader<R> {
    /// Starts; an error of kind InvalidData if the file does not begin with a From_ line.
    pub fn new(input: R) -> io::Result<Reader<R>> {
        let mut reader = Reader { input, position: 0, next: None, line: Vec::new() };
        while reader.read_line()? {
            if is_from_line(&reader.line) {
                let begin = reader.position - reader.line.len() as u64;
                reader.next = Some((begin, reader.line.clone()));
                break;
            }
            if !reader.line.trim_ascii().is_empty() {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "not an mbox: no From_ line at the start"));
            }
        }
        Ok(reader)
    }

    fn read_line(&mut self) -> io::Result<bool> {
        self.line.clear();
        let n = self.input.read_until(b'\n', &mut self.line)?;
        self.position += n as u64;
        Ok(n > 0)
    }

    /// Octets of the file read so far.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Writes the next message, unquoted and with LF line ends, to what `begin` makes of its values; `None` at the end.
    pub fn next<W: Write>(&mut self, begin: impl FnOnce(&Meta) -> io::Result<W>) -> io::Result<Option<(Meta, W)>> {
        let Some((offset, from)) = self.next.take() else { return Ok(None) };
        let date = date::from_ctime(&String::from_utf8_lossy(&from));
        let mut meta = Meta { offset, date, ..Meta::default() };
        let (header, ended) = self.header(&mut meta)?;
        let mut out = begin(&meta)?;
        out.write_all(&header)?;
        if !ended {
            self.body(&mut out)?;
        }
        Ok(Some((meta, out)))
    }

    /// The header without the fields that only an mbox has; true if the message ended with it.
    fn header(&mut self, meta: &mut Meta) -> io::Result<(Vec<u8>, bool)> {
        let mut out = Vec::new();
        let mut skipping = false;
        while self.read_line()? {
            let line = unix_line(&self.line);
            if line == b"\n" {
                out.push(b'\n');
                return Ok((out, false));
            }
            if is_from_line(&line) && out.is_empty() {
                // A message without any header.
                self.next = Some((self.position - self.line.len() as u64, line));
                return Ok((out, true));
            }
            let folded = line.starts_with(b" ") || line.starts_with(b"\t");
            skipping = if folded { skipping } else { take_field(&line, meta) };
            if !skipping {
                out.extend_from_slice(&line);
            }
            if out.len() > HEADER_MAX {
                return Ok((out, false));
            }
        }
        Ok((out, true))
    }

    /// The body up to the next From_ line; the empty line before that one belongs to the file, not to the message.
    fn body(&mut self, out: &mut impl Write) -> io::Result<()> {
        let mut empty = true;
        let mut owed = false;
        while self.read_line()? {
            let line = unix_line(&self.line);
            if (empty || owed) && is_from_line(&line) {
                self.next = Some((self.position - self.line.len() as u64, line));
                return Ok(());
            }
            if owed {
                out.write_all(b"\n")?;
                owed = false;
            }
            empty = false;
            match line == b"\n" {
                true => owed = true,
                false => out.write_all(unquoted(&line))?,
            }
        }
        Ok(())
    }
}

/// The line with LF instead of CRLF.
fn unix_line(line: &[u8]) -> Vec<u8> {
    match line.strip_suffix(b"\r\n") {
        Some(text) => [text, b"\n"].concat(),
        None => line.to_vec(),
    }
}

/// mboxrd: one '>' less before `From ` at the start of a line.
fn unquoted(line: &[u8]) -> &[u8] {
    let quotes = line.iter().take_while(|c| **c == b'>').count();
    let quoted = quotes > 0 && line.get(quotes..).is_some_and(|rest| rest.starts_with(b"From "));
    line.get(usize::from(quoted)..).unwrap_or_default()
}

/// Takes a field that belongs to the mbox; true if the line is to be left out.
fn take_field(line: &[u8], meta: &mut Meta) -> bool {
    let text = String::from_utf8_lossy(line);
    let Some((name, value)) = text.split_once(':') else { return false };
    match name.to_ascii_lowercase().as_str() {
        "status" => {
            if value.contains('R') {
                meta.flags = meta.flags.union(Flags::SEEN);
            }
        }
        "x-status" => {
            for (letter, flag) in STATUS {
                if value.contains(letter) {
                    meta.flags = meta.flags.union(flag);
                }
            }
        }
        "x-keywords" => meta.keywords.extend(value.split_ascii_whitespace().map(str::to_string)),
        "x-uid" | "x-imap" | "x-imapbase" => {}
        _ => return false,
    }
    true
}

const STATUS: [(char, Flags); 4] =
    [('A', Flags::ANSWERED), ('F', Flags::FLAGGED), ('T', Flags::DRAFT), ('D', Flags::DELETED)];

/// Writes one message as mboxrd: From_ line, status fields on top, quoted body, an empty line at the end.
pub fn write(out: &mut impl Write, meta: &Meta, sender: &str, message: &mut impl BufRead) -> io::Result<()> {
    let sender = if sender.is_empty() { "MAILER-DAEMON" } else { sender };
    writeln!(out, "From {} {}", sender.replace(char::is_whitespace, "-"), date::to_ctime(meta.date.unwrap_or(0)))?;
    writeln!(out, "Status: {}O", if meta.flags.contains(Flags::SEEN) { "R" } else { "" })?;
    let letters: String = STATUS.iter().filter(|(_, f)| meta.flags.contains(*f)).map(|(l, _)| *l).collect();
    if !letters.is_empty() {
        writeln!(out, "X-Status: {letters}")?;
    }
    if !meta.keywords.is_empty() {
        writeln!(out, "X-Keywords: {}", meta.keywords.join(" "))?;
    }
    let mut line = Vec::new();
    let mut header = true;
    loop {
        line.clear();
        if message.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        // Fields of an earlier mbox would be read back as this one's.
        if header && take_field(&line, &mut Meta::default()) {
            continue;
        }
        header &= !matches!(line.as_slice(), b"\n" | b"\r\n");
        let quotes = line.iter().take_while(|c| **c == b'>').count();
        if line.get(quotes..).is_some_and(|rest| rest.starts_with(b"From ")) {
            out.write_all(b">")?;
        }
        out.write_all(&line)?;
        if line.last() != Some(&b'\n') {
            out.write_all(b"\n")?;
        }
    }
    if header {
        // No body: the empty line that ends the header keeps the next From_ line out of it.
        out.write_all(b"\n")?;
    }
    out.write_all(b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(text: &str) -> Vec<(Meta, String)> {
        let mut reader = Reader::new(text.as_bytes()).unwrap();
        let mut out = Vec::new();
        while let Some((meta, bytes)) = reader.next(|_| Ok(Vec::new())).unwrap() {
            out.push((meta, String::from_utf8(bytes).unwrap()));
        }
        out
    }

    #[test]
    fn reads_flags_dates_and_quotes() {
        let text = "From a@b Sun Sep  9 01:46:40 2001\nSubject: x\nStatus: RO\nX-Status: AF\nX-Keywords: $Work\n  folded\n\
                    X-UID: 5\n\nbody\n>From here\n>>From there\nFrom now on, no date\n\nFrom is a word\n\n\
                    From c@d Sun Sep  9 01:46:41 2001\r\nSubject: y\r\n\r\ntext\r\n";
        let all = read_all(text);
        assert_eq!(all.len(), 2);
        assert_eq!(all[0].0.flags, Flags::SEEN.union(Flags::ANSWERED).union(Flags::FLAGGED));
        assert_eq!((all[0].0.date, all[0].0.keywords.as_slice()), (Some(1_000_000_000), &["$Work".to_string()][..]));
        assert_eq!(all[0].1, "Subject: x\n\nbody\nFrom here\n>From there\nFrom now on, no date\n\nFrom is a word\n");
        assert_eq!(all[1].1, "Subject: y\n\ntext\n");
        assert_eq!(all[1].0.offset as usize, text.find("From c@d").unwrap());
    }

    #[test]
    fn round_trips() {
        let messages = [
            "Subject: a\n\nx\n",
            "Subject: b\n\n",
            "Subject: c\n\nFrom x Sun Sep  9 01:46:40 2001\n\n\n>From q\n",
            "S: d\n\n\n\n",
        ];
        let mut mbox = Vec::new();
        for (i, m) in messages.iter().enumerate() {
            let meta = Meta { date: Some(i as i64), flags: Flags(i as u8), keywords: vec![], offset: 0 };
            write(&mut mbox, &meta, "some one@x", &mut m.as_bytes()).unwrap();
        }
        let all = read_all(std::str::from_utf8(&mbox).unwrap());
        assert_eq!(all.iter().map(|(_, m)| m.as_str()).collect::<Vec<_>>(), messages);
        assert_eq!(all[3].0.flags, Flags(3));
    }

    #[test]
    fn what_is_no_mbox_is_refused() {
        assert!(Reader::new(&b"Subject: x\n\n"[..]).is_err());
        assert!(Reader::new(&b""[..]).unwrap().next(|_| Ok(Vec::new())).unwrap().is_none());
        assert_eq!(read_all("From a Sun Sep  9 01:46:40 2001\n").len(), 1);
        assert_eq!(read_all("From a Sun Sep  9 01:46:40 2001\nFrom a Sun Sep  9 01:46:40 2001\nx: y\n").len(), 2);
    }
}
