//! Fake services for tests of the SMTP side: a lookup that answers from a closure, and a directory with a configuration.
#![allow(dead_code)]

pub mod instance;
pub mod milter;

use penny_testkit::TempDir;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::Arc;

/// Answers one question (its fields) with the fields of an answer.
pub type Answers = Arc<dyn Fn(&[&str]) -> String + Send + Sync>;

/// A private directory with `run/`, `queue/`, `tables/` and a configuration file.
pub struct Place {
    pub dir: TempDir,
}

impl Place {
    /// `extra` is added to the configuration (sections or keys after `[paths]`).
    pub fn new(extra: &str) -> Self {
        let dir = TempDir::new();
        for part in ["run", "queue", "state", "tables"] {
            std::fs::create_dir(dir.path().join(part)).unwrap();
        }
        let place = Self { dir };
        let root = place.dir.path().display();
        let libexec = penny_testkit::program!("checkauth").parent().unwrap().display().to_string();
        let text = format!(
            "hostname = \"mx.here.example\"\n[paths]\nrun = \"{root}/run\"\nqueue = \"{root}/queue\"\nstate = \"{root}/state\"\n\
             tables = \"{root}/tables\"\nlibexec = \"{libexec}\"\n{extra}\n"
        );
        std::fs::write(place.config(), text).unwrap();
        place
    }

    pub fn config(&self) -> PathBuf {
        self.path("pennypost.toml")
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Starts a lookup on the socket; it lives as long as the test process.
    pub fn lookup(&self, answers: Answers) {
        std::fs::create_dir(self.path("run/lookup")).unwrap();
        let listener = UnixListener::bind(self.path("run/lookup/socket")).unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let answers = Arc::clone(&answers);
                std::thread::spawn(move || {
                    let mut writer = stream.try_clone().unwrap();
                    for line in BufReader::new(stream).lines().map_while(Result::ok) {
                        let fields: Vec<&str> = line.split('\t').collect();
                        let _ = writer.write_all(format!("{}\n", answers(&fields)).as_bytes());
                    }
                });
            }
        });
    }
}
