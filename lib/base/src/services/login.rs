//! Authentication from a confined conversation program, and handing the conversation over to a session of the user.
//!
//! Contracts   checkauth(8): one line a step; spawn(8): `session:PROGRAM` runs as the user checkauth granted on this connection
//! Order       [`Login::prepare`] before the program confines itself (it makes the socket pair); checkauth is started at the first attempt only
//! Trust       what the peer sent travels as base64 and is checked for that alphabet here, so it can make no second word or line

use super::{Request, Spawn};
use crate::Peer;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

/// Longest line of checkauth, octets.
const LINE_MAX: u64 = 64 * 1024;
/// Names the descriptor of the state of a conversation that came back from a session.
const BACK_VARIABLE: &str = "PENNYPOST_STATE_FD";
/// Largest pre-login state, octets.
const STATE_MAX: u64 = 1 << 20;

/// The connection to this conversation's checkauth.
#[derive(Debug)]
pub struct Login {
    stream: BufReader<UnixStream>,
    theirs: Option<UnixStream>,
    /// The start of checkauth that spawn has not answered yet.
    starting: Option<u32>,
}

/// What checkauth answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Send this base64 to the client and its answer to [`Login::respond`].
    Challenge(String),
    /// Authenticated; `data` (base64) is to reach the client with the success, or as a last challenge.
    Done {
        /// Login name.
        user: String,
        /// SCRAM's server-final message, base64.
        data: Option<String>,
    },
    /// Not authenticated.
    Refused {
        /// AUTHENTICATIONFAILED, AUTHORIZATIONFAILED, EXPIRED, UNAVAILABLE (temporary), CANCELLED, UNSUPPORTED.
        code: String,
        /// For the client.
        text: String,
    },
}

impl Login {
    /// Makes the socket pair.
    pub fn prepare() -> io::Result<Login> {
        let (ours, theirs) = UnixStream::pair()?;
        Ok(Login { stream: BufReader::new(ours), theirs: Some(theirs), starting: None })
    }

    /// Asks for checkauth, and does not wait: what is said to it waits in the socket. One that was not started closes it.
    fn ensure(&mut self, spawn: &mut Spawn) -> io::Result<()> {
        let Some(theirs) = self.theirs.take() else { return Ok(()) };
        self.starting = Some(spawn.start(&Request::new("checkauth"), &[theirs.as_fd(), theirs.as_fd()])?);
        Ok(())
    }

    /// The mechanisms checkauth has.
    pub fn mechanisms(&mut self, spawn: &mut Spawn) -> io::Result<Vec<String>> {
        self.ensure(spawn)?;
        let line = self.say("MECHS").and_then(|()| self.line());
        let line = self.or_refusal(spawn, line)?;
        Ok(line.split(' ').skip(1).map(String::from).collect())
    }

    /// Begins an attempt. `initial` is the client's initial response as it sent it: base64, or `=` for an empty one.
    pub fn begin(
        &mut self,
        spawn: &mut Spawn,
        service: &str,
        peer: &Peer,
        mechanism: &str,
        initial: Option<&str>,
    ) -> io::Result<Step> {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if mechanism.is_empty() || !mechanism.chars().all(plain) {
            return Ok(refused("UNSUPPORTED", "no such mechanism"));
        }
        self.ensure(spawn)?;
        let tls = u8::from(peer.tls.is_some());
        let mut line = format!("AUTH {mechanism} service={service} ip={} tls={tls}", peer.ip);
        if let Some(data) = peer.tls.as_ref().and_then(|t| base64_of_hex(&t.exporter)) {
            line.push_str(&format!(" cb-type=tls-exporter cb-data={data}"));
        }
        match initial {
            Some(text) if text == "=" || is_base64(text) => line.push_str(&format!(" resp={text}")),
            Some(_) => return Ok(refused("AUTHENTICATIONFAILED", "not base64")),
            None => {}
        }
        let step = self.say(&line).and_then(|()| self.step());
        self.or_refusal(spawn, step)
    }

    /// The answer; where there is none, why checkauth was not started.
    fn or_refusal<T>(&mut self, spawn: &mut Spawn, answer: io::Result<T>) -> io::Result<T> {
        match self.starting.take() {
            Some(id) if answer.is_err() => spawn.started(id).and(answer),
            _ => answer,
        }
    }

    /// Gives the client's answer (base64 as sent); `None`, `*` and what is no base64 cancel the attempt.
    pub fn respond(&mut self, response: Option<&str>) -> io::Result<Step> {
        match response {
            Some("") => self.say("R =")?,
            Some(text) if is_base64(text) => self.say(&format!("R {text}"))?,
            _ => self.say("*")?,
        }
        self.step()
    }

    fn say(&mut self, line: &str) -> io::Result<()> {
        self.stream.get_mut().write_all(format!("{line}\n").as_bytes())
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        (&mut self.stream).take(LINE_MAX).read_line(&mut line)?;
        match line.strip_suffix('\n') {
            Some(text) => Ok(text.to_string()),
            None => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "checkauth is gone")),
        }
    }

    fn step(&mut self) -> io::Result<Step> {
        let line = self.line()?;
        let (word, rest) = line.split_once(' ').unwrap_or((&line, ""));
        let field = |name: &str| rest.split(' ').find_map(|w| w.strip_prefix(name)).map(String::from);
        Ok(match word {
            "C" => Step::Challenge(rest.to_string()),
            "OK" => Step::Done { user: field("user=").unwrap_or_default(), data: field("data=") },
            "NO" => {
                let (code, text) = rest.split_once(' ').unwrap_or((rest, ""));
                refused(code, text)
            }
            _ => return Err(io::Error::new(io::ErrorKind::InvalidData, "odd answer of checkauth")),
        })
    }
}

fn refused(code: &str, text: &str) -> Step {
    Step::Refused { code: code.into(), text: text.into() }
}

/// The alphabet of RFC 4648 4; checkauth decodes strictly.
fn is_base64(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'='))
}

fn base64_of_hex(hex: &str) -> Option<String> {
    let digits: Option<Vec<u8>> = hex.chars().map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok())).collect();
    let digits = digits.filter(|d| !d.is_empty() && d.len() % 2 == 0)?;
    let bytes: Vec<u8> = digits.chunks(2).map(|p| p.iter().fold(0, |n, d| n << 4 | d)).collect();
    Some(base64(&bytes))
}

/// Base64 with padding, RFC 4648 4.
pub fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let n = chunk.iter().fold(0u32, |n, b| n << 8 | u32::from(*b)) << (8 * (3 - chunk.len()));
        for i in 0..4 {
            let six = (n >> (18 - 6 * i)) as usize & 63;
            out.push(if i <= chunk.len() { char::from(ALPHABET[six]) } else { '=' }); // six < 64
        }
    }
    out
}

/// The initial response of PLAIN (RFC 4616) for a user and password given in clear.
pub fn plain_response(user: &str, password: &[u8]) -> String {
    let mut bytes = vec![0];
    bytes.extend_from_slice(user.as_bytes());
    bytes.push(0);
    bytes.extend_from_slice(password);
    base64(&bytes)
}

/// The mechanisms to offer: those that show a password or token only where the line is `secure`, those with channel binding only over TLS.
pub fn offered(config: &crate::Config, peer: &Peer, secure: bool) -> Vec<String> {
    let binding = peer.tls.as_ref().is_some_and(|t| !t.exporter.is_empty());
    let fits = |m: &&String| match m.as_str() {
        m if m.ends_with("-PLUS") => binding,
        m if m.starts_with("SCRAM-") => true,
        "OAUTHBEARER" | "XOAUTH2" => secure && !config.auth.oauth_validator.is_empty(),
        _ => secure,
    };
    config.auth.mechanisms.iter().filter(fits).cloned().collect()
}

/// Gives the conversation on descriptors 0 and 1 to `PROGRAM --session` as the authenticated user: its descriptor 3 is `control`
/// (SSLCTLFD) or fills the place, 4 holds `state`. The caller exits afterwards.
pub fn hand_over(
    spawn: &mut Spawn,
    program: &str,
    peer: &Peer,
    control: Option<BorrowedFd<'_>>,
    state: &[u8],
) -> io::Result<()> {
    let file = penny_sys::fs::memory_file_of("state", state)?;
    let mut request = Request::new(format!("session:{program}"));
    request.detached = true;
    request.environment = peer.environment().into_iter().map(|(n, v)| format!("{n}={v}")).collect();
    let (stdin, stdout, stderr) = (io::stdin(), io::stdout(), io::stderr());
    let fds = [stdin.as_fd(), stdout.as_fd(), stderr.as_fd(), control.unwrap_or(file.as_fd()), file.as_fd()];
    let id = spawn.start(&request, &fds)?;
    spawn.started(id)
}

/// Gives the conversation on descriptors 0 and 1 back to `PROGRAM` as it is before a login, without a way to TLS that has not been
/// gone: descriptor 3 of it holds `state`. The caller, a session, says nothing more and exits.
pub fn hand_back(spawn: &mut Spawn, program: &str, peer: &Peer, state: &[u8]) -> io::Result<()> {
    let file = penny_sys::fs::memory_file_of("state", state)?;
    let mut request = Request::new(format!("prelogin:{program}"));
    request.detached = true;
    request.environment = peer.environment().into_iter().map(|(n, v)| format!("{n}={v}")).collect();
    request.environment.push(format!("{BACK_VARIABLE}=3"));
    let (stdin, stdout, stderr) = (io::stdin(), io::stdout(), io::stderr());
    let id = spawn.start(&request, &[stdin.as_fd(), stdout.as_fd(), stderr.as_fd(), file.as_fd()])?;
    spawn.started(id)
}

/// The state that a session handed back.
pub fn state_handed_back() -> Option<Vec<u8>> {
    let number = std::env::var(BACK_VARIABLE).ok()?.parse().ok()?;
    read_state(number).ok()
}

/// In the session: the state on descriptor 4.
pub fn handed_state() -> io::Result<Vec<u8>> {
    read_state(4)
}

fn read_state(descriptor: i32) -> io::Result<Vec<u8>> {
    let file = std::fs::File::from(penny_sys::net::inherited(descriptor)?);
    let mut state = Vec::new();
    file.take(STATE_MAX).read_to_end(&mut state)?;
    Ok(state)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc4648_vectors() {
        for (plain, coded) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
        assert_eq!(plain_response("tim", b"tanstaaftanstaaf"), "AHRpbQB0YW5zdGFhZnRhbnN0YWFm");
        assert_eq!(base64_of_hex("666f6F").as_deref(), Some("Zm9v"));
        assert_eq!(base64_of_hex("6"), None);
        assert_eq!(base64_of_hex(""), None);
    }

    #[test]
    fn an_exchange_and_what_cannot_be_injected() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let mut login = Login { stream: BufReader::new(ours), theirs: None, starting: None };
        let (a, _b) = penny_sys::net::packet_pair().unwrap();
        let mut spawn = Spawn::over(a);
        let peer = Peer { ip: "192.0.2.1".into(), ..Peer::default() };
        let server = std::thread::spawn(move || {
            let mut reader = BufReader::new(theirs);
            let mut lines = Vec::new();
            for answer in ["C abcd\n", "OK user=joe data=eHg=\n"] {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                lines.push(line);
                reader.get_mut().write_all(answer.as_bytes()).unwrap();
            }
            lines
        });
        let step = |r: io::Result<Step>| r.unwrap();
        let no = refused("AUTHENTICATIONFAILED", "not base64");
        assert_eq!(step(login.begin(&mut spawn, "pop3", &peer, "PLAIN", Some("a b\nOK"))), no);
        assert_eq!(
            step(login.begin(&mut spawn, "pop3", &peer, "X\nY", None)),
            refused("UNSUPPORTED", "no such mechanism")
        );
        assert_eq!(step(login.begin(&mut spawn, "pop3", &peer, "X", None)), Step::Challenge("abcd".into()));
        let done = Step::Done { user: "joe".into(), data: Some("eHg=".into()) };
        assert_eq!(step(login.respond(Some(""))), done);
        assert_eq!(server.join().unwrap(), ["AUTH X service=pop3 ip=192.0.2.1 tls=0\n", "R =\n"]);
    }
}
