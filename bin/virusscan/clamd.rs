//! Asking a clamd: a second opinion by FILDES over a unix socket, else by INSTREAM.
//!
//! Standards   clamd(8): `zFILDES\0` with the descriptor, `zINSTREAM\0` with u32 lengths; replies `stream: OK`,
//!             `stream: NAME FOUND`, `... ERROR`
//! Failures    a clamd that cannot be reached or answers anything else is an error verdict, never clean
//! Trust       the answer is only looked at for its form

use crate::verdict::{Kind, Verdict};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(120);

/// Asks; `None` when clamd calls it clean.
pub fn ask(address: &str, file: &File) -> Option<Verdict> {
    match answer(address, file) {
        Ok(line) => judge(&line),
        Err(e) => Some(Verdict::error(format!("clamd at {address}: {e}"))),
    }
}

fn answer(address: &str, file: &File) -> io::Result<String> {
    let regular = file.metadata()?.is_file();
    let reply = if address.starts_with('/') {
        let mut s = UnixStream::connect(address)?;
        s.set_read_timeout(Some(TIMEOUT))?;
        s.set_write_timeout(Some(TIMEOUT))?;
        if regular {
            s.write_all(b"zFILDES\0")?;
            penny_sys::fdpass::send(s.as_fd(), b"\0", &[file.as_fd()])?;
            read_reply(&mut s)?
        } else {
            stream(&mut s, file)?
        }
    } else {
        let mut s = TcpStream::connect(address)?;
        s.set_read_timeout(Some(TIMEOUT))?;
        s.set_write_timeout(Some(TIMEOUT))?;
        stream(&mut s, file)?
    };
    if regular {
        let mut file = file;
        file.seek(SeekFrom::Start(0))?; // clamd reads the same open file
    }
    Ok(reply)
}

fn stream(s: &mut (impl Read + Write), mut file: &File) -> io::Result<String> {
    s.write_all(b"zINSTREAM\0")?;
    let mut buffer = vec![0; 64 << 10];
    loop {
        let n = file.read(&mut buffer)?;
        s.write_all(&(n as u32).to_be_bytes())?;
        if n == 0 {
            break;
        }
        s.write_all(buffer.get(..n).unwrap_or_default())?;
    }
    read_reply(s)
}

fn read_reply(s: &mut impl Read) -> io::Result<String> {
    let mut reply = Vec::new();
    s.take(4096).read_to_end(&mut reply)?;
    let line = reply.split(|c| matches!(c, 0 | b'\n')).next().unwrap_or_default();
    Ok(String::from_utf8_lossy(line).into_owned())
}

fn judge(line: &str) -> Option<Verdict> {
    let answer = line.split_once(": ").map_or(line, |(_, a)| a);
    if answer == "OK" {
        return None;
    }
    match answer.strip_suffix(" FOUND") {
        Some(name) => Some(Verdict::found(name.to_owned(), "clamd".to_owned())),
        None => Some(Verdict { kind: Kind::Error, ..Verdict::error(format!("clamd: {answer}")) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers() {
        assert!(judge("stream: OK").is_none());
        assert_eq!(
            judge("fd[10]: Eicar-Test FOUND").map(|v| (v.kind, v.name)),
            Some((Kind::Found, "Eicar-Test".into()))
        );
        assert_eq!(judge("INSTREAM size limit exceeded. ERROR").map(|v| v.kind), Some(Kind::Error));
        assert_eq!(judge("").map(|v| v.kind), Some(Kind::Error));
    }
}
