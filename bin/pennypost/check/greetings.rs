//! What answers on the ports: our own programs, under our name and with our certificate, or somebody else's.
//!
//! Standards   RFC 5321 4.2 and 4.3.1 (SMTP greetings), RFC 9051 7.1, RFC 1939 4, RFC 5804 1.7; RFC 8314 3 (implicit TLS)
//! Failures    that a configured address does not answer at all is told under "services", not again
//! Trust       a greeting may be anybody's: bounded in octets and time, escaped where it is shown

use super::machine::{Finding, State, chains_of_names, found};
use crate::status;
use penny_base::Config;
use penny_base::config::TlsMode;
use penny_tls::certificate;
use penny_tls::client::{Connector, Verify};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Time for a greeting: smtpd may look up names before it greets, and waits for clients that speak too early.
const PATIENCE: Duration = Duration::from_secs(30);
/// Octets of a greeting; ManageSieve lists all its extensions in it.
const GREETING_MAX: usize = 16 << 10;

/// What is spoken on a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Smtp,
    Imap,
    Pop3,
    Sieve,
}

impl Protocol {
    fn of(program: &str) -> Option<Protocol> {
        Some(match program.rsplit('/').next()? {
            "smtpd" => Protocol::Smtp,
            "imapd" => Protocol::Imap,
            "pop3d" => Protocol::Pop3,
            "sieved" => Protocol::Sieve,
            _ => return None,
        })
    }

    /// Whether these octets are a whole greeting; those of another protocol are whole with their first line.
    fn is_whole(self, text: &[u8]) -> bool {
        let Some(lines) = text.strip_suffix(b"\n") else { return false };
        let last = lines.rsplit(|c| *c == b'\n').next().unwrap_or_default();
        match self {
            Protocol::Smtp => !(last.get(3) == Some(&b'-') && last.iter().take(3).all(u8::is_ascii_digit)),
            Protocol::Imap | Protocol::Pop3 => true,
            // capabilities are quoted, the response is not
            Protocol::Sieve => !last.starts_with(b"\""),
        }
    }

    /// What follows the word of success in the first line; `None` when this is no greeting, or one that refuses.
    fn welcome(self, first: &str) -> Option<&str> {
        match self {
            Protocol::Smtp => first.strip_prefix("220 ").or(first.strip_prefix("220-")),
            Protocol::Imap => first.strip_prefix("* OK ").map(|rest| match rest.strip_prefix('[') {
                Some(code) => code.split_once("] ").map_or("", |(_, text)| text),
                None => rest,
            }),
            Protocol::Pop3 => first.strip_prefix("+OK "),
            Protocol::Sieve => first.strip_prefix("\"IMPLEMENTATION\" \""),
        }
    }

    fn farewell(self) -> &'static [u8] {
        match self {
            Protocol::Smtp | Protocol::Pop3 => b"QUIT\r\n",
            Protocol::Imap => b"a LOGOUT\r\n",
            Protocol::Sieve => b"LOGOUT\r\n",
        }
    }
}

/// A port and what should be there.
struct Port {
    name: String,
    place: String,
    protocol: Protocol,
    implicit: bool,
    proxy_from: Vec<String>,
}

/// Looks at all of them.
pub fn look(config: &Config) -> Vec<Finding> {
    let listed = config.listen.iter().filter(|l| !l.address.starts_with("fd:"));
    let ports = listed.filter_map(|l| {
        Some(Port {
            name: l.name.clone(),
            place: l.address.clone(),
            protocol: Protocol::of(&l.program)?,
            implicit: l.tls == TlsMode::Implicit,
            proxy_from: l.proxy_from.clone(),
        })
    });
    let mut out: Vec<Finding> = ports.filter_map(|port| one(config, &port, State::Error)).collect();
    if out.is_empty() {
        // sockets of systemd or inetd: what answers on the usual ports should be ours, but need not all be there
        out.extend(usual().filter_map(|port| one(config, &port, State::Warning)));
    }
    out
}

fn usual() -> impl Iterator<Item = Port> {
    crate::dns::facts::USUAL.into_iter().filter_map(|(name, number, implicit)| {
        let program = if name == "submission" { "smtpd".into() } else { format!("{name}d") };
        Some(Port {
            name: name.into(),
            place: format!("localhost:{number}"),
            protocol: Protocol::of(&program)?,
            implicit,
            proxy_from: Vec::new(),
        })
    })
}

/// `strange` is how grave it is that another server is there.
fn one(config: &Config, port: &Port, strange: State) -> Option<Finding> {
    let socket = status::connect(&port.place).ok()?;
    let (state, text) = match greeting(config, port, socket) {
        Ok((text, wrong)) => match judge(port.protocol, &text, &config.hostname(), strange) {
            (State::Ok, text) => wrong.map_or((State::Ok, text), |wrong| (State::Warning, wrong)),
            other => other,
        },
        Err(why) => (strange, why),
    };
    let tls = if port.implicit { " (TLS)" } else { "" };
    Some(found("greeting", state, format!("{} at {}{tls}: {text}", port.name, port.place)))
}

/// The greeting, and what is wrong with the certificate.
fn greeting(config: &Config, port: &Port, mut socket: TcpStream) -> Result<(String, Option<String>), String> {
    let io = |e: std::io::Error| e.to_string();
    socket.set_read_timeout(Some(PATIENCE)).and_then(|()| socket.set_write_timeout(Some(PATIENCE))).map_err(io)?;
    let own = socket.local_addr().map_err(io)?.ip().to_canonical().to_string();
    if penny_tables::cidr::in_any(&own, &port.proxy_from) {
        socket.write_all(b"PROXY UNKNOWN\r\n").map_err(io)?;
    }
    if !port.implicit {
        return Ok((read(&mut socket, port.protocol)?, None));
    }
    let connector = Connector::without_roots().map_err(io)?;
    let stream = connector.connect(&config.hostname(), socket, Verify::Opportunistic);
    let mut stream = stream.map_err(|e| format!("no TLS: {e}"))?;
    let shown = penny_tls::client::Stream::chain(&stream); // Read has a chain too
    let text = read(&mut stream, port.protocol)?;
    Ok((text, certificate_wrong(config, shown.first().map_or(&[], Vec::as_slice))))
}

/// Reads a greeting to its end and says farewell.
pub(super) fn read(stream: &mut (impl Read + Write), protocol: Protocol) -> Result<String, String> {
    let mut text = Vec::new();
    let mut buffer = [0; 4096];
    while !protocol.is_whole(&text) && text.len() < GREETING_MAX {
        match stream.read(&mut buffer) {
            Ok(0) if text.is_empty() => return Err("hangs up without a greeting".into()),
            Ok(0) => break,
            Ok(n) => text.extend_from_slice(buffer.get(..n).unwrap_or_default()),
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return Err(format!("no greeting within {} s", PATIENCE.as_secs()));
            }
            Err(e) => return Err(e.to_string()),
        }
    }
    let _ = stream.write_all(protocol.farewell()); // a courtesy
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// What of a greeting is shown.
pub(super) fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or("").chars().take(200).collect()
}

/// What a greeting says of who is there.
fn judge(protocol: Protocol, text: &str, host: &str, strange: State) -> (State, String) {
    let first = first_line(text);
    let Some(rest) = protocol.welcome(&first) else { return (strange, format!("answers {first}")) };
    let (name, rest, shown) = match protocol {
        // which names no host
        Protocol::Sieve => (host, rest, rest.trim_end_matches('"')),
        _ => rest.split_once(' ').map_or((rest, "", first.as_str()), |(name, rest)| (name, rest, first.as_str())),
    };
    if !rest.split([' ', '"']).any(|word| word == "pennypost") {
        (strange, format!("another server is there: {shown}"))
    } else if !name.eq_ignore_ascii_case(host) {
        (State::Warning, format!("calls itself {name}, not {host}: is an old configuration in use?"))
    } else {
        (State::Ok, shown.to_owned())
    }
}

/// Whether the certificate shown is one of the files, and for our name.
fn certificate_wrong(config: &Config, shown: &[u8]) -> Option<String> {
    let facts = match certificate::facts_of(shown) {
        Ok(facts) => facts,
        Err(why) => return Some(format!("its certificate cannot be read: {why}")),
    };
    let host = config.hostname();
    if !facts.is_for(&host) {
        return Some(format!("its certificate is for {}, not for {host}", facts.names.join(", ")));
    }
    let files = std::iter::once(config.tls.certificate.clone()).chain(chains_of_names(config));
    let known: Vec<_> = files.filter_map(|file| certificate::der(&file).ok()).collect();
    let stale = !known.is_empty() && known.iter().all(|file| file != shown);
    stale.then(|| format!("its certificate is not that of {}: was listen reloaded?", config.tls.certificate.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn greetings_of_ours_and_of_others() {
        let ours = [
            (Protocol::Smtp, "220 mx.a.test ESMTP pennypost\r\n"),
            (Protocol::Smtp, "220-MX.a.test ESMTP pennypost\r\n220 hello\r\n"),
            (Protocol::Imap, "* OK [CAPABILITY IMAP4rev1 X] mx.a.test pennypost IMAP ready\r\n"),
            (Protocol::Pop3, "+OK mx.a.test pennypost POP3 ready\r\n"),
            (Protocol::Sieve, "\"IMPLEMENTATION\" \"pennypost sieved\"\r\n\"SASL\" \"\"\r\nOK \"ready\"\r\n"),
        ];
        for (protocol, text) in ours {
            assert_eq!(judge(protocol, text, "mx.a.test", State::Error).0, State::Ok, "{text}");
            for cut in 0..text.len() {
                assert!(!protocol.is_whole(&text.as_bytes()[..cut]), "{}", &text[..cut]);
            }
            assert!(protocol.is_whole(text.as_bytes()));
            if protocol != Protocol::Sieve {
                let (state, said) = judge(protocol, text, "mx.b.test", State::Error);
                assert!(state == State::Warning && said.to_lowercase().starts_with("calls itself mx.a.test"), "{said}");
            }
        }
        let others = [
            (Protocol::Smtp, "220 mx.a.test ESMTP Postfix\r\n", "another server is there: 220 mx.a.test ESMTP Postfix"),
            (Protocol::Smtp, "554 mx.a.test pennypost no\r\n", "answers 554 mx.a.test pennypost no"),
            (Protocol::Smtp, "SSH-2.0-x\r\n", "answers SSH-2.0-x"),
            (Protocol::Imap, "* OK [CAPABILITY] Dovecot ready.\r\n", "another server is there: * OK"),
            (Protocol::Imap, "* BYE mx.a.test pennypost too many\r\n", "answers * BYE"),
            (Protocol::Pop3, "+OK Dovecot ready.\r\n", "another server is there: +OK Dovecot"),
            (
                Protocol::Sieve,
                "\"IMPLEMENTATION\" \"Dovecot Pigeonhole\"\r\nOK\r\n",
                "another server is there: Dovecot Pigeonhole",
            ),
            (Protocol::Sieve, "220 what\r\n", "answers 220 what"),
        ];
        for (protocol, text, expected) in others {
            let (state, said) = judge(protocol, text, "mx.a.test", State::Error);
            assert!(state == State::Error && said.starts_with(expected), "{said}");
            assert!(protocol.is_whole(text.as_bytes()), "{text}");
        }
    }
}
