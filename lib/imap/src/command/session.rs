//! Commands about the session: login, TLS, ENABLE, ID, IDLE and those without arguments.
//!
//! Standards   RFC 3501 6.1, 6.2, 6.4.1-3; RFC 4959 (SASL-IR), 5161, 2971, 2177, 2342, 3691, 4978, 8437, 5267 (CANCELUPDATE)
//! Trust       passwords are in here; `Debug` of a Login is for tests only
use super::Command;
use crate::parse::{Bad, Cursor, Parse};

/// Pairs in one ID command (RFC 2971 3.3: at most 30).
const ID_PAIRS_MAX: usize = 30;

pub(super) fn parse(word: &str, c: &mut Cursor<'_>) -> Option<Parse<Command>> {
    Some(match word {
        "CAPABILITY" => Ok(Command::Capability),
        "NOOP" => Ok(Command::Noop),
        "LOGOUT" => Ok(Command::Logout),
        "STARTTLS" => Ok(Command::StartTls),
        "IDLE" => Ok(Command::Idle),
        "UNAUTHENTICATE" => Ok(Command::Unauthenticate),
        "NAMESPACE" => Ok(Command::Namespace),
        "CHECK" => Ok(Command::Check),
        "CLOSE" => Ok(Command::Close),
        "UNSELECT" => Ok(Command::Unselect),
        "LOGIN" => login(c),
        "AUTHENTICATE" => authenticate(c),
        "ENABLE" => words(c).map(Command::Enable),
        "COMPRESS" => c.space().and_then(|()| c.atom_upper()).map(Command::Compress),
        "ID" => id(c),
        "CANCELUPDATE" => cancel_update(c),
        _ => return None,
    })
}

fn login(c: &mut Cursor<'_>) -> Parse<Command> {
    c.space()?;
    let user = c.astring()?;
    c.space()?;
    let password = c.astring()?;
    Ok(Command::Login { user, password })
}

/// "AUTHENTICATE" SP auth-type [SP initial-resp] (RFC 4959 3)
fn authenticate(c: &mut Cursor<'_>) -> Parse<Command> {
    c.space()?;
    let mechanism = c.atom_upper()?;
    let mut initial = None;
    if !c.is_end() {
        c.space()?;
        let text = c.take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'='));
        initial = Some(text.to_vec());
    }
    Ok(Command::Authenticate { mechanism, initial })
}

fn words(c: &mut Cursor<'_>) -> Parse<Vec<String>> {
    let mut out = Vec::new();
    while !c.is_end() {
        c.space()?;
        out.push(c.atom_upper()?);
    }
    if out.is_empty() { Err(Bad("Missing capability")) } else { Ok(out) }
}

fn id(c: &mut Cursor<'_>) -> Parse<Command> {
    c.space()?;
    if c.keyword("NIL") {
        return Ok(Command::Id(Vec::new()));
    }
    let pairs = c.list(0, |c| {
        let field = c.string()?;
        c.space()?;
        Ok((field, c.nstring()?))
    })?;
    if pairs.len() > ID_PAIRS_MAX { Err(Bad("Too many ID fields")) } else { Ok(Command::Id(pairs)) }
}

fn cancel_update(c: &mut Cursor<'_>) -> Parse<Command> {
    let mut tags = Vec::new();
    while !c.is_end() {
        c.space()?;
        tags.push(c.string()?);
    }
    if tags.is_empty() { Err(Bad("Missing tag")) } else { Ok(Command::CancelUpdate(tags)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::command;

    #[test]
    fn login_and_authenticate() {
        assert_eq!(
            command("login joe {2}\r\np ").unwrap(),
            Command::Login { user: b"joe".to_vec(), password: b"p ".to_vec() }
        );
        assert_eq!(
            command("AUTHENTICATE PLAIN").unwrap(),
            Command::Authenticate { mechanism: "PLAIN".into(), initial: None }
        );
        assert_eq!(
            command("AUTHENTICATE plain =").unwrap(),
            Command::Authenticate { mechanism: "PLAIN".into(), initial: Some(b"=".to_vec()) }
        );
        assert!(command("AUTHENTICATE PLAIN a b").is_err());
    }

    #[test]
    fn the_rest() {
        assert_eq!(command("ENABLE CONDSTORE x").unwrap(), Command::Enable(vec!["CONDSTORE".into(), "X".into()]));
        assert_eq!(
            command("ID (\"name\" \"x\" \"v\" NIL)").unwrap(),
            Command::Id(vec![(b"name".to_vec(), Some(b"x".to_vec())), (b"v".to_vec(), None)])
        );
        assert_eq!(command("ID NIL").unwrap(), Command::Id(vec![]));
        assert!(command("NOOP x").is_err());
        assert!(command("ENABLE").is_err());
        assert_eq!(command("BOGUS"), Err(Bad("Unknown command")));
        assert_eq!(
            command("CANCELUPDATE \"a\" \"b\"").unwrap(),
            Command::CancelUpdate(vec![b"a".to_vec(), b"b".to_vec()])
        );
    }
}
