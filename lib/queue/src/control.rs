//! Client of qrun's control socket, for `qctl` and `mailq`. The protocol is specified in qrun(8).

use penny_base::services::escape::{join, unescape};
use penny_base::{Config, Failure};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

/// A connection to qrun.
#[derive(Debug)]
pub struct Control {
    stream: BufReader<UnixStream>,
}

impl Control {
    /// Connects.
    pub fn connect(config: &Config) -> Result<Control, Failure> {
        let stream = UnixStream::connect(config.socket("qrun")).map_err(|e| {
            Failure::temporary("4.3.0", "the queue runner does not answer").with_detail(format!("qrun: {e}"))
        })?;
        Ok(Control { stream: BufReader::new(stream) })
    }

    /// Sends a request; every answer line goes to `each`. Gives the number of entries concerned.
    pub fn request(&mut self, fields: &[&str], mut each: impl FnMut(&str) -> io::Result<()>) -> Result<u64, Failure> {
        self.send(fields)?;
        let mut line = String::new();
        loop {
            line.clear();
            let n = self.stream.read_line(&mut line).map_err(|e| Failure::io("qrun", &e))?;
            if n == 0 {
                return Err(Failure::temporary("4.3.0", "the queue runner went away"));
            }
            let text = line.trim_end_matches('\n');
            match text.split_once('\t') {
                Some(("OK", count)) => return Ok(count.parse().unwrap_or(0)),
                Some(("ERR", why)) => return Err(refusal(why)),
                _ => each(text).map_err(|e| Failure::io("output", &e))?,
            }
        }
    }

    /// The file of an entry, for root and the queue's own user.
    pub fn open(&mut self, id: &str) -> Result<File, Failure> {
        self.send(&["cat", &format!("id={id}")])?;
        let mut buffer = [0; 512];
        let received = penny_sys::fdpass::receive(self.stream.get_ref().as_fd(), &mut buffer);
        let (n, fds) = received.map_err(|e| Failure::io("qrun", &e))?;
        let text = String::from_utf8_lossy(buffer.get(..n).unwrap_or_default()).into_owned();
        match fds.into_iter().next() {
            Some(fd) => Ok(File::from(fd)),
            None => Err(refusal(text.trim_end().trim_start_matches("ERR\t"))),
        }
    }

    fn send(&mut self, fields: &[&str]) -> Result<(), Failure> {
        let line = join(fields) + "\n";
        self.stream.get_mut().write_all(line.as_bytes()).map_err(|e| Failure::io("qrun", &e))
    }
}

fn refusal(why: &str) -> Failure {
    Failure::permanent(penny_base::Kind::Unavailable, "5.3.0", unescape(why))
}
