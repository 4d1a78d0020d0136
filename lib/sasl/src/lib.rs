//! SASL server exchanges and password schemes, without I/O.
//!
//! Standards   RFC 4422 (SASL), 4616 (PLAIN), draft-murchison-sasl-login (LOGIN), 5802 and 7677 (SCRAM-SHA-256 and -PLUS),
//!             7628 (OAUTHBEARER), XOAUTH2 as Google documents it, 4013 (SASLprep)
//! Parts       [`Exchange`]: messages of one authentication; [`Password`]: stored passwords in Dovecot's schemes
//! Invariants  1. names that come out hold no control character
//!             2. secrets are compared in constant time and their Debug prints nothing
//! Trust       responses are hostile; stored passwords come from the administrator

mod base64;
mod client;
mod exchange;
mod password;
mod prep;
mod secret;

pub use base64::{decode as base64_decode, encode as base64_encode};
pub use client::scram_client_final;
pub use exchange::{Binding, Exchange, Mechanism, Next, SaslError};
pub use password::{Password, ScramKeys, argon2id, decoy_keys, derive_scram, scram_sha256, sha512_crypt, steady_salt};
pub use prep::saslprep;
pub use secret::{Secret, same};
