//! What passes from the pre-login process to the session.
//!
//! Format      lines `utf8`, `lang TAG`, then an empty line, then input octets not yet read as commands

/// The state of the conversation at login.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct State {
    /// UTF8 was given (RFC 6856 2).
    pub utf8: bool,
    /// The language chosen (RFC 6856 3).
    pub lang: Option<String>,
    /// Unread input.
    pub input: Vec<u8>,
}

impl State {
    pub fn encode(&self) -> Vec<u8> {
        let mut out = String::new();
        if self.utf8 {
            out.push_str("utf8\n");
        }
        if let Some(lang) = &self.lang {
            out.push_str(&format!("lang {lang}\n"));
        }
        out.push('\n');
        let mut out = out.into_bytes();
        out.extend_from_slice(&self.input);
        out
    }

    /// Reads a state; nothing at all is the state of a conversation that just began.
    pub fn decode(bytes: &[u8]) -> Self {
        let mut state = Self::default();
        let mut rest = bytes;
        while let Some(at) = rest.iter().position(|&b| b == b'\n') {
            let (line, after) = rest.split_at(at);
            rest = after.get(1..).unwrap_or_default();
            match std::str::from_utf8(line).unwrap_or_default() {
                "" => break,
                "utf8" => state.utf8 = true,
                other => state.lang = other.strip_prefix("lang ").map(str::to_owned).or(state.lang),
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
        let state = State { utf8: true, lang: Some("en".into()), input: b"STAT\r\n\nlang x\n".to_vec() };
        assert_eq!(State::decode(&state.encode()), state);
        assert_eq!(State::decode(&State::default().encode()), State::default());
        assert_eq!(State::decode(b""), State::default());
    }
}
