//! The messages of one authentication, seen by the server.
//!
//! Use         [`Exchange::start`], then [`Exchange::step`] for each response; what needs a table or another process comes
//!             out as a question ([`Next`])
//! Invariants  1. a name that comes out is UTF-8 without control characters, at most [`NAME_MAX`] octets
//!             2. after [`Next::Failed`] or [`Next::Done`] every further step fails

mod oauth;
mod plain;
mod scram;

use crate::{ScramKeys, Secret};
use scram::Scram;

/// Longest name in octets.
const NAME_MAX: usize = 255;
/// Longest response in octets, decoded.
const RESPONSE_MAX: usize = 16_384;

/// A mechanism.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// RFC 4616
    Plain,
    /// The obsolete LOGIN.
    Login,
    /// RFC 7677
    ScramSha256,
    /// RFC 7677 with channel binding.
    ScramSha256Plus,
    /// RFC 7628
    OauthBearer,
    /// Google's form before it.
    Xoauth2,
}

impl Mechanism {
    /// All, strongest first.
    pub const ALL: [Self; 6] =
        [Self::ScramSha256Plus, Self::ScramSha256, Self::OauthBearer, Self::Xoauth2, Self::Plain, Self::Login];

    /// The registered name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha256Plus => "SCRAM-SHA-256-PLUS",
            Self::OauthBearer => "OAUTHBEARER",
            Self::Xoauth2 => "XOAUTH2",
        }
    }

    /// By name, without regard to case.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|m| m.name().eq_ignore_ascii_case(name))
    }

    /// Whether the secret crosses the wire, so that TLS is needed.
    pub fn sends_secret(self) -> bool {
        !matches!(self, Self::ScramSha256 | Self::ScramSha256Plus)
    }
}

/// Channel binding data of the TLS connection (RFC 5929, 9266).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// `tls-exporter`, `tls-server-end-point`, `tls-unique`
    pub kind: String,
    /// The data.
    pub data: Vec<u8>,
}

/// Why an exchange failed by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SaslError {
    /// The response does not follow the mechanism's grammar.
    Malformed,
    /// The proof is wrong.
    Mismatch,
    /// Channel binding is missing, not ours, or was stripped on the way.
    Binding,
    /// The token was refused before.
    Refused,
}

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// Send this and step on with the answer.
    Challenge(Vec<u8>),
    /// Verify a password; the exchange is over.
    Password {
        /// Whom to act as, if not `user`.
        authzid: Option<String>,
        /// Whose password it is.
        user: String,
        /// The password.
        password: Secret,
    },
    /// Find the SCRAM keys of a user and give them to [`Exchange::keys`].
    Keys(String),
    /// Verify a token; if it is refused, [`Exchange::token_refused`] gives the challenge to send.
    Token {
        /// Whose it claims to be.
        user: String,
        /// The token.
        token: Secret,
    },
    /// Success; `data` goes with it (SCRAM's server-final-message).
    Done {
        /// Whom to act as, if not `user`.
        authzid: Option<String>,
        /// Who has authenticated.
        user: String,
        /// Additional data with success.
        data: Vec<u8>,
    },
    /// Failure.
    Failed(SaslError),
}

/// One authentication.
#[derive(Debug)]
pub struct Exchange {
    mechanism: Mechanism,
    state: State,
}

#[derive(Debug)]
enum State {
    Start,
    LoginUser,
    LoginPassword(String),
    Scram(Box<Scram>),
    TokenRefused,
    Over,
}

impl Exchange {
    /// Begins; `binding` is what the TLS connection offers, needed for -PLUS and to detect its stripping. `plus_offered`
    /// says whether SCRAM-SHA-256-PLUS was announced.
    pub fn start(mechanism: Mechanism, binding: Vec<Binding>, plus_offered: bool) -> Self {
        let plus = mechanism == Mechanism::ScramSha256Plus;
        let state = match mechanism {
            Mechanism::ScramSha256 | Mechanism::ScramSha256Plus => {
                State::Scram(Box::new(Scram::new(plus, binding, plus_offered)))
            }
            _ => State::Start,
        };
        Self { mechanism, state }
    }

    /// The challenge to send when the client gave no initial response: empty, but for LOGIN.
    pub fn opening(&mut self) -> Vec<u8> {
        if self.mechanism == Mechanism::Login {
            self.state = State::LoginUser;
            return b"Username:".to_vec();
        }
        Vec::new()
    }

    /// Takes a response.
    pub fn step(&mut self, response: &[u8]) -> Next {
        if response.len() > RESPONSE_MAX {
            self.state = State::Over;
            return Next::Failed(SaslError::Malformed);
        }
        match std::mem::replace(&mut self.state, State::Over) {
            State::Start => self.first(response),
            State::LoginUser => self.login_user(response),
            State::LoginPassword(user) => plain::login_password(user, response),
            State::Scram(mut scram) => {
                let next = scram.step(response);
                if matches!(next, Next::Keys(_)) {
                    self.state = State::Scram(scram);
                }
                next
            }
            State::TokenRefused => Next::Failed(SaslError::Refused),
            State::Over => Next::Failed(SaslError::Malformed),
        }
    }

    fn first(&mut self, response: &[u8]) -> Next {
        match self.mechanism {
            Mechanism::Plain => plain::plain(response),
            Mechanism::Login => self.login_user(response),
            Mechanism::OauthBearer => oauth::bearer(response),
            Mechanism::Xoauth2 => oauth::xoauth2(response),
            Mechanism::ScramSha256 | Mechanism::ScramSha256Plus => Next::Failed(SaslError::Malformed),
        }
    }

    fn login_user(&mut self, response: &[u8]) -> Next {
        match name(response) {
            Some(user) => {
                self.state = State::LoginPassword(user);
                Next::Challenge(b"Password:".to_vec())
            }
            None => Next::Failed(SaslError::Malformed),
        }
    }

    /// The keys asked for by [`Next::Keys`], and a fresh nonce of printable characters; gives the challenge.
    pub fn keys(&mut self, keys: ScramKeys, nonce: &str) -> Next {
        match &mut self.state {
            State::Scram(scram) => scram.keys(keys, nonce),
            _ => Next::Failed(SaslError::Malformed),
        }
    }

    /// The token was refused: the challenge that says so (RFC 7628 3.2.2); the exchange fails at the next response.
    pub fn token_refused(&mut self) -> Vec<u8> {
        self.state = State::TokenRefused;
        br#"{"status":"invalid_token"}"#.to_vec()
    }
}

/// A name: not empty, UTF-8, no control character, bounded.
fn name(octets: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(octets).ok()?;
    let fits = !text.is_empty() && text.len() <= NAME_MAX;
    (fits && !text.chars().any(char::is_control)).then(|| text.to_owned())
}

#[cfg(test)]
mod tests;
