//! PLAIN (RFC 4616 section 2) and LOGIN.

use super::{Next, SaslError, name};
use crate::Secret;

/// message = [authzid] NUL authcid NUL passwd
pub(super) fn plain(message: &[u8]) -> Next {
    parse(message).unwrap_or(Next::Failed(SaslError::Malformed))
}

fn parse(message: &[u8]) -> Option<Next> {
    let mut parts = message.split(|&b| b == 0);
    let (authzid, user, password) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || password.is_empty() {
        return None;
    }
    let authzid = if authzid.is_empty() { None } else { Some(name(authzid)?) };
    Some(Next::Password { authzid, user: name(user)?, password: Secret::new(password) })
}

pub(super) fn login_password(user: String, response: &[u8]) -> Next {
    if response.is_empty() || response.contains(&0) {
        return Next::Failed(SaslError::Malformed);
    }
    Next::Password { authzid: None, user, password: Secret::new(response) }
}
