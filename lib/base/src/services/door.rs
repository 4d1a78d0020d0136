//! The frame of a mailbox service: one program that is first the confined conversation before the login, then, started
//! again by spawn as the user, the session. imapd, pop3d and sieved are such programs.
//!
//! Contract    spawn(8): `PROGRAM --session` with the connection on 0 and 1, SSLCTLFD on 3, what was learned before on 4
//!             RFC 8437 the other way round: `prelogin:PROGRAM`, with what the session has read and not understood
//! Invariants  1. the process that talks before the login opens nothing and starts nothing: it asks spawn
//!             2. after STARTTLS the caller forgets what it has read; the door forgets nothing but the clear line
//!             3. wrong passwords, mistakes and time before a login are counted and end

use super::login::{self, Step};
use super::{Login, Spawn, spawn_or_restart};
use crate::ucspi::{self, StartTls};
use crate::{Config, Failure, Outcome, Owner, Peer, log, program};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Wrong passwords in one conversation.
const FAILURES_MAX: u32 = 60;
/// Commands that are not understood in one conversation.
const ERRORS_MAX: u32 = 60;

/// A mailbox service.
#[derive(Debug, Clone, Copy)]
pub struct Service {
    /// The program, as spawn knows it.
    pub program: &'static str,
    /// The service, as checkauth knows it.
    pub name: &'static str,
    /// Its terms in the configuration.
    pub terms: fn(&Config) -> Terms,
    /// The conversation before the login.
    pub before: fn(Door) -> Result<Outcome, Failure>,
    /// Adds what this user's session may open beside its own mail; called as the user, before it is confined.
    pub open: fn(&Config, &mut Owner),
    /// The session; nothing is handed over to one that was started by hand.
    pub session: fn(Box<Config>, Owner, Option<Handed>) -> Result<Outcome, Failure>,
}

/// What the configuration says of a service.
#[derive(Debug, Clone)]
pub struct Terms {
    /// Time for the login.
    pub login_timeout: Duration,
    /// Whether a client of this machine may show its password without TLS.
    pub plain_auth_loopback: bool,
    /// Places outside the home that a session reads.
    pub places: Vec<PathBuf>,
}

/// For a service that serves nobody else's mail.
pub fn nothing_shared(_: &Config, _: &mut Owner) {}

impl Service {
    /// The program, from its arguments on.
    pub fn run(&self) -> Result<Outcome, Failure> {
        let options = program::options(std::env::args_os().skip(1), "", "c", &["session"])?;
        let config = crate::warm::wait(self.program, Config::load(options.config())?)?;
        config.start_log(self.program);
        let terms = (self.terms)(&config);
        if options.has("session") {
            let handed = login::handed_state().ok().map(|bytes| Handed::decode(&bytes));
            let mut owner = Owner::from_env(&config)?;
            (self.open)(&config, &mut owner);
            owner.confine(&config, &terms.places.iter().map(PathBuf::as_path).collect::<Vec<_>>())?;
            return (self.session)(config, owner, handed);
        }
        (self.before)(self.open(config, terms)?)
    }

    fn open(&self, config: Box<Config>, terms: Terms) -> Result<Door, Failure> {
        let spawn = spawn_or_restart(&config, self.program).map_err(|e| Failure::io("spawn", &e))?;
        let login = Login::prepare().map_err(|e| Failure::io("socketpair", &e))?;
        let (peer, starttls) = (Peer::from_env(), ucspi::StartTls::from_env());
        let back = login::state_handed_back().map(|bytes| Handed::decode(&bytes));
        penny_sys::confine::network_conversation().map_err(|e| Failure::io("confine", &e))?;
        let end = Instant::now() + terms.login_timeout;
        Ok(Door {
            config,
            service: *self,
            terms,
            peer,
            spawn,
            login,
            scram: None,
            starttls,
            back,
            failures: 0,
            errors: 0,
            end,
        })
    }
}

/// The way from a connection to a session.
#[derive(Debug)]
pub struct Door {
    /// The configuration.
    pub config: Box<Config>,
    /// Who is at the other end.
    pub peer: Peer,
    service: Service,
    terms: Terms,
    spawn: Spawn,
    login: Login,
    scram: Option<bool>,
    starttls: Option<StartTls>,
    back: Option<Handed>,
    failures: u32,
    errors: u32,
    end: Instant,
}

impl Door {
    /// What a session left behind that gave the conversation back, once.
    pub fn handed_back(&mut self) -> Option<Handed> {
        self.back.take()
    }

    /// Time left for the login.
    pub fn left(&self) -> Duration {
        self.end.saturating_duration_since(Instant::now())
    }

    /// Whether a password may travel on this line.
    pub fn is_secure(&self) -> bool {
        self.peer.tls.is_some() || (self.peer.is_loopback() && self.terms.plain_auth_loopback)
    }

    /// The mechanisms to offer now. Whether the stored passwords allow SCRAM is checkauth's to say, once it matters: a
    /// client takes the strongest it sees, and most then try no other (mutt).
    pub fn mechanisms(&mut self) -> Vec<String> {
        let mut all = login::offered(&self.config, &self.peer, self.is_secure());
        if all.iter().any(|m| is_scram(m)) && !self.has_scram() {
            all.retain(|m| !is_scram(m));
        }
        all
    }

    /// Whether this one is among them.
    pub fn offers(&mut self, mechanism: &str) -> bool {
        self.mechanisms().iter().any(|m| m == mechanism)
    }

    fn has_scram(&mut self) -> bool {
        let (login, spawn) = (&mut self.login, &mut self.spawn);
        *self.scram.get_or_insert_with(|| login.mechanisms(spawn).is_ok_and(|all| all.iter().any(|m| is_scram(m))))
    }

    /// Whether TLS can still begin.
    pub fn offers_tls(&self) -> bool {
        self.starttls.is_some() && self.peer.tls.is_none()
    }

    /// Begins TLS: call it when the answer has left, and begin the conversation anew after it.
    pub fn start_tls(&mut self) -> Result<(), Failure> {
        let starttls = self.starttls.take().ok_or_else(|| Failure::temporary("4.7.0", "TLS is not available"))?;
        self.peer.tls = Some(starttls.start().map_err(|e| Failure::io("conversation", &e))?);
        Ok(())
    }

    /// Begins an attempt; see [`Login::begin`].
    pub fn begin(&mut self, mechanism: &str, initial: Option<&str>) -> Result<Step, Failure> {
        let step = self.login.begin(&mut self.spawn, self.service.name, &self.peer, mechanism, initial);
        step.map_err(|e| Failure::io("checkauth", &e))
    }

    /// Goes on with it; see [`Login::respond`].
    pub fn respond(&mut self, response: Option<&str>) -> Result<Step, Failure> {
        self.login.respond(response).map_err(|e| Failure::io("checkauth", &e))
    }

    /// Counts a refused login; true when there were too many.
    pub fn has_failed_too_often(&mut self) -> bool {
        self.failures += 1;
        self.failures > FAILURES_MAX
    }

    /// Counts a command that was not understood; true when there were too many.
    pub fn has_erred_too_often(&mut self) -> bool {
        self.errors += 1;
        self.errors > ERRORS_MAX
    }

    /// Gives the conversation to the session of the user, whose output must have left. On an error the log has the reason
    /// and the conversation is still the caller's.
    pub fn enter(&mut self, user: &str, handed: &Handed) -> std::io::Result<()> {
        let control = self.starttls.as_ref().map(|s| s.control().as_fd());
        let given = login::hand_over(&mut self.spawn, self.service.program, &self.peer, control, &handed.encode());
        given.inspect_err(|e| log::warning("session", None, &[("user", &user), ("why", e)]))
    }
}

fn is_scram(mechanism: &str) -> bool {
    mechanism.starts_with("SCRAM-")
}

/// What passes from the conversation before the login to the session.
///
/// Format: lines `name value`, an empty line, then the octets that were read and not yet understood.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Handed {
    words: Vec<(String, String)>,
    /// Input not yet read as commands.
    pub input: Vec<u8>,
}

impl Handed {
    /// Unread input and nothing else.
    pub fn new(input: Vec<u8>) -> Handed {
        Handed { words: Vec::new(), input }
    }

    /// Adds what the session has to know; a name has no space, a value no line end.
    pub fn with(mut self, name: &str, value: Option<&str>) -> Handed {
        self.words.extend(value.map(|v| (name.to_owned(), v.to_owned())));
        self
    }

    /// What was said under a name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.words.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// Gives the conversation of a session back to its program as it is before a login; the session then ends without a word.
    pub fn hand_back(&self, config: &Config, program: &str) -> std::io::Result<()> {
        let mut spawn = Spawn::connect(config)?;
        login::hand_back(&mut spawn, program, &Peer::from_env(), &self.encode())
    }

    fn encode(&self) -> Vec<u8> {
        let lines: String = self.words.iter().map(|(name, value)| format!("{name} {value}\n")).collect();
        [lines.as_bytes(), b"\n", &self.input].concat()
    }

    fn decode(bytes: &[u8]) -> Handed {
        let mut handed = Handed::default();
        let mut rest = bytes;
        while let Some(at) = rest.iter().position(|&b| b == b'\n') {
            let (line, after) = rest.split_at(at);
            rest = after.get(1..).unwrap_or_default();
            if line.is_empty() {
                break;
            }
            let line = String::from_utf8_lossy(line);
            let (name, value) = line.split_once(' ').unwrap_or((&line, ""));
            handed.words.push((name.to_owned(), value.to_owned()));
        }
        handed.input = rest.to_vec();
        handed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_handed_over_comes_back_whole() {
        let handed = Handed::new(b"NOOP\r\n\nsasl x\n".to_vec()).with("utf8", Some("")).with("lang", Some("en"));
        let handed = handed.with("sasl", None);
        assert_eq!(Handed::decode(&handed.encode()), handed);
        assert_eq!((handed.get("utf8"), handed.get("lang"), handed.get("sasl")), (Some(""), Some("en"), None));
        assert_eq!(Handed::decode(&Handed::default().encode()), Handed::default());
        assert_eq!(Handed::decode(b""), Handed::default());
    }
}
