//! A directory with a configuration and tables, on which the commands of `pennypost` are run.
#![allow(dead_code)] // each test file uses its part

use penny_testkit::{Output, Run, TempDir};
use std::path::PathBuf;

/// The directory of the programs under test.
pub fn programs() -> PathBuf {
    penny_testkit::programs!()
}

pub struct Admin {
    pub dir: TempDir,
}

impl Admin {
    /// A place whose configuration has these lines above its first section, and these below.
    pub fn new(top: &str, rest: &str) -> Admin {
        let dir = TempDir::new();
        let at = dir.path().display();
        let text = format!(
            "{top}\n[paths]\nrun = \"{at}/run\"\nqueue = \"{at}/queue\"\nstate = \"{at}/state\"\ntables = \"{at}/etc\"\n\
             libexec = \"{}\"\n[mail]\nhome = \"{at}/mail/%d/%u\"\n{rest}",
            programs().display()
        );
        dir.write("etc/pennypost.toml", text);
        Admin { dir }
    }

    pub fn config(&self) -> PathBuf {
        self.dir.join("etc/pennypost.toml")
    }

    pub fn table(&self, name: &str) -> String {
        std::fs::read_to_string(self.dir.join("etc").join(name)).unwrap_or_default()
    }

    /// `pennypost -c CONFIG` with the words of a line.
    pub fn run(&self, line: &str) -> Output {
        self.with(line, "")
    }

    pub fn with(&self, line: &str, stdin: &str) -> Output {
        self.command(line.split_whitespace()).stdin(stdin).run()
    }

    pub fn command<S: AsRef<std::ffi::OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Run {
        let run = Run::new(programs().join("pennypost")).arg("-c").arg(self.config()).args(args);
        run.limit(std::time::Duration::from_secs(120))
    }

    /// What a lookup of its own answers to the lines, all of them in one conversation.
    pub fn ask(&self, questions: &[&str]) -> Vec<String> {
        let lines: String = questions.iter().map(|q| format!("{}\n", q.replace(' ', "\t"))).collect();
        let run = Run::new(programs().join("lookup")).arg("-c").arg(self.config()).stdin(lines);
        let out = run.limit(std::time::Duration::from_secs(120)).run();
        assert_eq!(out.code, Some(0), "{}", out.describe());
        out.out().lines().map(|l| l.replace('\t', " ")).collect()
    }

    /// What checkauth says to a login with PLAIN.
    pub fn log_in(&self, user: &str, password: &str) -> String {
        let response = penny_mime::base64::encode(format!("\0{user}\0{password}").as_bytes());
        let line = format!("AUTH PLAIN service=imap ip=192.0.2.1 tls=1 resp={response}\n");
        let out = Run::new(programs().join("checkauth")).arg("-c").arg(self.config()).stdin(line).run();
        out.out()
    }
}
