//! Plays dialogues written as text: `C:` what the client says, `S:` what the server must answer.
//!
//! Format, one step a line (`tests/dialog/<prog>/<name>.dlg`):
//!   `C: text`    sends text and CRLF; `\r \n \t \0 \\ \xNN` are bytes
//!   `C>: text`   sends text without CRLF
//!   `S: text`    the next line starts with text; `...` in it stands for anything
//!   `S=: text`   the next line is exactly that (`...` too)
//!   `S*: text`   lines are read until one starts with text
//!   `EOF`        the server closes (one more line fails)
//!   `CLOSE`      the client closes its sending side
//!   `WAIT 200`   milliseconds of silence
//!   `# ...`      a remark; empty lines count for nothing
//! `${name}` in any text is replaced by the player's variable of that name.
//!
//! Invariants  a missing line fails after the limit, with file, line number and all that was said before

use crate::run::{Run, Started};
use crate::wait::PATIENCE;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

/// One step of a dialogue.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Send(String),
    Prefix(String),
    Exact(String),
    Until(String),
    Eof,
    Close,
    Wait(u64),
}

/// A dialogue read from a file or a string.
#[derive(Debug, Clone)]
pub struct Dialog {
    name: String,
    steps: Vec<(usize, Step)>,
}

impl Dialog {
    /// Reads a `.dlg` file.
    ///
    /// # Panics
    /// When it cannot be read or has a line that is no step.
    pub fn load(path: impl AsRef<Path>) -> Self {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        Self::parse(&path.display().to_string(), &text)
    }

    /// Reads a dialogue from text; `name` appears in failures.
    ///
    /// # Panics
    /// On a line that is no step.
    pub fn parse(name: &str, text: &str) -> Self {
        let steps = text.lines().enumerate().filter_map(|(n, line)| {
            let step = parse_step(line).unwrap_or_else(|| panic!("{name}:{}: not a step: {line:?}", n + 1))?;
            Some((n + 1, step))
        });
        Self { name: name.to_owned(), steps: steps.collect() }
    }
}

/// `None`: no step; `Some(None)`: a remark.
fn parse_step(line: &str) -> Option<Option<Step>> {
    let text = line.trim_end();
    if text.is_empty() || text.starts_with('#') {
        return Some(None);
    }
    let after = |tag: &str| line.strip_prefix(tag).map(|t| t.strip_prefix(' ').unwrap_or(t).to_owned());
    let step = if let Some(t) = after("C:") {
        Step::Send(t + "\\r\\n")
    } else if let Some(t) = after("C>:") {
        Step::Send(t)
    } else if let Some(t) = after("S:") {
        Step::Prefix(t)
    } else if let Some(t) = after("S=:") {
        Step::Exact(t)
    } else if let Some(t) = after("S*:") {
        Step::Until(t)
    } else if text == "EOF" {
        Step::Eof
    } else if text == "CLOSE" {
        Step::Close
    } else {
        Step::Wait(text.strip_prefix("WAIT ")?.trim().parse().ok()?)
    };
    Some(Some(step))
}

/// All `.dlg` files of a directory, by name.
///
/// # Panics
/// When there is none: an empty directory proves nothing.
pub fn files(dir: impl AsRef<Path>) -> Vec<PathBuf> {
    let dir = dir.as_ref();
    let all: Vec<_> = crate::tmp::list(dir).into_iter().filter(|p| p.extension().is_some_and(|e| e == "dlg")).collect();
    assert!(!all.is_empty(), "no .dlg in {}", dir.display());
    all
}

/// Plays dialogues against one program or port.
#[derive(Debug, Clone, Default)]
pub struct Player {
    vars: BTreeMap<String, String>,
}

impl Player {
    /// A player without variables.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a variable for `${name}`.
    pub fn var(mut self, name: &str, value: impl Into<String>) -> Self {
        self.vars.insert(name.to_owned(), value.into());
        self
    }

    /// Plays against a program with the conversation on its standard input and output; returns its exit code.
    ///
    /// # Panics
    /// When the dialogue goes otherwise.
    #[track_caller]
    pub fn over_pipes(&self, run: &Run, dialog: &Dialog) -> Option<i32> {
        let mut started: Started = run.spawn();
        let (Some(stdin), Some(stdout)) = (started.child.stdin.take(), started.child.stdout.take()) else {
            panic!("no pipes")
        };
        self.play(Box::new(stdin), read_lines(stdout), None, dialog);
        started.wait(PATIENCE)
    }

    /// Plays over a TCP connection to 127.0.0.1.
    ///
    /// # Panics
    /// When the dialogue goes otherwise.
    #[track_caller]
    pub fn over_tcp(&self, port: u16, dialog: &Dialog) {
        let connect = || -> std::io::Result<_> {
            let stream = TcpStream::connect(("127.0.0.1", port))?;
            stream.set_nodelay(true)?;
            Ok((stream.try_clone()?, stream.try_clone()?, stream))
        };
        let (reader, control, writer) = connect().unwrap_or_else(|e| panic!("{}: {e}", dialog.name));
        self.play(Box::new(writer), read_lines(reader), Some(&control), dialog);
        let _ = control.shutdown(Shutdown::Both);
    }

    #[track_caller]
    fn play(&self, writer: Box<dyn Write>, lines: Receiver<String>, tcp: Option<&TcpStream>, dialog: &Dialog) {
        let mut talk = Talk { writer: Some(writer), lines, tcp, said: Vec::new() };
        for (number, step) in &dialog.steps {
            if let Err(why) = talk.step(step, self) {
                panic!("{}:{number}: {why}\nso far:\n{}", dialog.name, talk.said.join("\n"));
            }
        }
    }

    fn expand(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (name, value) in &self.vars {
            text = text.replace(&format!("${{{name}}}"), value);
        }
        text
    }
}

struct Talk<'a> {
    writer: Option<Box<dyn Write>>,
    lines: Receiver<String>,
    tcp: Option<&'a TcpStream>,
    said: Vec<String>,
}

impl Talk<'_> {
    fn step(&mut self, step: &Step, player: &Player) -> Result<(), String> {
        match step {
            Step::Send(text) => self.send(&player.expand(text)),
            Step::Prefix(text) => self.expect(&player.expand(text), false),
            Step::Exact(text) => self.expect(&player.expand(text), true),
            Step::Until(text) => self.until(&player.expand(text)),
            Step::Eof => match self.next() {
                Ok(line) => Err(format!("expected the end, came {line:?}")),
                Err(RecvTimeoutError::Disconnected) => Ok(()),
                Err(RecvTimeoutError::Timeout) => Err("the connection stays open".into()),
            },
            Step::Close => {
                self.writer = None;
                if let Some(tcp) = self.tcp {
                    let _ = tcp.shutdown(Shutdown::Write);
                }
                Ok(())
            }
            Step::Wait(ms) => {
                std::thread::sleep(Duration::from_millis(*ms));
                Ok(())
            }
        }
    }

    fn send(&mut self, text: &str) -> Result<(), String> {
        self.said.push(format!("C: {text}"));
        let bytes = unescape(text).ok_or_else(|| format!("bad escape in {text:?}"))?;
        let writer = self.writer.as_mut().ok_or("sending after CLOSE")?;
        writer.write_all(&bytes).and_then(|()| writer.flush()).map_err(|e| format!("cannot send {text:?}: {e}"))
    }

    fn next(&mut self) -> Result<String, RecvTimeoutError> {
        let line = self.lines.recv_timeout(PATIENCE)?;
        self.said.push(format!("S: {line}"));
        Ok(line)
    }

    fn expect(&mut self, pattern: &str, exact: bool) -> Result<(), String> {
        match self.next() {
            Ok(line) if matches(pattern, &line, exact) => Ok(()),
            Ok(line) => Err(format!("expected {pattern:?}, came {line:?}")),
            Err(e) => Err(format!("expected {pattern:?}, nothing came ({e})")),
        }
    }

    fn until(&mut self, pattern: &str) -> Result<(), String> {
        loop {
            match self.next() {
                Ok(line) if matches(pattern, &line, false) => return Ok(()),
                Ok(_) => {}
                Err(e) => return Err(format!("{pattern:?} never came ({e})")),
            }
        }
    }
}

fn read_lines(mut stream: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let mut buffer = Vec::new();
        let mut chunk = [0; 16384];
        loop {
            let n = stream.read(&mut chunk).unwrap_or(0);
            buffer.extend_from_slice(&chunk[..n]);
            while let Some(at) = buffer.iter().position(|&b| b == b'\n') {
                let line: Vec<u8> = buffer.drain(..=at).collect();
                let text = String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned();
                if sender.send(text).is_err() {
                    return;
                }
            }
            if n == 0 {
                if !buffer.is_empty() {
                    let _ = sender.send(String::from_utf8_lossy(&buffer).into_owned());
                }
                return;
            }
        }
    });
    receiver
}

/// True if `line` starts with (or, `exact`, is) `pattern`, in which `...` stands for anything.
pub fn matches(pattern: &str, line: &str, exact: bool) -> bool {
    let mut parts = pattern.split("...");
    let first = parts.next().unwrap_or("");
    let Some(mut rest) = line.strip_prefix(first) else { return false };
    let parts: Vec<&str> = parts.collect();
    for (i, part) in parts.iter().enumerate() {
        if exact && i + 1 == parts.len() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    !exact || rest.is_empty()
}

/// Turns `\r \n \t \0 \\ \xNN` into bytes; `None` on an unknown escape.
pub fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(b) = bytes.next() {
        if b != b'\\' {
            out.push(b);
            continue;
        }
        out.push(match bytes.next()? {
            b'r' => b'\r',
            b'n' => b'\n',
            b't' => b'\t',
            b'0' => 0,
            b'\\' => b'\\',
            b'x' => {
                let hex = [bytes.next()?, bytes.next()?];
                u8::from_str_radix(std::str::from_utf8(&hex).ok()?, 16).ok()?
            }
            _ => return None,
        });
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, line, prefix, exact) in [
            ("250 ok", "250 ok then", true, false),
            ("250 ok", "250 ok", true, true),
            ("* OK ... ready", "* OK [X] is ready.", true, false),
            ("* OK ... ready", "* OK [X] is ready", true, true),
            ("a...", "abc", true, true),
            ("...z", "abc", false, false),
            ("b", "abc", false, false),
        ] {
            assert_eq!(matches(pattern, line, false), prefix, "{pattern} {line}");
            assert_eq!(matches(pattern, line, true), exact, "exact {pattern} {line}");
        }
    }

    #[test]
    fn escapes() {
        assert_eq!(unescape(r"a\r\n\x00\\\0").as_deref(), Some(&b"a\r\n\0\\\0"[..]));
        assert_eq!(unescape(r"\q"), None);
    }

    #[test]
    fn plays_over_pipes() {
        let run = Run::new("/bin/sh").args(["-c", "echo hi; read a; echo you said $a; exit 4"]);
        let dialog = Dialog::parse("inline", "S: h\n# remark\n\nC>: ${who}\\n\nS=: you said ... me\nEOF\n");
        assert_eq!(Player::new().var("who", "not me").over_pipes(&run, &dialog), Some(4));
    }

    #[test]
    #[should_panic(expected = "inline:1: expected \"ho\", came \"hi\"")]
    fn a_wrong_answer_fails_with_its_place() {
        let run = Run::new("/bin/sh").args(["-c", "echo hi"]);
        Player::new().over_pipes(&run, &Dialog::parse("inline", "S: ho\n"));
    }
}
