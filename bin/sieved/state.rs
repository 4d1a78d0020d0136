//! What passes from the pre-login process to the session.
//!
//! Format      a line `sasl BASE64` if the mechanism has last words for the client, an empty line, then input octets not yet read

/// The state at login.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct State {
    /// Data of the OK that answers AUTHENTICATE, base64.
    pub sasl: Option<String>,
    /// Unread input.
    pub input: Vec<u8>,
}

impl State {
    pub fn encode(&self) -> Vec<u8> {
        let head = self.sasl.as_ref().map(|s| format!("sasl {s}\n")).unwrap_or_default();
        let mut out = format!("{head}\n").into_bytes();
        out.extend_from_slice(&self.input);
        out
    }

    pub fn decode(bytes: &[u8]) -> Self {
        let mut state = Self::default();
        let mut rest = bytes;
        while let Some(at) = rest.iter().position(|&b| b == b'\n') {
            let (line, after) = rest.split_at(at);
            rest = after.get(1..).unwrap_or_default();
            match std::str::from_utf8(line).unwrap_or_default() {
                "" => break,
                other => state.sasl = other.strip_prefix("sasl ").map(str::to_owned),
            }
        }
        state.input = rest.to_vec();
        state
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comes_back_whole() {
        let state = State { sasl: Some("eHg=".into()), input: b"NOOP\r\n\nsasl x\n".to_vec() };
        assert_eq!(State::decode(&state.encode()), state);
        assert_eq!(State::decode(b""), State::default());
    }
}
