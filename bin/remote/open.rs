//! From an address to a session that is ready for MAIL: connect, greeting, EHLO, STARTTLS, AUTH.
//!
//! Standards   RFC 5321 3.1-3.2, 4.1.1.1, 4.5.3.2 (times), RFC 3207 (STARTTLS), RFC 4954 and 4616 (AUTH PLAIN),
//!             RFC 2033 (LMTP), RFC 7435 (opportunistic TLS), RFC 7504 (521)
//! Invariants  1. a secret is sent only over TLS or to this host itself   2. what was offered before TLS is forgotten

use crate::dialogue::Settings;
use crate::hosts::Host;
use crate::outcome::Trouble;
use crate::policy::Level;
use crate::wire::{Lost, Wire};
use penny_queue::job::Hop;
use penny_smtp::client::{Extensions, Reply};
use penny_tls::client::Verify;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// A session ready for a transaction.
#[derive(Debug)]
pub struct Session {
    /// The connection.
    pub wire: Wire,
    /// What the host offered.
    pub offers: Extensions,
    /// The host, as reports name it.
    pub host: String,
    /// One reply a recipient after the data.
    pub lmtp: bool,
    /// Messages sent over it.
    pub used: u32,
    /// The TLS certificate was checked and is the host's.
    pub verified: bool,
    /// Its port.
    pub port: u16,
    /// What was asked of its TLS.
    pub level: Level,
    /// Our address and the host's.
    addresses: (Option<IpAddr>, Option<IpAddr>),
    /// What came of it, for reports; `None` where TLS was not at stake.
    pub seen: Option<Box<Seen>>,
}

/// How TLS with a host went.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Result type of a TLS report (RFC 8460 4.3); `None` when all went well.
    pub result: Option<&'static str>,
    /// What OpenSSL or the host said.
    pub reason: String,
    /// The host's address.
    pub peer: Option<IpAddr>,
    /// Ours.
    pub own: Option<IpAddr>,
}

/// Why a session did not come about, and whether it is worth trying the same host without TLS.
#[derive(Debug)]
pub struct NotOpen {
    /// The reason.
    pub trouble: Trouble,
    /// The handshake failed, and nothing demands TLS.
    pub without_tls: bool,
    /// How TLS went, if it came to that.
    pub seen: Option<Box<Seen>>,
}

impl From<Trouble> for NotOpen {
    fn from(trouble: Trouble) -> NotOpen {
        NotOpen { trouble, without_tls: false, seen: None }
    }
}

/// Where to connect to.
pub enum Place<'a> {
    /// One of these addresses.
    Tcp(&'a [SocketAddr]),
    /// A unix socket.
    Unix(&'a str),
}

/// Opens a session.
pub fn open(
    settings: &Settings,
    hop: &Hop,
    host: &Host,
    place: &Place<'_>,
    lmtp: bool,
    level: &Level,
) -> Result<Session, NotOpen> {
    let (wire, near) = connect(settings, hop, host, place)?;
    let mut session = Session {
        addresses: wire.addresses(),
        wire,
        offers: Extensions::default(),
        host: host.name.clone(),
        lmtp,
        used: 0,
        verified: false,
        port: host.port,
        level: level.clone(),
        seen: None,
    };
    session.greeting(settings)?;
    session.hello(settings, hop)?;
    session.secure(settings, hop, level)?;
    session.authenticate(settings, hop, near)?;
    Ok(session)
}

/// The connection, and whether the other end is this host.
fn connect(settings: &Settings, hop: &Hop, host: &Host, place: &Place<'_>) -> Result<(Wire, bool), Trouble> {
    match place {
        Place::Unix(path) => {
            let stream = UnixStream::connect(path);
            let stream = stream.map_err(|e| Trouble::temporary("4.4.1", format!("connect to {path}: {e}")))?;
            Ok((Wire::unix(stream), true))
        }
        Place::Tcp(addresses) => {
            let source = if hop.source.is_empty() { settings.source } else { hop.source.parse().ok() };
            let list = penny_sys::connect::interleave(addresses);
            match penny_sys::connect::race(&list, source, settings.connect_timeout) {
                Ok((stream, address)) => Ok((Wire::tcp(stream), address.ip().is_loopback())),
                Err(errors) => Err(connect_trouble(host, &errors)),
            }
        }
    }
}

fn connect_trouble(host: &Host, errors: &[(SocketAddr, std::io::Error)]) -> Trouble {
    let list: Vec<String> = errors.iter().map(|(address, e)| format!("{address}: {e}")).collect();
    let list = if list.is_empty() { "no usable address".to_owned() } else { list.join(", ") };
    Trouble::temporary("4.4.1", format!("connect to {}: {list}", host.name))
}

/// OpenSSL's words as a TLS report has them (RFC 8460 4.3.1).
fn named(text: &str) -> &'static str {
    let has = |words: &[&str]| words.iter().any(|w| text.contains(w));
    match () {
        () if has(&["hostname mismatch", "IP address mismatch"]) => "certificate-host-mismatch",
        () if has(&["has expired"]) => "certificate-expired",
        () if has(&[
            "self-signed",
            "self signed",
            "issuer certificate",
            "verify the first certificate",
            "untrusted",
        ]) =>
        {
            "certificate-not-trusted"
        }
        () => "validation-failure",
    }
}

impl Session {
    /// A connection that was lost at `step`.
    pub fn lost(&self, lost: &Lost, step: &str) -> Trouble {
        Trouble::temporary("4.4.2", format!("{}: {lost} ({step})", self.host))
    }

    /// Sends a line and takes the reply.
    pub fn command(&mut self, line: &str, limit: Duration) -> Result<Reply, Trouble> {
        let verb = line.split(' ').next().unwrap_or_default().to_owned();
        let sent = self.wire.send(format!("{line}\r\n").as_bytes(), limit);
        sent.and_then(|()| self.wire.reply(limit)).map_err(|lost| self.lost(&lost, &verb))
    }

    /// RFC 5321 3.1: 220, or 554 from a host that does not serve us. Another of the domain's hosts may.
    fn greeting(&mut self, settings: &Settings) -> Result<(), Trouble> {
        let reply = self.wire.reply(settings.timeout).map_err(|lost| self.lost(&lost, "greeting"))?;
        match reply.code {
            220 => Ok(()),
            // RFC 7504 3: 521 says that this host takes no mail at all
            521 => Err(Trouble::reply(&reply, &self.host, true)),
            _ => Err(Trouble::reply(&reply, &self.host, false)),
        }
    }

    /// EHLO, or HELO where it is not understood; LHLO has no older form.
    fn hello(&mut self, settings: &Settings, hop: &Hop) -> Result<(), Trouble> {
        let name = if hop.helo.is_empty() { &settings.helo } else { &hop.helo };
        let verb = if self.lmtp { "LHLO" } else { "EHLO" };
        let mut reply = self.command(&format!("{verb} {name}"), settings.timeout)?;
        self.offers = Extensions::from_reply(&reply);
        // RFC 5321 3.2: 500, 502 and others of this class mean an old server
        if reply.is_permanent() && !self.lmtp {
            reply = self.command(&format!("HELO {name}"), settings.timeout)?;
            self.offers = Extensions::default();
        }
        if reply.code == 250 { Ok(()) } else { Err(Trouble::reply(&reply, &self.host, false)) }
    }

    fn secure(&mut self, settings: &Settings, hop: &Hop, level: &Level) -> Result<(), NotOpen> {
        if *level == Level::Never {
            return Ok(());
        }
        let demanded = level.is_demanded();
        if !self.offers.has("STARTTLS") {
            self.see(Some("starttls-not-supported"), "not offered");
            let why = if *level == Level::Remembered { "which it had lately" } else { "which is required" };
            let missing = format!("{} does not offer STARTTLS, {why}", self.host);
            return if demanded { Err(self.closed(Trouble::temporary("4.7.5", missing))) } else { Ok(()) };
        }
        let reply = match self.command("STARTTLS", settings.timeout) {
            Ok(reply) => reply,
            // a host, or something before it, that cannot bear the command: as a handshake that fails
            Err(trouble) => {
                self.see(Some("starttls-not-supported"), &trouble.text);
                return Err(NotOpen { without_tls: !demanded, ..self.closed(trouble) });
            }
        };
        if reply.code != 220 {
            self.see(Some("starttls-not-supported"), &reply.to_string());
            return if demanded { Err(self.closed(Trouble::reply(&reply, &self.host, false))) } else { Ok(()) };
        }
        let verify = match level {
            Level::Verified => Verify::Verified,
            Level::Observed => Verify::Observed,
            _ => Verify::Opportunistic,
        };
        // RFC 3207 4.2: octets sent in clear behind the go-ahead are an injection, whatever the level
        let injected = self.wire.has_input();
        let limit = settings.handshake_timeout();
        let shaken = settings.tls.connector(verify).and_then(|c| self.wire.start_tls(c, &self.host, verify, limit));
        if let Err(e) = shaken {
            self.see(Some(named(&e.to_string())), &e.to_string());
            let trouble = Trouble::temporary("4.7.5", format!("TLS with {}: {e}", self.host));
            return Err(NotOpen { without_tls: !demanded && !injected, ..self.closed(trouble) });
        }
        if let Err(trouble) = self.vouch(level) {
            self.see(Some("validation-failure"), &trouble.text);
            return Err(self.closed(trouble));
        }
        let judged = self.wire.tls().filter(|_| *level == Level::Observed).and_then(|t| t.judged());
        self.see(judged.map(named), judged.unwrap_or_default());
        self.verified = level.is_checked();
        self.hello(settings, hop)?;
        Ok(())
    }

    /// Notes how TLS went. The addresses are those of the connection, noted before a handshake may lose it.
    fn see(&mut self, result: Option<&'static str>, reason: &str) {
        let (own, peer) = self.addresses;
        self.seen = Some(Box::new(Seen { result, reason: reason.to_owned(), peer, own }));
    }

    fn closed(&self, trouble: Trouble) -> NotOpen {
        NotOpen { trouble, without_tls: false, seen: self.seen.clone() }
    }

    /// RFC 7672 2.2: a certificate that the TLSA records do not vouch for is worse than none.
    pub fn vouch(&self, level: &Level) -> Result<(), Trouble> {
        let Level::Dane { records, names } = level else { return Ok(()) };
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let chain = self.wire.tls().map(|t| t.chain()).unwrap_or_default();
        if penny_tls::dane::vouched(&chain, records, &names) {
            return Ok(());
        }
        Err(Trouble::temporary("4.7.5", format!("{}: the certificate does not match the TLSA records", self.host)))
    }

    fn authenticate(&mut self, settings: &Settings, hop: &Hop, near: bool) -> Result<(), Trouble> {
        if hop.user.is_empty() {
            return Ok(());
        }
        if self.wire.tls().is_none() && !near {
            return Err(Trouble::temporary("4.7.5", format!("{}: no TLS, so no password is sent", self.host)));
        }
        let encode = |text: String| penny_mime::base64::encode(text.as_bytes());
        let reply = if self.offers.auth("PLAIN") {
            let secret = encode(format!("\0{}\0{}", hop.user, hop.secret)); // RFC 4616 2
            self.command(&format!("AUTH PLAIN {secret}"), settings.timeout)?
        } else if self.offers.auth("LOGIN") {
            let mut reply = self.command("AUTH LOGIN", settings.timeout)?;
            for answer in [&hop.user, &hop.secret] {
                if reply.code == 334 {
                    reply = self.command(&encode(answer.clone()), settings.timeout)?;
                }
            }
            reply
        } else {
            return Err(Trouble::temporary("4.7.4", format!("{} offers no AUTH that we know", self.host)));
        };
        // a wrong password may be put right: the mail waits, and the log says why
        if reply.code == 235 { Ok(()) } else { Err(Trouble::reply(&reply, &self.host, false)) }
    }

    /// Says good-bye, without waiting long.
    pub fn quit(mut self) {
        let limit = Duration::from_secs(2);
        if self.wire.send(b"QUIT\r\n", limit).is_ok() {
            let _ = self.wire.reply(limit);
        }
    }
}
