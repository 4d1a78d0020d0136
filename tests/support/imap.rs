//! A home with mail and imapd sessions on it: scripts through a pipe, and conversations that go on while the test works.

#![allow(dead_code)] // each test file uses its part

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use penny_testkit::run::Started;
use penny_testkit::{PATIENCE, Run, TempDir, program};

#[path = "login.rs"]
mod login;

pub struct Home {
    /// The resident lookup of a test with logins; ends before its directory goes.
    _lookup: Option<Started>,
    pub dir: TempDir,
}

pub const CONFIG: &str = "[ids]\nlandlock = \"optional\"\n[imapd]\nappend_limit = \"1MiB\"\n";

impl Home {
    pub fn new() -> Self {
        let h = Self { _lookup: None, dir: TempDir::new() };
        h.dir.write("p.toml", CONFIG);
        h.dir.maildir("home/Maildir");
        h
    }

    pub fn with_mail() -> Self {
        let h = Self::new();
        for (name, text) in MAILS {
            h.dir.write(Path::new("home/Maildir/new").join(name), text);
        }
        h
    }

    pub fn maildir(&self) -> PathBuf {
        self.dir.join("home/Maildir")
    }

    pub fn session(&self) -> Run {
        let run = Run::new(program!("imapd")).arg("-c").arg(self.dir.join("p.toml")).arg("--session");
        run.env("USER", "joe").env("HOME", self.dir.join("home")).env("PENNYPOST_SHELL_OK", "1")
    }

    /// Runs a script through a pipe and gives what came out.
    pub fn script(&self, script: &str) -> String {
        let out = self.session().stdin(script).run();
        assert_eq!(out.code, Some(0), "{}", out.describe());
        out.out()
    }

    pub fn live(&self) -> Live {
        let command = Command::new(program!("imapd"));
        Live::start(command, &self.dir)
    }
}

pub const MAILS: [(&str, &str); 3] = [
    (
        "1.a",
        "From: Ann <ann@example.org>\nTo: joe@example.org\nSubject: one\nDate: Mon, 1 Jan 2024 10:00:00 +0000\nMessage-ID: <1@x>\n\nfirst body\n",
    ),
    (
        "2.b",
        "From: Bob <bob@example.org>\nSubject: =?utf-8?Q?gr=C3=BCn?=\nDate: Tue, 2 Jan 2024 10:00:00 +0000\nMessage-ID: <2@x>\nReferences: <1@x>\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64\n\nR3LDvMOfZQ==\n--b\nContent-Type: image/png; name=a.png\nContent-Transfer-Encoding: base64\nContent-Disposition: attachment; filename=a.png\n\nAAAA\n--b--\n",
    ),
    (
        "3.c",
        "From: Ann <ann@example.org>\nSubject: Re: one\nDate: Wed, 3 Jan 2024 10:00:00 +0000\nMessage-ID: <3@x>\nIn-Reply-To: <1@x>\n\nthird\n",
    ),
];

/// A conversation that goes on while the test does other things.
pub struct Live {
    pub child: Child,
    input: ChildStdin,
    lines: Receiver<String>,
}

impl Live {
    pub fn start(command: Command, dir: &TempDir) -> Live {
        Live::start_as(command, dir, "joe", "home", "1")
    }

    /// Of a user with a home below `dir`, who may run programs or is confined.
    pub fn start_as(mut command: Command, dir: &TempDir, user: &str, home: &str, shell_ok: &str) -> Live {
        command.arg("-c").arg(dir.join("p.toml")).arg("--session");
        command.env("USER", user).env("HOME", dir.join(home)).env("PENNYPOST_SHELL_OK", shell_ok);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let (send, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).split(b'\n') {
                let Ok(line) = line else { return };
                if send.send(String::from_utf8_lossy(&line).trim_end().to_owned()).is_err() {
                    return;
                }
            }
        });
        let live = Live { child, input, lines };
        live.until("* PREAUTH");
        live
    }

    pub fn say(&mut self, text: &str) {
        self.input.write_all(text.as_bytes()).unwrap();
        self.input.write_all(b"\r\n").unwrap();
    }

    /// Lines up to the one that begins so.
    pub fn until(&self, prefix: &str) -> Vec<String> {
        let end = Instant::now() + PATIENCE;
        let mut seen = Vec::new();
        loop {
            match self.lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    seen.push(line);
                    if seen.last().is_some_and(|l| l.starts_with(prefix)) {
                        return seen;
                    }
                }
                Err(_) => panic!("no line {prefix:?} after {seen:#?}"),
            }
        }
    }

    pub fn ask(&mut self, tag: &str, command: &str) -> String {
        self.say(&format!("{tag} {command}"));
        self.until(&format!("{tag} ")).join("\n")
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A configuration in which `imapd` finds spawn, lookup and checkauth and one user, joe, password secret.
pub fn with_login() -> (Home, Run) {
    with_login_as("joe", "")
}

/// The same with another login and further fields of the user (a passwd-file line).
pub fn with_login_as(user: &str, fields: &str) -> (Home, Run) {
    let mut h = Home::with_mail();
    h._lookup = Some(login::start_lookup(&h.dir, user, fields));
    let run = Run::new(program!("imapd")).arg("-c").arg(h.dir.join("p.toml"));
    (h, run)
}
