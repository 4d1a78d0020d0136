//! OAUTHBEARER (RFC 7628 section 3.1) and XOAUTH2.
//!
//! Formats     OAUTHBEARER: gs2-header kvsep *(key "=" value kvsep) kvsep, with `auth=Bearer TOKEN`
//!             XOAUTH2: `user=NAME^Aauth=Bearer TOKEN^A^A`
//! Not here    whether a token is good: a validator of the administrator's choice decides

use super::{Next, SaslError, name};
use crate::Secret;

const KVSEP: u8 = 1;

pub(super) fn bearer(message: &[u8]) -> Next {
    parse_bearer(message).unwrap_or(Next::Failed(SaslError::Malformed))
}

pub(super) fn xoauth2(message: &[u8]) -> Next {
    parse_xoauth2(message).unwrap_or(Next::Failed(SaslError::Malformed))
}

fn parse_bearer(message: &[u8]) -> Option<Next> {
    let rest = message.strip_prefix(b"n,").or_else(|| message.strip_prefix(b"y,"))?;
    let comma = rest.iter().position(|&b| b == b',')?;
    let (authzid, rest) = rest.split_at(comma);
    let user = name(&unescape(authzid.strip_prefix(b"a=")?)?)?;
    let pairs = rest.strip_prefix(b",")?.strip_prefix(&[KVSEP])?;
    let pairs = pairs.strip_suffix(&[KVSEP, KVSEP])?;
    Some(Next::Token { user, token: token(pairs, b"auth=")? })
}

fn parse_xoauth2(message: &[u8]) -> Option<Next> {
    let pairs = message.strip_suffix(&[KVSEP, KVSEP])?;
    let user = value(pairs, b"user=")?;
    Some(Next::Token { user: name(user)?, token: token(pairs, b"auth=")? })
}

fn value<'a>(pairs: &'a [u8], key: &[u8]) -> Option<&'a [u8]> {
    pairs.split(|&b| b == KVSEP).find_map(|pair| pair.strip_prefix(key))
}

/// RFC 6750 2.1: `Bearer` without regard to case, then b64token.
fn token(pairs: &[u8], key: &[u8]) -> Option<Secret> {
    let auth = value(pairs, key)?;
    let (scheme, token) = auth.split_at_checked(7)?;
    let fits = !token.is_empty() && token.iter().all(|b| b.is_ascii_graphic());
    (scheme.eq_ignore_ascii_case(b"Bearer ") && fits).then(|| Secret::new(token))
}

/// saslname of RFC 5801: `=2C` and `=3D`.
pub(super) fn unescape(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&b, tail)) = rest.split_first() {
        rest = tail;
        match b {
            b'=' if rest.starts_with(b"2C") => out.push(b','),
            b'=' if rest.starts_with(b"3D") => out.push(b'='),
            b'=' | b',' => return None,
            b => {
                out.push(b);
                continue;
            }
        }
        rest = rest.get(2..)?;
    }
    Some(out)
}
