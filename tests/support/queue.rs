//! A queue of its own for a test: enqueue, lookup, spawn and qrun on a temporary directory, all as one ordinary user.

#![allow(dead_code)] // each test file uses its part

use penny_queue::{Address, Enqueue, Envelope, Line, Message, Name, Param, Recipient, Sender};
use penny_testkit::run::Started;
pub use penny_testkit::until;
use penny_testkit::{PATIENCE, Run, TempDir, program, tmp, wait_for_socket};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

/// Uid the services run as when the test is root.
pub const UID: u32 = 54_321;

/// The queue and its services.
pub struct Post {
    /// Dropped, that is killed, before their directory is removed.
    pub services: Vec<(String, Started)>,
    pub dir: TempDir,
    root: bool,
}

impl Post {
    /// Tables and configuration, nothing started. `config` holds further sections, `[queue]` keys first.
    pub fn new(queue_keys: &str, sections: &str) -> Post {
        let dir = TempDir::new();
        let root = std::fs::metadata(dir.path()).unwrap().uid() == 0;
        let d = dir.path().display().to_string();
        let libexec = program!("qrun").parent().unwrap().display().to_string();
        let config = format!(
            "hostname = \"mx.example.test\"\n[paths]\nrun = \"{d}/run\"\nqueue = \"{d}/queue\"\nstate = \"{d}/state\"\n\
             libexec = \"{libexec}\"\ntables = \"{d}/tables\"\n[ids]\nlandlock = \"optional\"\n\
             [queue]\npostmaster = \"root@example.test\"\n{queue_keys}\n{sections}\n"
        );
        dir.write("p.toml", config);
        for sub in ["run", "queue", "state", "tables", "home"] {
            std::fs::create_dir(dir.join(sub)).unwrap();
        }
        let post = Post { dir, services: Vec::new(), root };
        post.table("domains", "example.test local\n");
        let users = ["root", "joe", "ann", "bob"].map(|u| post.user(u)).concat();
        post.table("users", &users);
        post.own();
        post
    }

    fn user(&self, name: &str) -> String {
        let home = self.home(name);
        std::fs::create_dir_all(&home).unwrap();
        let uid = if self.root { UID } else { std::fs::metadata(self.dir.path()).unwrap().uid() };
        format!("{name}@example.test:{{PLAIN}}x:{uid}:{uid}::{}:/bin/sh:\n", home.display())
    }

    pub fn home(&self, name: &str) -> PathBuf {
        self.dir.join("home").join(name)
    }

    /// Writes a table.
    pub fn table(&self, name: &str, text: &str) {
        self.dir.write(Path::new("tables").join(name), text);
        self.own();
    }

    /// Everything belongs to the services' uid.
    pub fn own(&self) {
        if self.root {
            own_tree(self.dir.path());
            std::fs::set_permissions(self.dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        }
    }

    pub fn run(&self, program: &Path) -> Run {
        let run = Run::new(program).env("PENNYPOST_CONFIG", self.dir.join("p.toml"));
        if self.root { run.uid(UID, UID) } else { run }
    }

    /// Starts one service and waits for its socket.
    pub fn start(&mut self, name: &str) {
        let program = match name {
            "enqueue" => program!("enqueue"),
            "lookup" => program!("lookup"),
            "spawn" => program!("spawn"),
            "qrun" => program!("qrun"),
            other => panic!("{other}"),
        };
        let mut run = self.run(&program);
        if matches!(name, "enqueue" | "lookup") {
            run = run.arg("--serve");
        }
        let socket = self.dir.join("run").join(name).join("socket");
        let _ = std::fs::remove_file(&socket);
        self.services.push((name.to_owned(), run.spawn()));
        wait_for_socket(&socket);
    }

    /// Starts all four.
    pub fn up(mut self) -> Post {
        ["spawn", "lookup", "enqueue", "qrun"].iter().for_each(|s| self.start(s));
        self
    }

    /// Kills a service with SIGKILL (dropping it does).
    pub fn kill(&mut self, name: &str) {
        self.services.retain(|(n, _)| n != name);
    }

    /// Commits a message and gives its name.
    pub fn send(&self, from: &str, to: &[&str], body: &str) -> Name {
        let recipients = to.iter().map(|t| recipient(t, "")).collect();
        self.send_as(Envelope { sender: sender(from, ""), recipients, ..Envelope::default() }, body)
    }

    pub fn send_as(&self, envelope: Envelope, body: &str) -> Name {
        let message = format!("From: a@b\nMessage-ID: <orig@example.test>\nSubject: test\n\n{body}\n");
        self.commit(envelope, message.as_bytes())
    }

    /// The same with a message of the test's own.
    pub fn commit(&self, envelope: Envelope, message: &[u8]) -> Name {
        let stream = UnixStream::connect(self.dir.join("run/enqueue/socket")).unwrap();
        let mut enqueue = Enqueue::over(stream).unwrap();
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let arrival = if envelope.arrival.0 == 0 { (now.as_secs(), now.subsec_micros()) } else { envelope.arrival };
        let envelope = Envelope { arrival, protocol: Line::new("test"), ..envelope };
        if message.len() <= penny_queue::client::INLINE_MAX {
            return enqueue.commit(&envelope, b"", Message::Bytes(message)).unwrap();
        }
        let file = std::fs::File::open(self.dir.write("large", message)).unwrap();
        enqueue.commit(&envelope, b"", Message::File(&file)).unwrap()
    }

    /// Messages in a user's new/ and cur/, as text.
    pub fn mails(&self, user: &str) -> Vec<String> {
        let folder = self.home(user).join("Maildir");
        if !folder.exists() {
            return Vec::new();
        }
        tmp::mails(folder).iter().filter_map(|p| std::fs::read_to_string(p).ok()).collect()
    }

    /// Waits until a user has `n` messages.
    #[track_caller]
    pub fn wait_mails(&self, user: &str, n: usize) -> Vec<String> {
        until(&format!("{n} messages of {user}"), || self.mails(user).len() >= n);
        self.mails(user)
    }

    /// File names in a directory of the queue.
    pub fn files(&self, sub: &str) -> Vec<String> {
        let dir = self.dir.join("queue").join(sub);
        let mut names: Vec<String> =
            std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Waits until so many entries wait for another try: nothing of them is under way any more.
    #[track_caller]
    pub fn wait_waiting(&self, n: usize) {
        let end = format!("OK\t{n}");
        until(&format!("{n} that wait"), || self.control("list\tstate=waiting").last() == Some(&end));
    }

    /// Waits until the queue holds nothing.
    #[track_caller]
    pub fn wait_empty(&self) {
        // twice, as a report comes into new/ before what it is about has left cur/
        until("an empty queue", || ["new", "cur", "log", "new", "cur"].iter().all(|d| self.files(d).is_empty()));
    }

    /// One request to qrun: the answer lines, the last one `OK...` or `ERR...`.
    pub fn control(&self, request: &str) -> Vec<String> {
        let mut stream = UnixStream::connect(self.dir.join("run/qrun/socket")).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(format!("{request}\n").as_bytes()).unwrap();
        let mut lines = Vec::new();
        for line in BufReader::new(stream).lines() {
            let line = line.unwrap();
            let last = line.starts_with("OK\t") || line.starts_with("ERR\t");
            lines.push(line);
            if last {
                break;
            }
        }
        lines
    }

    pub fn journal(&self, name: &Name) -> String {
        std::fs::read_to_string(self.dir.join("queue/log").join(name)).unwrap_or_default()
    }
}

/// Everything below belongs to the services' uid, as root only.
pub fn own_tree(path: &Path) {
    std::os::unix::fs::lchown(path, Some(UID), Some(UID)).unwrap();
    if path.symlink_metadata().unwrap().is_dir() {
        tmp::list(path).iter().for_each(|p| own_tree(p));
    }
}

pub fn params(words: &str) -> Vec<Param> {
    words.split_whitespace().map(|w| Param::parse(w).unwrap()).collect()
}

pub fn sender(address: &str, words: &str) -> Sender {
    Sender { address: Address::new(address).unwrap(), params: params(words) }
}

pub fn recipient(address: &str, words: &str) -> Recipient {
    Recipient { address: Address::new(address).unwrap(), params: params(words) }
}

/// Gives a file another owner, as root only.
pub fn give(path: &Path) {
    let _ = chown(path, Some(UID), Some(UID));
}
