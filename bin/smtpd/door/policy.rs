//! Postfix's policy delegation protocol, as a client.
//!
//! Standard    Postfix SMTPD_POLICY_README: `name=value` lines and an empty line; the answer `action=...` and an empty line
//! Invariants  1. no value holds a line end   2. a server that cannot be asked is 451, unless smtpd.policy is empty
//! Actions     OK, DUNNO, REJECT, DEFER, DEFER_IF_PERMIT, DEFER_IF_REJECT, 4NN, 5NN, HOLD, DISCARD, PREPEND, WARN, INFO

use super::Refusal;
use crate::session::Session;
use penny_base::{Config, log};
use penny_smtp::server::{Reply, Role};
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// Longest answer, octets.
const ANSWER_MAX: usize = 8192;
/// Longest time to connect.
const CONNECT: Duration = Duration::from_secs(5);

/// One server, connected before the process confined itself.
pub struct PolicyServer {
    /// As configured.
    pub name: String,
    stream: Option<File>,
}

/// What it wants done.
enum Action {
    Nothing,
    Stop,
    Refuse(Reply),
    Hold(String),
    Discard,
    Prepend(String),
}

impl PolicyServer {
    /// Connects to all configured servers; one that is not there is noticed when it is needed.
    pub fn connect_all(config: &Config) -> Vec<PolicyServer> {
        let limit = config.smtpd.policy_timeout.duration();
        let connect = |name: &String| {
            let stream = connect(name, limit)
                .map_err(|e| log::warning("policy-unreachable", None, &[("server", name), ("why", &e)]));
            PolicyServer { name: name.clone(), stream: stream.ok() }
        };
        config.smtpd.policy.iter().map(connect).collect()
    }

    fn ask(&mut self, question: &str, limit: Duration) -> io::Result<String> {
        let stream = self.stream.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        stream.write_all(question.as_bytes())?;
        let deadline = Instant::now() + limit;
        let mut answer = Vec::new();
        let mut piece = [0; 1024];
        while !answer.ends_with(b"\n\n") {
            let left = deadline.saturating_duration_since(Instant::now());
            if !penny_sys::net::wait_readable(stream.as_fd(), left)? {
                return Err(io::ErrorKind::TimedOut.into());
            }
            match stream.read(&mut piece)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                n => answer.extend_from_slice(piece.get(..n).unwrap_or_default()),
            }
            if answer.len() > ANSWER_MAX {
                return Err(io::Error::other("answer too long"));
            }
        }
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }
}

/// `unix:PATH` or `inet:ADDRESS:PORT`.
pub fn connect(name: &str, limit: Duration) -> io::Result<File> {
    let limit = Some(limit.max(Duration::from_secs(1)));
    if let Some(path) = name.strip_prefix("unix:").or_else(|| name.strip_prefix("local:")) {
        let stream = UnixStream::connect(path)?;
        stream.set_read_timeout(limit)?;
        stream.set_write_timeout(limit)?;
        return Ok(OwnedFd::from(stream).into());
    }
    let place = name.strip_prefix("inet:").unwrap_or(name);
    let address = place.to_socket_addrs()?.next().ok_or(io::ErrorKind::NotFound)?;
    let stream = TcpStream::connect_timeout(&address, CONNECT)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(limit)?;
    stream.set_write_timeout(limit)?;
    Ok(OwnedFd::from(stream).into())
}

impl Session {
    /// Asks every server about one recipient.
    pub fn ask_policy(&mut self, recipient: &str) -> Result<(), Refusal> {
        if self.services.policy.is_empty() || self.role == Role::Lmtp {
            return Ok(());
        }
        self.know_background();
        let question = self.policy_question(recipient);
        let limit = self.config.smtpd.policy_timeout.duration();
        for at in 0..self.services.policy.len() {
            let Some(server) = self.services.policy.get_mut(at) else { continue };
            let action = match server.ask(&question, limit) {
                Ok(answer) => action(&answer),
                Err(e) => {
                    log::warning("policy-failed", None, &[("server", &server.name), ("why", &e)]);
                    server.stream = None;
                    Action::Refuse(Reply::new(451, "4.3.0", "policy cannot be asked now"))
                }
            };
            match action {
                Action::Nothing => {}
                Action::Stop => return Ok(()),
                Action::Refuse(reply) => return Err(("policy", reply)),
                other => self.apply(other),
            }
        }
        Ok(())
    }

    fn apply(&mut self, action: Action) {
        let Some(mail) = self.mail.as_mut() else { return };
        match action {
            Action::Hold(why) => mail.hold = Some(why),
            Action::Discard => mail.discard = true,
            Action::Prepend(field) if !mail.prepend.contains(&field) => mail.prepend.push_str(&field),
            _ => {}
        }
    }

    fn policy_question(&self, recipient: &str) -> String {
        let mail = self.mail.as_ref();
        let name = if self.client.name.is_empty() { "unknown" } else { &self.client.name };
        let tls = self.peer.tls.as_ref();
        let pairs = [
            ("request", "smtpd_access_policy".to_owned()),
            ("protocol_state", "RCPT".to_owned()),
            ("protocol_name", if self.client.extended { "ESMTP" } else { "SMTP" }.to_owned()),
            ("client_address", self.peer.ip.clone()),
            ("client_name", name.to_owned()),
            ("reverse_client_name", name.to_owned()),
            ("client_port", self.peer.port.to_string()),
            ("server_address", self.peer.local_ip.clone()),
            ("server_port", self.peer.local_port.to_string()),
            ("helo_name", self.client.helo.clone()),
            ("sender", mail.map(|m| m.sender_text()).unwrap_or_default()),
            ("recipient", recipient.to_owned()),
            ("recipient_count", "0".to_owned()),
            ("queue_id", String::new()),
            ("instance", mail.map(|m| m.id.clone()).unwrap_or_default()),
            ("size", mail.and_then(|m| m.params.size).unwrap_or(0).to_string()),
            ("etrn_domain", String::new()),
            ("stress", String::new()),
            ("sasl_method", String::new()),
            ("sasl_username", self.client.login.clone().unwrap_or_default()),
            ("sasl_sender", String::new()),
            ("encryption_protocol", tls.map(|t| t.protocol.clone()).unwrap_or_default()),
            ("encryption_cipher", tls.map(|t| t.cipher.clone()).unwrap_or_default()),
            ("encryption_keysize", "0".to_owned()),
            ("ccert_subject", tls.map(|t| t.client_subject.clone()).unwrap_or_default()),
        ];
        let line = |(key, value): &(&str, String)| {
            let value: String = value.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
            format!("{key}={value}\n")
        };
        pairs.iter().map(line).collect::<String>() + "\n"
    }
}

fn action(answer: &str) -> Action {
    let text = answer.lines().find_map(|line| line.strip_prefix("action=")).unwrap_or_default().trim();
    let (verb, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let rest = rest.trim();
    match verb.to_ascii_uppercase().as_str() {
        "DUNNO" | "" => Action::Nothing,
        "OK" => Action::Stop,
        "REJECT" => Action::Refuse(told(rest, 554, "5.7.1", "access denied")),
        "DEFER" | "DEFER_IF_PERMIT" | "DEFER_IF_REJECT" => Action::Refuse(told(rest, 450, "4.7.1", "try again later")),
        "HOLD" => Action::Hold(if rest.is_empty() { "policy".to_owned() } else { rest.to_owned() }),
        "DISCARD" => Action::Discard,
        "PREPEND"
            if rest.split_once(':').is_some_and(|(n, _)| !n.is_empty() && n.bytes().all(|b| b.is_ascii_graphic())) =>
        {
            Action::Prepend(format!("{rest}\n"))
        }
        "WARN" | "INFO" => {
            log::info("policy", None, &[("text", &rest)]);
            Action::Nothing
        }
        code if code.len() == 3 && code.parse::<u16>().is_ok_and(|c| (400..600).contains(&c)) => {
            let number = code.parse().unwrap_or(450);
            let status = if number >= 500 { "5.7.1" } else { "4.7.1" };
            Action::Refuse(told(rest, number, status, "access denied"))
        }
        other => {
            log::warning("policy-action", None, &[("action", &other)]);
            Action::Refuse(Reply::new(451, "4.3.5", "server configuration problem"))
        }
    }
}

/// The server's own status if it has one of the right class.
fn told(text: &str, code: u16, status: &str, default: &str) -> Reply {
    let class = status.split('.').next().unwrap_or_default();
    let own = text.split(' ').next().unwrap_or_default();
    if own.matches('.').count() == 2 && own.split('.').next() == Some(class) {
        return Reply::from_text(text, code, code);
    }
    Reply::new(code, status, if text.is_empty() { default } else { text })
}
