//! CREATE, DELETE, RENAME, SUBSCRIBE.
//!
//! Standards   RFC 3501 6.3.3-7, RFC 6154 3 (CREATE USE), RFC 8474 4.2 (MAILBOXID in the CREATE answer)
use super::Session;
use super::answer::Answer;
use super::spaces::Place;
use penny_imap::command::Name;
use penny_imap::{Code, write};
use penny_maildir::{FolderName, Maildir, Mode};

impl Session {
    /// Makes the folders of `mail.autocreate` in a new Maildir and subscribes to them.
    pub(super) fn autocreate(&self) {
        for name in &self.config.mail.autocreate {
            let made = FolderName::from_utf8(name, &self.spaces.style).and_then(|folder| {
                self.spaces.own.create(&folder)?;
                self.spaces.own.subscribe(&folder, true)
            });
            if let Err(e) = made {
                penny_base::log::warning("autocreate", None, &[("folder", name), ("why", &e)]);
            }
        }
    }

    pub(super) fn create(&mut self, name: &Name, special_use: &[String]) -> Answer {
        let place = match self.place(name) {
            Ok(place) => place,
            Err(no) => return no,
        };
        if let Err(no) = self.demand_create(&place) {
            return no;
        }
        if let Some(no) = self.check_special_use(&place, special_use) {
            return no;
        }
        let store = self.spaces.store(&place);
        let made = store.create(&place.folder);
        if let Err(e) = made.and_then(|dir| self.inherit_rights(&place, &dir)) {
            return Answer::of(&e);
        }
        if let Err(no) = self.set_special_use(&place, special_use) {
            return no;
        }
        match store.mailbox(&place.folder, Mode::Target) {
            Ok(mailbox) => Answer::ok_with(Code::MailboxId(mailbox.status().guid.to_string()), "CREATE completed"),
            Err(e) => Answer::of(&e),
        }
    }

    /// RFC 4314 4 leaves it to us: the rights of the mailbox above, as in Dovecot.
    fn inherit_rights(&self, place: &Place, dir: &Maildir) -> penny_maildir::Result<()> {
        match place.parent().filter(|parent| self.spaces.exists(parent)) {
            Some(parent) => self.spaces.acl(&parent)?.inherit(dir),
            None => Ok(()),
        }
    }

    pub(super) fn delete(&mut self, name: &Name) -> Answer {
        let place = match self.place(name) {
            Ok(place) => place,
            Err(no) => return no,
        };
        if let Err(no) = self.demand(&place, "x") {
            return no;
        }
        if self.selected.as_ref().is_some_and(|s| s.place == place) {
            // RFC 3501 leaves it open; a session in a mailbox that is gone helps nobody
            self.selected = None;
            write::status(&mut self.conn.out, "*", "OK", Some(&Code::Closed), "Mailbox deleted");
        }
        match self.spaces.store(&place).delete(&place.folder) {
            Ok(()) => Answer::ok("DELETE completed"),
            Err(e) => Answer::of(&e),
        }
    }

    pub(super) fn rename(&mut self, from: &Name, to: &Name) -> Answer {
        let (from, to) = match (self.place(from), self.place(to)) {
            (Ok(from), Ok(to)) => (from, to),
            (Err(no), _) | (_, Err(no)) => return no,
        };
        // a level above places need not exist itself
        if let Err(no) = self.demand_if_there(&from, "x").and_then(|_| self.demand_create(&to)) {
            return no;
        }
        let (old, new) = (self.spaces.store(&from), self.spaces.store(&to));
        if !std::ptr::eq(old, new) {
            return Answer::no(Code::Cannot, "A mailbox cannot move between namespaces");
        }
        if let Err(e) = old.rename(&from.folder, &to.folder) {
            return Answer::of(&e);
        }
        if self
            .selected
            .as_ref()
            .is_some_and(|s| !from.folder.is_inbox() && (s.place == from || s.place.is_below(&from)))
        {
            self.selected = None;
            write::status(&mut self.conn.out, "*", "OK", Some(&Code::Closed), "Mailbox renamed");
        }
        Answer::ok("RENAME completed")
    }

    pub(super) fn subscribe(&mut self, name: &Name, on: bool) -> Answer {
        let place = match self.place(name) {
            Ok(place) => place,
            Err(no) => return no,
        };
        match self.spaces.subscribe(&place, on) {
            Ok(_) => Answer::ok(if on { "SUBSCRIBE completed" } else { "UNSUBSCRIBE completed" }),
            Err(e) => Answer::of(&e),
        }
    }
}
