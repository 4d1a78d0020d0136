//! A private instance without listen: spawn, lookup and enqueue run for real, smtpd is started on pipes.

use super::Place;
use penny_testkit::run::Started;
use penny_testkit::{Output, Run, program, wait_for_socket};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

/// The ordinary user everything runs as when the tests are root.
const UID: u32 = 64_990;

pub struct Instance {
    pub place: Place,
    _services: Vec<Started>,
}

impl Instance {
    /// `config` goes behind `[paths]`; `tables` are files of the tables directory, `HOME/` in them is the instance's root.
    pub fn new(config: &str, tables: &[(&str, &str)]) -> Self {
        let place = Place::new(config);
        let root = format!("{}/", place.dir.path().display());
        for (name, text) in tables {
            std::fs::write(place.path("tables").join(name), text.replace("HOME/", &root)).unwrap();
        }
        for home in ["ann", "bob"] {
            std::fs::create_dir(place.path(home)).unwrap();
        }
        own(place.dir.path());
        let services = [
            (program!("spawn"), vec![]),
            (program!("lookup"), vec!["--serve"]),
            (program!("enqueue"), vec!["--serve"]),
        ];
        let started = services.iter().map(|(path, args)| run(path, &place).args(args).spawn()).collect();
        for socket in ["spawn", "lookup", "enqueue"] {
            wait_for_socket(place.path("run").join(socket).join("socket"));
        }
        Self { place, _services: started }
    }

    /// Users `ann@here.example` (password `secret`) and `bob@here.example`, an alias for both, a backup domain.
    pub fn usual(config: &str) -> Self {
        Self::new(
            config,
            &[
                ("domains", "here.example local\nbackup.example relay\n"),
                (
                    "users",
                    "ann@here.example:{PLAIN}secret::::HOME/ann::\nbob@here.example:{PLAIN}sesame::::HOME/bob::\n",
                ),
                (
                    "virtual",
                    "info@here.example ann@here.example, bob@here.example\npostmaster@here.example ann@here.example\n",
                ),
                ("aliases", "postmaster: ann@here.example\n"),
            ],
        )
    }

    /// smtpd in a role, the client being a local pipe.
    pub fn smtpd(&self, role: &str) -> Run {
        run(&program!("smtpd"), &self.place).arg("-r").arg(role)
    }

    /// smtpd in a role, the client being a host of the network.
    pub fn stranger(&self, role: &str) -> Run {
        self.smtpd(role).env("TCPREMOTEIP", "192.0.2.7").env("TCPREMOTEPORT", "4242").env("PROTO", "TCP")
    }

    /// The questions that programs started from now on ask lookup; it still answers them.
    pub fn overhear_lookup(&self) -> Arc<Mutex<Vec<String>>> {
        let (socket, real) = (self.place.path("run/lookup/socket"), self.place.path("run/lookup/real"));
        std::fs::rename(&socket, &real).unwrap();
        let listener = UnixListener::bind(&socket).unwrap();
        own(&socket);
        let asked = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (kept, real) = (Arc::clone(&kept), UnixStream::connect(&real).unwrap());
                std::thread::spawn(move || {
                    let (mut back, mut there) = (stream.try_clone().unwrap(), real.try_clone().unwrap());
                    let mut answers = BufReader::new(real).lines();
                    for question in BufReader::new(stream).lines().map_while(Result::ok) {
                        let _ = there.write_all(format!("{question}\n").as_bytes());
                        kept.lock().unwrap().push(question);
                        let Some(Ok(answer)) = answers.next() else { break };
                        let _ = back.write_all(format!("{answer}\n").as_bytes());
                    }
                });
            }
        });
        asked
    }

    /// The entries committed so far.
    pub fn queued(&self) -> Vec<String> {
        let Ok(dir) = std::fs::read_dir(self.place.path("queue/new")) else { return Vec::new() };
        let mut names: Vec<_> = dir.filter_map(|e| e.ok().map(|e| e.path())).collect();
        names.sort();
        names.iter().map(|p| String::from_utf8_lossy(&std::fs::read(p).unwrap()).into_owned()).collect()
    }

    /// The messages in a Maildir below the instance.
    pub fn mailbox(&self, path: &str) -> Vec<String> {
        let Ok(dir) = std::fs::read_dir(self.place.path(path).join("new")) else { return Vec::new() };
        dir.filter_map(|e| e.ok()).map(|e| std::fs::read_to_string(e.path()).unwrap()).collect()
    }

    /// A script that can be a filter.
    pub fn script(place: &Path, name: &str, text: &str) -> String {
        let path = place.join(name);
        penny_testkit::tmp::executable(&path, text);
        path.display().to_string()
    }
}

fn run(program: &Path, place: &Place) -> Run {
    let run = Run::new(program).arg("-c").arg(place.config());
    if penny_sys::ids::is_root() { run.uid(UID, UID) } else { run }
}

/// Gives a tree to the user everything runs as.
pub fn own(path: &Path) {
    if !penny_sys::ids::is_root() {
        return;
    }
    std::os::unix::fs::chown(path, Some(UID), Some(UID)).unwrap();
    if path.is_dir() {
        std::fs::read_dir(path).unwrap().for_each(|e| own(&e.unwrap().path()));
    }
}

/// The codes of the last lines of the replies.
pub fn codes(output: &Output) -> String {
    let text = output.out();
    let last = text.lines().filter(|line| line.as_bytes().get(3) == Some(&b' '));
    last.map(|line| line.get(..3).unwrap_or("???")).collect::<Vec<_>>().join(" ")
}
