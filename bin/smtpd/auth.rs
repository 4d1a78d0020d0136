//! AUTH: passes a SASL exchange between the client and checkauth.
//!
//! Standards   RFC 4954; RFC 4616, 7677, 7628 in checkauth
//! Invariants  1. mechanisms are offered only where a secret may cross the wire   2. checkauth alone says who it is
//! Failures    a checkauth that cannot be asked is 454 4.7.0, never a refusal of the password

use crate::session::Session;
use penny_base::services::Request as Start;
use penny_base::{Failure, log};
use penny_sasl::base64_encode;
use penny_smtp::server::Reply;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::AsFd;
use std::time::Duration;

/// Longest wait for one line of checkauth; guessing clients are slowed by it for three seconds.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A running checkauth, over a pair of pipes (a confined program can make no socket).
pub struct Checkauth {
    input: File,
    output: BufReader<File>,
    mechanisms: Vec<String>,
    /// SCRAM is through, the client has to take the last message.
    proved: Option<String>,
}

/// One line of it.
enum Line {
    Challenge(String),
    Ok { user: String, data: Option<String> },
    No { code: String, text: String },
}

impl Checkauth {
    /// Starts one and asks for its mechanisms.
    fn start(session: &mut Session) -> io::Result<Checkauth> {
        let (input_read, input_write) = penny_sys::net::pipe()?;
        let (output_read, output_write) = penny_sys::net::pipe()?;
        let mut request = Start::new("checkauth");
        for (name, value) in session.peer.environment() {
            request = request.env(&name, &value);
        }
        let id = session.services.spawn.start(&request, &[input_read.as_fd(), output_write.as_fd()])?;
        session.services.spawn.started(id)?;
        drop((input_read, output_write));
        let output = BufReader::new(File::from(output_read));
        let mut checkauth = Checkauth { input: input_write.into(), output, mechanisms: Vec::new(), proved: None };
        let line = checkauth.ask("MECHS")?;
        let list = line.strip_prefix("MECHS").ok_or_else(|| io::Error::other("odd answer of checkauth"))?;
        checkauth.mechanisms = list.split_whitespace().map(str::to_owned).collect();
        Ok(checkauth)
    }

    fn ask(&mut self, line: &str) -> io::Result<String> {
        self.input.write_all(format!("{line}\n").as_bytes())?;
        if !penny_sys::net::wait_readable(self.output.get_ref().as_fd(), TIMEOUT)? {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let mut answer = String::new();
        if self.output.read_line(&mut answer)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(answer.trim_end_matches('\n').to_owned())
    }

    fn exchange(&mut self, line: &str) -> io::Result<Line> {
        let answer = self.ask(line)?;
        let (word, rest) = answer.split_once(' ').unwrap_or((&answer, ""));
        match word {
            "C" => Ok(Line::Challenge(rest.to_owned())),
            "OK" => {
                let field = |key: &str| rest.split(' ').find_map(|f| f.strip_prefix(key)).map(str::to_owned);
                let user = field("user=").ok_or_else(|| io::Error::other("checkauth named no user"))?;
                Ok(Line::Ok { user, data: field("data=") })
            }
            "NO" => {
                let (code, text) = rest.split_once(' ').unwrap_or((rest, ""));
                Ok(Line::No { code: code.to_owned(), text: text.to_owned() })
            }
            _ => Err(io::Error::other("odd answer of checkauth")),
        }
    }
}

impl Session {
    /// The mechanisms to announce: none where AUTH is not allowed.
    pub fn auth_mechanisms(&mut self) -> Vec<String> {
        if !self.auth_allowed() || self.client.login.is_some() {
            return Vec::new();
        }
        if self.checkauth.is_none() {
            match Checkauth::start(self) {
                Ok(checkauth) => self.checkauth = Some(checkauth),
                Err(e) => log::warning("auth-unavailable", None, &[("why", &e)]),
            }
        }
        let binding = self.binding().is_some();
        let list = self.checkauth.as_ref().map(|c| c.mechanisms.clone()).unwrap_or_default();
        list.into_iter().filter(|m| binding || !m.ends_with("-PLUS")).collect()
    }

    /// Channel binding data of this TLS connection, base64.
    fn binding(&self) -> Option<String> {
        let hex = self.peer.tls.as_ref().map(|tls| tls.exporter.as_str()).filter(|hex| !hex.is_empty())?;
        let pairs = hex.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).ok());
        let octets: Option<Vec<u8>> = pairs.map(|pair| u8::from_str_radix(pair?, 16).ok()).collect();
        octets.map(|o| base64_encode(&o))
    }

    /// AUTH.
    pub fn auth(&mut self, mechanism: &str, initial: Option<String>) {
        let (ip, tls) = (&self.peer.ip, u8::from(self.peer.tls.is_some()));
        let mut line = format!("AUTH {mechanism} service=smtp ip={ip} tls={tls}");
        if let Some(binding) = self.binding() {
            line.push_str(&format!(" plus=1 cb-type=tls-exporter cb-data={binding}"));
        }
        if let Some(initial) = initial {
            line.push_str(&format!(" resp={initial}"));
        }
        self.auth_step(&line);
    }

    /// A response of the client.
    pub fn auth_response(&mut self, response: &str) {
        if let Some(user) = self.checkauth.as_mut().and_then(|c| c.proved.take()) {
            return self.logged_in(user);
        }
        self.auth_step(&format!("R {response}"));
    }

    /// The client cancelled, or sent what is no base64.
    pub fn auth_abort(&mut self, cancelled: bool) {
        let proved = self.checkauth.as_mut().and_then(|c| c.proved.take()).is_some();
        let ended = if proved { None } else { self.checkauth.as_mut().map(|c| c.exchange("*")) };
        if !matches!(ended, Some(Ok(Line::No { .. }))) {
            self.checkauth = None;
        }
        let (status, text) =
            if cancelled { ("5.7.0", "authentication cancelled") } else { ("5.5.2", "invalid base64") };
        self.refuse("auth", Reply::new(501, status, text));
    }

    fn auth_step(&mut self, line: &str) {
        let answer = match self.checkauth.as_mut() {
            Some(checkauth) => checkauth.exchange(line),
            None => Err(io::Error::other("checkauth is not running")),
        };
        match answer {
            Ok(Line::Challenge(challenge)) => self.answer(Reply::plain(334, challenge)),
            Ok(Line::Ok { user, data: None }) => self.logged_in(user),
            Ok(Line::Ok { user, data: Some(data) }) => self.auth_final(user, data),
            Ok(Line::No { code, text }) => self.auth_refused(&code, &text),
            Err(e) => {
                self.checkauth = None;
                let failure = Failure::io("checkauth", &e);
                log::warning("auth-unavailable", None, &[("why", &failure)]);
                self.answer(Reply::new(454, "4.7.0", "temporary authentication failure"));
            }
        }
    }

    /// SCRAM's last message of the server goes as a challenge with an empty response (RFC 4954 4).
    fn auth_final(&mut self, user: String, data: String) {
        self.answer(Reply::plain(334, data));
        if let Some(checkauth) = self.checkauth.as_mut() {
            checkauth.proved = Some(user);
        }
    }

    fn logged_in(&mut self, user: String) {
        log::info("login", None, &[("ip", &self.peer.ip), ("login", &user), ("service", &self.service())]);
        self.client.login = Some(user);
        self.checkauth = None;
        self.answer(Reply::new(235, "2.7.0", "authentication successful"));
        self.refresh_offer();
    }

    fn auth_refused(&mut self, code: &str, text: &str) {
        let reply = match code {
            "UNAVAILABLE" => Reply::new(454, "4.7.0", "temporary authentication failure"),
            "UNSUPPORTED" => Reply::new(504, "5.5.4", text),
            "CANCELLED" => Reply::new(501, "5.7.0", text),
            _ => Reply::new(535, "5.7.8", text),
        };
        self.refuse("auth", reply);
    }
}
