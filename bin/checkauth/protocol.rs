//! The line protocol on descriptors 0 and 1.
//!
//! Format      `MECHS`; `AUTH <mechanism> service= ip= tls= [cb-type= cb-data=] [resp=]`, then `R <base64>` or `*`;
//!             answers `MECHS ...`, `C <base64>`, `OK user=<login> [data=<base64>]`, `NO <code> <text>`
//! Invariants  1. one grant at most, written before `OK`   2. every attempt ends in exactly one OK or NO
//!             3. a client that fails is slowed and logged with its address
//! Failures    a line that is not understood ends the process: the other side is one of our own programs

use crate::backend::{Backend, Denied};
use penny_base::services::escape::join;
use penny_base::services::lookup::User;
use penny_base::{Failure, Kind, Outcome, log};
use penny_sasl::{Binding, Exchange, Mechanism, Next, base64_decode, base64_encode};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};

/// Longest line, octets.
const LINE_MAX: u64 = 32 * 1024;

/// Names the descriptor spawn reads the grant from.
const GRANT_VARIABLE: &str = "PENNYPOST_GRANT_FD";

/// One attempt's facts.
#[derive(Debug, Default)]
struct Attempt {
    mechanism: String,
    service: String,
    ip: String,
    tls: bool,
    plus: bool,
    binding: Vec<Binding>,
    response: Option<Vec<u8>>,
}

struct Server {
    backend: Backend,
    input: BufReader<io::Stdin>,
    grant: Option<File>,
}

/// Serves until the end of input.
pub fn serve(backend: Backend) -> Result<Outcome, Failure> {
    let number = std::env::var(GRANT_VARIABLE).ok().and_then(|v| v.parse().ok());
    let grant = number.and_then(|n| penny_sys::net::inherited(n).ok()).map(File::from);
    let mut server = Server { backend, input: BufReader::new(io::stdin()), grant };
    while let Some(line) = server.line()? {
        if line == "MECHS" {
            let names: Vec<&str> = server.backend.mechanisms().iter().map(|m| m.name()).collect();
            server.say(&format!("MECHS {}", names.join(" ")))?;
            continue;
        }
        let attempt = parse(&line).ok_or_else(|| odd("AUTH line"))?;
        server.attempt(attempt)?;
    }
    Ok(Outcome::Done)
}

fn odd(what: &str) -> Failure {
    Failure::permanent(Kind::Protocol, "5.5.2", format!("not understood: {what}"))
}

/// `AUTH MECH key=value ...`
fn parse(line: &str) -> Option<Attempt> {
    let mut words = line.strip_prefix("AUTH ")?.split(' ');
    let mut attempt = Attempt { mechanism: words.next()?.to_owned(), ..Attempt::default() };
    let (mut kind, mut data) = (String::new(), Vec::new());
    for word in words {
        let (key, value) = word.split_once('=')?;
        match key {
            "service" => attempt.service = value.to_owned(),
            "ip" => attempt.ip = value.to_owned(),
            "tls" => attempt.tls = value == "1",
            "plus" => attempt.plus = value == "1",
            "cb-type" => kind = value.to_owned(),
            "cb-data" => data = base64_decode(value)?,
            "resp" if value == "=" => attempt.response = Some(Vec::new()),
            "resp" => attempt.response = Some(base64_decode(value)?),
            _ => return None,
        }
    }
    if !kind.is_empty() && !data.is_empty() {
        attempt.plus = true;
        attempt.binding.push(Binding { kind, data });
    }
    Some(attempt)
}

impl Server {
    fn line(&mut self) -> Result<Option<String>, Failure> {
        let mut line = String::new();
        let limited = &mut io::Read::take(&mut self.input, LINE_MAX);
        limited.read_line(&mut line).map_err(|e| Failure::io("standard input", &e))?;
        match line.strip_suffix('\n') {
            Some(text) => Ok(Some(text.to_owned())),
            None if line.is_empty() => Ok(None),
            None => Err(odd("line without end")),
        }
    }

    fn say(&mut self, line: &str) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        let sent = out.write_all(format!("{line}\n").as_bytes()).and_then(|()| out.flush());
        sent.map_err(|e| Failure::io("standard output", &e))
    }

    fn no(&mut self, code: &str, text: &str) -> Result<(), Failure> {
        self.say(&format!("NO {code} {text}"))
    }

    /// A challenge; the response, or None for a cancelled exchange.
    fn challenge(&mut self, challenge: &[u8]) -> Result<Option<Vec<u8>>, Failure> {
        self.say(&format!("C {}", base64_encode(challenge)))?;
        let line = self.line()?.ok_or_else(|| odd("end of input"))?;
        match line.strip_prefix("R ").or_else(|| (line == "R").then_some("")) {
            Some("=") => Ok(Some(Vec::new())),
            Some(response) => base64_decode(response).map(Some).ok_or_else(|| odd("response")),
            None if line == "*" => Ok(None),
            None => Err(odd("response")),
        }
    }

    fn attempt(&mut self, attempt: Attempt) -> Result<(), Failure> {
        let offered = self.backend.mechanisms();
        let Some(mechanism) = Mechanism::parse(&attempt.mechanism).filter(|m| offered.contains(m)) else {
            return self.no("UNSUPPORTED", "mechanism not available");
        };
        let exchange = Exchange::start(mechanism, attempt.binding.clone(), attempt.plus);
        self.exchange(&attempt, mechanism, exchange)
    }

    fn exchange(&mut self, attempt: &Attempt, mechanism: Mechanism, mut exchange: Exchange) -> Result<(), Failure> {
        let mut response = attempt.response.clone();
        loop {
            let given = match response.take() {
                Some(given) => Some(given),
                None => self.challenge(&exchange.opening())?,
            };
            let Some(given) = given else { return self.no("CANCELLED", "authentication cancelled") };
            let (user, result) = match exchange.step(&given) {
                Next::Challenge(text) => {
                    let Some(next) = self.challenge(&text)? else {
                        return self.no("CANCELLED", "authentication cancelled");
                    };
                    response = Some(next);
                    continue;
                }
                Next::Keys(user) => {
                    match self.scram_challenge(&mut exchange, &user)? {
                        Some(next) => response = Some(next),
                        None => return Ok(()),
                    }
                    continue;
                }
                Next::Password { authzid, user, password } => {
                    let result = self.backend.password(&user, &password, &attempt.ip);
                    (user, self.authorised(result, authzid.as_deref()).map(|found| (found, Vec::new())))
                }
                Next::Token { user, token } => {
                    let result = self.backend.token(&user, &token, mechanism);
                    if result == Err(Denied::Failed) {
                        // RFC 7628 3.2.3: the client answers the error, then the exchange fails
                        let text = exchange.token_refused();
                        let _ = self.challenge(&text)?;
                    }
                    // RFC 7628 3.1: who the client says it is has to be whom the token is for
                    let claimed = Some(user.as_str()).filter(|claimed| !claimed.is_empty());
                    let result = self.authorised(result, claimed);
                    (user, result.map(|found| (found, Vec::new())))
                }
                Next::Done { authzid, user, data } => {
                    let result = self.backend.proved(&user);
                    (user, self.authorised(result, authzid.as_deref()).map(|found| (found, data)))
                }
                Next::Failed(error) => {
                    log::debug("sasl", None, &[("mech", &mechanism.name()), ("why", &format_args!("{error:?}"))]);
                    (String::new(), Err(Denied::Failed))
                }
            };
            return self.decide(attempt, mechanism, &user, result);
        }
    }

    fn authorised(&mut self, found: Result<User, Denied>, authzid: Option<&str>) -> Result<User, Denied> {
        let found = found?;
        self.backend.authorise(&found, authzid)?;
        Ok(found)
    }

    /// Finds the keys and sends the challenge; the response, or None when the attempt is over and answered.
    fn scram_challenge(&mut self, exchange: &mut Exchange, user: &str) -> Result<Option<Vec<u8>>, Failure> {
        let keys = match self.backend.scram_keys(user) {
            Ok(keys) => keys,
            Err(denied) => {
                log::warning("auth-unavailable", None, &[("user", &user), ("why", &format_args!("{denied:?}"))]);
                self.no("UNAVAILABLE", "authentication is not available now")?;
                return Ok(None);
            }
        };
        let mut nonce = [0; 18];
        penny_sys::random::fill(&mut nonce);
        let Next::Challenge(text) = exchange.keys(keys, &base64_encode(&nonce)) else {
            self.no("AUTHENTICATIONFAILED", "authentication failed")?;
            return Ok(None);
        };
        let response = self.challenge(&text)?;
        if response.is_none() {
            self.no("CANCELLED", "authentication cancelled")?;
        }
        Ok(response)
    }

    fn decide(
        &mut self,
        attempt: &Attempt,
        mechanism: Mechanism,
        user: &str,
        result: Result<(User, Vec<u8>), Denied>,
    ) -> Result<(), Failure> {
        let facts: [(&str, &dyn std::fmt::Display); 5] = [
            ("ip", &attempt.ip),
            ("user", &user),
            ("service", &attempt.service),
            ("mech", &mechanism.name()),
            ("tls", &u8::from(attempt.tls)),
        ];
        let denied = match result {
            Ok((found, data)) => {
                self.write_grant(&found)?;
                log::info("auth-ok", None, &facts);
                let data = if data.is_empty() { String::new() } else { format!(" data={}", base64_encode(&data)) };
                return self.say(&format!("OK user={}{data}", found.name));
            }
            Err(denied) => denied,
        };
        if let Denied::Unavailable(why) = &denied {
            log::warning("auth-unavailable", None, &[&facts[..], &[("why", why)]].concat());
            return self.no("UNAVAILABLE", "authentication is not available now");
        }
        log::warning("auth-failed", None, &[&facts[..], &[("why", &format_args!("{denied:?}"))]].concat());
        self.backend.failed(&attempt.ip, user);
        match denied {
            Denied::Unauthorised => self.no("AUTHORIZATIONFAILED", "not allowed to act as that user"),
            Denied::Expired => self.no("EXPIRED", "this account cannot log in"),
            _ => self.no("AUTHENTICATIONFAILED", "authentication failed"),
        }
    }

    /// What spawn keeps: a session is started only as this user.
    fn write_grant(&mut self, user: &User) -> Result<(), Failure> {
        let Some(grant) = self.grant.as_mut() else { return Ok(()) };
        let fields = user.fields();
        let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
        grant.write_all(format!("{}\n", join(&fields)).as_bytes()).map_err(|e| Failure::io("grant", &e))
    }
}
