//! The client's side of SCRAM-SHA-256, for tests and for a relay that wants it.
//!
//! Standards   RFC 5802 section 3, RFC 7677

use crate::password::{mac, salted};
use crate::{base64_decode, base64_encode};
use sha2::{Digest, Sha256};

/// The client-final-message for `client_first` (with its gs2 header) and the server's answer; `binding` is the channel
/// binding data where the header asks for it.
pub fn scram_client_final(password: &[u8], client_first: &str, binding: &[u8], server_first: &str) -> Option<String> {
    let mut parts = client_first.splitn(3, ',');
    let header = format!("{},{},", parts.next()?, parts.next()?);
    let bare = parts.next()?;
    let mut fields = server_first.split(',');
    let nonce = fields.next()?.strip_prefix("r=")?;
    let salt = base64_decode(fields.next()?.strip_prefix("s=")?)?;
    let iterations = fields.next()?.strip_prefix("i=")?.parse().ok()?;
    let without = format!("c={},r={nonce}", base64_encode(&[header.as_bytes(), binding].concat()));
    let auth = format!("{bare},{server_first},{without}");
    let client = mac(&salted(password, &salt, iterations)?, &[b"Client Key"])?;
    let signature = mac(&Sha256::digest(client), &[auth.as_bytes()])?;
    let proof: Vec<u8> = client.iter().zip(signature).map(|(a, b)| a ^ b).collect();
    Some(format!("{without},p={}", base64_encode(&proof)))
}

#[cfg(test)]
mod tests {
    /// RFC 7677 section 3.
    #[test]
    fn vector() {
        let server = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        let made = super::scram_client_final(b"pencil", "n,,n=user,r=rOprNGfwEbeRWgbNEkqO", b"", server).unwrap();
        assert!(made.ends_with(",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="), "{made}");
    }
}
