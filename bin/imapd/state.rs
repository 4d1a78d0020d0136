//! What passes from the pre-login process to the session.
//!
//! Format      lines `tag TAG`, `caps` (the client has not been told the capabilities), then an empty line, then unread input
//! Invariants  the tag is the one of the login command; the session answers it
/// The state of the conversation at login.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct State {
    /// The tag to answer.
    pub tag: String,
    /// Input not yet read as commands.
    pub input: Vec<u8>,
}

impl State {
    pub fn encode(&self) -> Vec<u8> {
        let mut out = format!("tag {}\n\n", self.tag).into_bytes();
        out.extend_from_slice(&self.input);
        out
    }

    pub fn decode(bytes: &[u8]) -> Self {
        let mut state = State::default();
        let mut rest = bytes;
        while let Some(at) = rest.iter().position(|&b| b == b'\n') {
            let line = &rest[..at];
            rest = &rest[at + 1..];
            match std::str::from_utf8(line).unwrap_or_default() {
                "" => break,
                line => state.tag = line.strip_prefix("tag ").map_or(state.tag, str::to_owned),
            }
        }
        state.input = rest.to_vec();
        state
    }
}
