//! Rights: GETACL, SETACL, DELETEACL, LISTRIGHTS, MYRIGHTS, and what the owner's own rights allow.
//!
//! Standards   RFC 4314 (3 commands, 4 which right a command needs), RFC 8440 (LIST-MYRIGHTS)
//! Invariants  a command that lacks a right changes nothing; parts of STORE and APPEND that lack one are left out (RFC 4314 4)
//! Not here    the file: penny_maildir::acl
use super::Session;
use super::answer::Answer;
use super::spaces::Place;
use penny_imap::command::Name;
use penny_imap::command::acl::{AclCommand, Change};
use penny_imap::{Code, write};
use penny_maildir::acl::{Acl, Entry, Rights, Who};
use penny_maildir::{FlagSet, Flags};

impl Session {
    pub(super) fn acl_command(&mut self, command: &AclCommand) -> Answer {
        let done = match command {
            AclCommand::Get(name) => self.get_acl(name),
            AclCommand::My(name) => self.my_rights(name),
            AclCommand::List { name, identifier } => self.list_rights(name, identifier),
            AclCommand::Set { name, identifier, change, rights } => self.set_acl(name, identifier, *change, rights),
            AclCommand::Delete { name, identifier } => self.delete_acl(name, identifier),
        };
        done.unwrap_or_else(|no| no)
    }

    /// The rights on a mailbox that exists, for who may administer them.
    fn acl(&self, place: &Place) -> Result<Acl, Answer> {
        self.demand(place, "a")?;
        self.spaces.acl(place).map_err(|e| Answer::of(&e))
    }

    fn start(&mut self, word: &str, place: &Place) {
        let shown = self.shown(place);
        let out = &mut self.conn.out;
        out.extend_from_slice(format!("* {word} ").as_bytes());
        write::mailbox(out, &shown);
    }

    fn get_acl(&mut self, name: &Name) -> Result<Answer, Answer> {
        let place = self.place(name)?;
        let acl = self.acl(&place)?;
        // a public folder has no owner
        let entries = if self.spaces.owner(&place).is_some() { acl.entries() } else { acl.written() };
        self.start("ACL", &place);
        for Entry { who, negative, rights } in entries {
            let identifier = self.identifier(&place, &who);
            let sign = if negative { "-" } else { "" };
            self.conn.out.push(b' ');
            write::mailbox(&mut self.conn.out, &format!("{sign}{identifier}"));
            self.conn.out.push(b' ');
            write::astring(&mut self.conn.out, rights.shown().as_bytes());
        }
        self.conn.out.extend_from_slice(b"\r\n");
        Ok(Answer::ok("GETACL completed"))
    }

    fn my_rights(&mut self, name: &Name) -> Result<Answer, Answer> {
        let place = self.place(name)?;
        let rights = self.rights(&place)?;
        self.tell_my_rights(&place, rights);
        Ok(Answer::ok("MYRIGHTS completed"))
    }

    pub(super) fn tell_my_rights(&mut self, place: &Place, rights: Rights) {
        self.start("MYRIGHTS", place);
        self.conn.out.extend_from_slice(format!(" {}\r\n", rights.shown()).as_bytes());
    }

    /// RFC 4314 3.7: what an identifier always has, then what may be given one by one.
    fn list_rights(&mut self, name: &Name, identifier: &str) -> Result<Answer, Answer> {
        let place = self.place(name)?;
        self.demand(&place, "a")?;
        let (who, _) = self.who(&place, identifier);
        let sets = match who {
            Who::Owner => "la r w s t i p e k x c d",
            _ => "\"\" l r w s t i p e k x a c d",
        };
        self.start("LISTRIGHTS", &place);
        self.conn.out.push(b' ');
        write::mailbox(&mut self.conn.out, identifier);
        self.conn.out.extend_from_slice(format!(" {sets}\r\n").as_bytes());
        Ok(Answer::ok("LISTRIGHTS completed"))
    }

    fn set_acl(&mut self, name: &Name, identifier: &str, change: Change, rights: &str) -> Result<Answer, Answer> {
        let place = self.place(name)?;
        let wanted = Rights::parse(rights).ok_or_else(|| Answer::bad("Unknown right"))?; // RFC 4314 3.1
        let (who, negative) = self.who(&place, identifier);
        let apply = |had: Rights| match change {
            Change::Set => wanted,
            Change::Add => had.with(wanted),
            Change::Remove => had.without(wanted),
        };
        self.acl(&place)?.set(&who, negative, apply).map_err(|e| Answer::of(&e))?;
        self.rights_changed(&place);
        Ok(Answer::ok("SETACL completed"))
    }

    fn delete_acl(&mut self, name: &Name, identifier: &str) -> Result<Answer, Answer> {
        let place = self.place(name)?;
        let (who, negative) = self.who(&place, identifier);
        self.acl(&place)?.remove(&who, negative).map_err(|e| Answer::of(&e))?;
        self.rights_changed(&place);
        Ok(Answer::ok("DELETEACL completed"))
    }

    fn rights_changed(&mut self, place: &Place) {
        if place.is_own() {
            // the file of UIDs is there before somebody comes who may not make it
            let _ = self.spaces.own.status_without_size(&place.folder);
            crate::shares::note(&self.config, &self.owner.user, &self.spaces.own);
        }
        let rights = self.selected.as_ref().map(|s| self.rights(&s.place));
        if let (Some(selected), Some(Ok(rights))) = (&mut self.selected, rights) {
            selected.rights = rights;
        }
    }

    /// An identifier of RFC 4314 2: `$name` is a group and `!$name` a group before all others, as in Dovecot; the name of whose
    /// mail it is means the owner.
    fn who(&self, place: &Place, identifier: &str) -> (Who, bool) {
        let (negative, name) = identifier.strip_prefix('-').map_or((false, identifier), |rest| (true, rest));
        let who = match name {
            "anyone" => Who::Anyone,
            "authenticated" => Who::Authenticated,
            "owner" => Who::Owner,
            name if self.spaces.owner(place) == Some(name) => Who::Owner,
            name => match (name.strip_prefix("!$"), name.strip_prefix('$')) {
                (Some(group), _) => Who::GroupOverride(group.to_owned()),
                (None, Some(group)) => Who::Group(group.to_owned()),
                (None, None) => Who::User(name.to_owned()),
            },
        };
        (who, negative)
    }

    fn identifier(&self, place: &Place, who: &Who) -> String {
        match who {
            Who::Anyone => "anyone".into(),
            Who::Authenticated => "authenticated".into(),
            Who::Owner => self.spaces.owner(place).unwrap_or("owner").to_owned(),
            Who::User(name) => name.clone(),
            Who::Group(name) => format!("${name}"),
            Who::GroupOverride(name) => format!("!${name}"),
        }
    }
}

/// RFC 5530 3
pub fn refusal() -> Answer {
    Answer::no(Code::NoPerm, "Not permitted")
}

/// The flags that rights let a user set: `s` for Seen, `t` for Deleted, `w` for all others (RFC 4314 2.1).
pub fn settable(rights: Rights) -> (Flags, bool) {
    let mut flags = 0;
    if rights.has("s") {
        flags |= Flags::SEEN.0;
    }
    if rights.has("t") {
        flags |= penny_imap::flag::DELETED;
    }
    if rights.has("w") {
        flags |= penny_imap::flag::ANSWERED | penny_imap::flag::FLAGGED | penny_imap::flag::DRAFT;
    }
    (Flags(flags), rights.has("w"))
}

/// A set of flags without those that may not be set.
pub fn permitted(rights: Rights, set: FlagSet) -> FlagSet {
    let (flags, keywords) = settable(rights);
    FlagSet { flags: Flags(set.flags.0 & flags.0), keywords: if keywords { set.keywords } else { Vec::new() } }
}
