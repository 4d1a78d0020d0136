//! GETQUOTA, GETQUOTAROOT, SETQUOTA.
//!
//! Standards   RFC 9208 4.1
use super::{Command, name};
use crate::parse::{Cursor, Parse};

pub(super) fn parse(word: &str, c: &mut Cursor<'_>) -> Option<Parse<Command>> {
    Some(match word {
        "GETQUOTA" => c.space().and_then(|()| c.astring()).map(Command::GetQuota),
        "GETQUOTAROOT" => name(c).map(Command::GetQuotaRoot),
        "SETQUOTA" => set_quota(c),
        _ => return None,
    })
}

fn set_quota(c: &mut Cursor<'_>) -> Parse<Command> {
    c.space()?;
    let root = c.astring()?;
    c.space()?;
    let limits = c.list(0, |c| {
        let resource = c.atom_upper()?;
        c.space()?;
        Ok((resource, c.number64()?))
    })?;
    Ok(Command::SetQuota { root, limits })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::command;

    #[test]
    fn rfc9208_examples() {
        assert_eq!(command("GETQUOTA \"\"").unwrap(), Command::GetQuota(vec![]));
        assert!(matches!(command("GETQUOTAROOT INBOX"), Ok(Command::GetQuotaRoot(_))));
        assert_eq!(
            command("SETQUOTA \"\" (STORAGE 512)").unwrap(),
            Command::SetQuota { root: vec![], limits: vec![("STORAGE".into(), 512)] }
        );
    }
}
