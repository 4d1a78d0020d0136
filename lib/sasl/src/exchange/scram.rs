//! SCRAM-SHA-256 and SCRAM-SHA-256-PLUS.
//!
//! Standards   RFC 5802 sections 5 and 7, RFC 7677, RFC 5929 and 9266 (channel binding)
//! Invariants  1. the nonce of the final message is the whole one of this exchange
//!             2. the channel binding of the final message equals header and data of this connection
//!             3. `y` from a client while -PLUS was announced means that somebody stripped it: failure (section 6)

use super::oauth::unescape;
use super::{Binding, Next, SaslError, name};
use crate::password::ScramKeys;
use crate::{base64_decode, base64_encode, same};
use sha2::{Digest, Sha256};

#[derive(Debug)]
pub(super) struct Scram {
    plus: bool,
    bindings: Vec<Binding>,
    plus_offered: bool,
    authzid: Option<String>,
    user: String,
    /// client-first-message-bare
    first_bare: String,
    client_nonce: String,
    /// What c= must hold, decoded.
    expected_binding: Vec<u8>,
    keys: Option<(ScramKeys, String, String)>,
}

impl Scram {
    pub fn new(plus: bool, bindings: Vec<Binding>, plus_offered: bool) -> Self {
        Self {
            plus,
            bindings,
            plus_offered,
            authzid: None,
            user: String::new(),
            first_bare: String::new(),
            client_nonce: String::new(),
            expected_binding: Vec::new(),
            keys: None,
        }
    }

    pub fn step(&mut self, response: &[u8]) -> Next {
        let Ok(text) = std::str::from_utf8(response) else { return Next::Failed(SaslError::Malformed) };
        let result = if self.keys.is_some() { self.last(text) } else { self.first(text) };
        result.unwrap_or_else(Next::Failed)
    }

    /// client-first-message = gs2-cbind-flag "," [authzid] "," username "," nonce ["," extensions]
    fn first(&mut self, text: &str) -> Result<Next, SaslError> {
        let malformed = SaslError::Malformed;
        let mut parts = text.splitn(3, ',');
        let flag = parts.next().ok_or(malformed)?;
        let authzid = parts.next().ok_or(malformed)?;
        let bare = parts.next().ok_or(malformed)?;
        self.expected_binding = format!("{flag},{authzid},").into_bytes();
        let data = self.bound(flag)?;
        self.expected_binding.extend_from_slice(&data);
        self.authzid = match authzid.strip_prefix("a=") {
            Some(escaped) => Some(saslname(escaped).ok_or(malformed)?),
            None if authzid.is_empty() => None,
            None => return Err(malformed),
        };
        let mut fields = bare.split(',');
        // a message that begins with m= asks for an extension we do not have: it fails here too
        let user = fields.next().and_then(|f| f.strip_prefix("n=")).ok_or(malformed)?;
        let nonce = fields.next().and_then(|f| f.strip_prefix("r=")).ok_or(malformed)?;
        if nonce.is_empty() || nonce.len() > 1024 || !nonce.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(malformed);
        }
        self.user = saslname(user).ok_or(malformed)?;
        self.first_bare = bare.to_owned();
        self.client_nonce = nonce.to_owned();
        Ok(Next::Keys(self.user.clone()))
    }

    /// The binding data a flag stands for.
    fn bound(&self, flag: &str) -> Result<Vec<u8>, SaslError> {
        match (flag, self.plus) {
            ("n", false) => Ok(Vec::new()),
            ("y", false) if !self.plus_offered => Ok(Vec::new()),
            ("n" | "y", _) => Err(SaslError::Binding),
            (flag, plus) => {
                let kind = flag.strip_prefix("p=").ok_or(SaslError::Malformed)?;
                let found = self.bindings.iter().find(|b| plus && b.kind == kind);
                found.map(|b| b.data.clone()).ok_or(SaslError::Binding)
            }
        }
    }

    /// server-first-message = r= s= i=
    pub fn keys(&mut self, keys: ScramKeys, nonce: &str) -> Next {
        let whole = format!("{}{nonce}", self.client_nonce);
        let message = format!("r={whole},s={},i={}", base64_encode(&keys.salt), keys.iterations);
        self.keys = Some((keys, whole, message.clone()));
        Next::Challenge(message.into_bytes())
    }

    /// client-final-message = c= "," r= ["," extensions] "," p=
    fn last(&mut self, text: &str) -> Result<Next, SaslError> {
        let malformed = SaslError::Malformed;
        let (keys, nonce, server_first) = self.keys.take().ok_or(malformed)?;
        let (without_proof, proof) = text.rsplit_once(",p=").ok_or(malformed)?;
        let mut fields = without_proof.split(',');
        let binding = fields.next().and_then(|f| f.strip_prefix("c=")).and_then(base64_decode).ok_or(malformed)?;
        let given_nonce = fields.next().and_then(|f| f.strip_prefix("r=")).ok_or(malformed)?;
        let proof = base64_decode(proof).filter(|p| p.len() == 32).ok_or(malformed)?;
        if !same(given_nonce.as_bytes(), nonce.as_bytes()) {
            return Err(SaslError::Mismatch);
        }
        if !same(&binding, &self.expected_binding) {
            return Err(SaslError::Binding);
        }
        let auth = format!("{},{server_first},{without_proof}", self.first_bare);
        let server = check(&keys, auth.as_bytes(), &proof).ok_or(SaslError::Mismatch)?;
        let data = format!("v={}", base64_encode(&server)).into_bytes();
        Ok(Next::Done { authzid: self.authzid.take(), user: std::mem::take(&mut self.user), data })
    }
}

/// RFC 5802 3: ClientKey = ClientProof XOR ClientSignature, and its hash is StoredKey. Gives ServerSignature.
fn check(keys: &ScramKeys, auth: &[u8], proof: &[u8]) -> Option<[u8; 32]> {
    use crate::password::mac;
    let signature = mac(&keys.stored, &[auth])?;
    let client: Vec<u8> = proof.iter().zip(signature).map(|(p, s)| p ^ s).collect();
    if same(&Sha256::digest(&client), &keys.stored) { mac(&keys.server, &[auth]) } else { None }
}

fn saslname(escaped: &str) -> Option<String> {
    name(&unescape(escaped.as_bytes())?)
}
