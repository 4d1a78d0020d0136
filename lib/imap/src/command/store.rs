//! STORE, COPY, MOVE, EXPUNGE.
//!
//! Standards   RFC 3501 6.4.3, 6.4.6, 6.4.7; RFC 6851 (MOVE), 4315 (UID EXPUNGE), 7162 3.1.3 (UNCHANGEDSINCE)
use super::{Command, name};
use crate::flag::{FlagList, flag_list_or_bare};
use crate::parse::{Bad, Cursor, Parse};
use crate::set::SequenceSet;

/// What STORE does with the flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreOp {
    /// FLAGS
    Set,
    /// +FLAGS
    Add,
    /// -FLAGS
    Remove,
}

/// STORE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreArgs {
    /// The messages.
    pub set: SequenceSet,
    /// UID STORE.
    pub uid: bool,
    /// UNCHANGEDSINCE.
    pub unchanged_since: Option<u64>,
    /// The operation.
    pub op: StoreOp,
    /// .SILENT
    pub silent: bool,
    /// The flags.
    pub flags: FlagList,
}

pub(super) fn store(c: &mut Cursor<'_>, uid: bool) -> Parse<Command> {
    c.space()?;
    let set = c.sequence_set()?;
    c.space()?;
    let mut unchanged_since = None;
    if c.peek() == Some(b'(') {
        c.list(1, |c| {
            if !c.keyword("UNCHANGEDSINCE") {
                return Err(Bad("Unknown STORE modifier"));
            }
            c.space()?;
            unchanged_since = Some(c.number64()?);
            Ok(())
        })?;
        c.space()?;
    }
    let (op, silent) = operation(c)?;
    c.space()?;
    Ok(Command::Store(StoreArgs { set, uid, unchanged_since, op, silent, flags: flag_list_or_bare(c)? }))
}

fn operation(c: &mut Cursor<'_>) -> Parse<(StoreOp, bool)> {
    let op = if c.eat(b'+') {
        StoreOp::Add
    } else if c.eat(b'-') {
        StoreOp::Remove
    } else {
        StoreOp::Set
    };
    match c.atom_upper()?.as_str() {
        "FLAGS" => Ok((op, false)),
        "FLAGS.SILENT" => Ok((op, true)),
        _ => Err(Bad("Unknown STORE item")),
    }
}

pub(super) fn copy_or_move(c: &mut Cursor<'_>, uid: bool, is_move: bool) -> Parse<Command> {
    c.space()?;
    let set = c.sequence_set()?;
    let name = name(c)?;
    Ok(if is_move { Command::Move { set, uid, name } } else { Command::Copy { set, uid, name } })
}

pub(super) fn expunge(c: &mut Cursor<'_>, uid: bool) -> Parse<Command> {
    if !uid {
        return Ok(Command::Expunge(None));
    }
    c.space()?;
    c.sequence_set().map(|set| Command::Expunge(Some(set)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::command;

    #[test]
    fn store_forms() {
        let Ok(Command::Store(a)) = command("UID STORE 1:*,$ +FLAGS.SILENT (\\Seen)") else {
            assert!(command("UID STORE 1:* +FLAGS.SILENT \\Seen").is_ok());
            return;
        };
        panic!("{a:?}"); // `$` stands alone
    }

    #[test]
    fn modifiers_and_operations() {
        let Ok(Command::Store(a)) = command("STORE $ (UNCHANGEDSINCE 320162338) -flags x \\Deleted") else { panic!() };
        assert_eq!((a.op, a.silent, a.uid, a.unchanged_since), (StoreOp::Remove, false, false, Some(320_162_338)));
        assert_eq!(a.set, SequenceSet::Saved);
        assert!(command("STORE 1 FLAG (x)").is_err() && command("STORE 0 FLAGS ()").is_err());
        assert!(command("STORE 1 FLAGS ()").is_ok());
    }

    #[test]
    fn copy_move_expunge() {
        assert!(matches!(command("UID MOVE 42:69 foo"), Ok(Command::Move { uid: true, .. })));
        assert!(matches!(command("COPY 2:4 MEETING"), Ok(Command::Copy { uid: false, .. })));
        assert_eq!(command("EXPUNGE").unwrap(), Command::Expunge(None));
        assert!(matches!(command("UID EXPUNGE 3000:3002"), Ok(Command::Expunge(Some(_)))));
        assert!(command("UID NOOP").is_err());
    }
}
