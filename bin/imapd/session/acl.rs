//! Rights: GETACL, SETACL, DELETEACL, LISTRIGHTS, MYRIGHTS, and what the owner's own rights allow.
//!
//! Standards   RFC 4314 (3 commands, 4 which right a command needs), RFC 8440 (LIST-MYRIGHTS)
//! Invariants  a command that lacks a right changes nothing; parts of STORE and APPEND that lack one are left out (RFC 4314 4)
//! Not here    the file: penny_maildir::acl
use super::Session;
use super::answer::Answer;
use penny_imap::command::Name;
use penny_imap::command::acl::{AclCommand, Change};
use penny_imap::{Code, write};
use penny_maildir::acl::{Acl, Entry, Rights, Who};
use penny_maildir::{FlagSet, Flags, FolderName};

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

    /// What this user may do with a folder.
    pub(super) fn rights(&self, folder: &FolderName) -> Result<Rights, Answer> {
        self.acl(folder).map(|acl| acl.owner_rights(&self.owner.user))
    }

    /// The answer to give where a right is missing.
    pub(super) fn demand(&self, folder: &FolderName, letters: &str) -> Result<Rights, Answer> {
        let rights = self.rights(folder)?;
        if rights.has(letters) { Ok(rights) } else { Err(refusal()) }
    }

    /// CREATE below an existing folder needs `k` there (RFC 4314 4).
    pub(super) fn demand_create(&self, folder: &FolderName) -> Result<(), Answer> {
        match folder.parent() {
            Some(parent) => self.demand_if_there(&parent, "k").map(drop),
            None => Ok(()),
        }
    }

    /// As `demand`; on a folder that is not there all is allowed, for it has no rights of its own.
    pub(super) fn demand_if_there(&self, folder: &FolderName, letters: &str) -> Result<Rights, Answer> {
        if self.store.exists(folder) { self.demand(folder, letters) } else { Ok(Rights::ALL) }
    }

    fn acl(&self, folder: &FolderName) -> Result<Acl, Answer> {
        self.store.acl(folder).map_err(|e| Answer::of(&e))
    }

    fn start(&mut self, word: &str, folder: &FolderName) {
        let shown = self.shown(folder);
        let out = &mut self.conn.out;
        out.extend_from_slice(format!("* {word} ").as_bytes());
        write::mailbox(out, &shown);
    }

    fn get_acl(&mut self, name: &Name) -> Result<Answer, Answer> {
        let folder = self.folder(name)?;
        let entries = self.acl(&folder)?.entries();
        self.start("ACL", &folder);
        for Entry { who, negative, rights } in entries {
            let identifier = self.identifier(&who);
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
        let folder = self.folder(name)?;
        let rights = self.rights(&folder)?;
        self.tell_my_rights(&folder, rights);
        Ok(Answer::ok("MYRIGHTS completed"))
    }

    pub(super) fn tell_my_rights(&mut self, folder: &FolderName, rights: Rights) {
        self.start("MYRIGHTS", folder);
        self.conn.out.extend_from_slice(format!(" {}\r\n", rights.shown()).as_bytes());
    }

    /// RFC 4314 3.7: what an identifier always has, then what may be given one by one.
    fn list_rights(&mut self, name: &Name, identifier: &str) -> Result<Answer, Answer> {
        let folder = self.folder(name)?;
        self.rights(&folder)?;
        let (who, _) = self.who(identifier);
        let sets = match who {
            Who::Owner => "la r w s t i p e k x c d",
            _ => "\"\" l r w s t i p e k x a c d",
        };
        self.start("LISTRIGHTS", &folder);
        self.conn.out.push(b' ');
        write::mailbox(&mut self.conn.out, identifier);
        self.conn.out.extend_from_slice(format!(" {sets}\r\n").as_bytes());
        Ok(Answer::ok("LISTRIGHTS completed"))
    }

    fn set_acl(&mut self, name: &Name, identifier: &str, change: Change, rights: &str) -> Result<Answer, Answer> {
        let folder = self.folder(name)?;
        let wanted = Rights::parse(rights).ok_or_else(|| Answer::bad("Unknown right"))?; // RFC 4314 3.1
        let (who, negative) = self.who(identifier);
        let apply = |had: Rights| match change {
            Change::Set => wanted,
            Change::Add => had.with(wanted),
            Change::Remove => had.without(wanted),
        };
        self.acl(&folder)?.set(&who, negative, apply).map_err(|e| Answer::of(&e))?;
        self.rights_changed();
        Ok(Answer::ok("SETACL completed"))
    }

    fn delete_acl(&mut self, name: &Name, identifier: &str) -> Result<Answer, Answer> {
        let folder = self.folder(name)?;
        let (who, negative) = self.who(identifier);
        self.acl(&folder)?.remove(&who, negative).map_err(|e| Answer::of(&e))?;
        self.rights_changed();
        Ok(Answer::ok("DELETEACL completed"))
    }

    fn rights_changed(&mut self) {
        let rights = self.selected.as_ref().map(|s| self.rights(&s.name));
        if let (Some(selected), Some(Ok(rights))) = (&mut self.selected, rights) {
            selected.rights = rights;
        }
    }

    /// An identifier of RFC 4314 2: `$name` is a group and `!$name` a group before all others, as in Dovecot; our own name is
    /// the owner.
    fn who(&self, identifier: &str) -> (Who, bool) {
        let (negative, name) = identifier.strip_prefix('-').map_or((false, identifier), |rest| (true, rest));
        let who = match name {
            "anyone" => Who::Anyone,
            "authenticated" => Who::Authenticated,
            "owner" => Who::Owner,
            name if name == self.owner.user => Who::Owner,
            name => match (name.strip_prefix("!$"), name.strip_prefix('$')) {
                (Some(group), _) => Who::GroupOverride(group.to_owned()),
                (None, Some(group)) => Who::Group(group.to_owned()),
                (None, None) => Who::User(name.to_owned()),
            },
        };
        (who, negative)
    }

    fn identifier(&self, who: &Who) -> String {
        match who {
            Who::Anyone => "anyone".into(),
            Who::Authenticated => "authenticated".into(),
            Who::Owner => self.owner.user.clone(),
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
