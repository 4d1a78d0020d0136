//! CREATE, DELETE, RENAME, SUBSCRIBE, NAMESPACE.
//!
//! Standards   RFC 3501 6.3.3-7, RFC 2342, RFC 6154 3 (CREATE USE), RFC 8474 4.2 (MAILBOXID in the CREATE answer)
use super::Session;
use super::answer::Answer;
use penny_imap::command::Name;
use penny_imap::{Code, write};
use penny_maildir::{FolderName, Mode};

impl Session {
    /// Makes the folders of `mail.autocreate` in a new Maildir and subscribes to them.
    pub(super) fn autocreate(&self) {
        for name in &self.config.mail.autocreate {
            let made = FolderName::from_utf8(name, &self.style).and_then(|folder| {
                self.store.create(&folder)?;
                self.store.subscribe(&folder, true)
            });
            if let Err(e) = made {
                penny_base::log::warning("autocreate", None, &[("folder", name), ("why", &e)]);
            }
        }
    }

    pub(super) fn namespace(&mut self) -> Answer {
        let mut line = b"* NAMESPACE ((".to_vec();
        write::string(&mut line, self.style.prefix.as_bytes());
        line.push(b' ');
        write::string(&mut line, self.style.separator.to_string().as_bytes());
        line.extend_from_slice(b")) NIL NIL\r\n");
        self.conn.out.extend_from_slice(&line);
        Answer::ok("NAMESPACE completed")
    }

    pub(super) fn create(&mut self, name: &Name, special_use: &[String]) -> Answer {
        let folder = match self.folder(name) {
            Ok(folder) => folder,
            Err(no) => return no,
        };
        if let Err(no) = self.demand_create(&folder) {
            return no;
        }
        if let Some(no) = self.check_special_use(special_use) {
            return no;
        }
        if let Err(e) = self.store.create(&folder) {
            return Answer::of(&e);
        }
        if let Err(no) = self.set_special_use(&folder, special_use) {
            return no;
        }
        match self.store.mailbox(&folder, Mode::Target) {
            Ok(mailbox) => Answer::ok_with(Code::MailboxId(mailbox.status().guid.to_string()), "CREATE completed"),
            Err(e) => Answer::of(&e),
        }
    }

    pub(super) fn delete(&mut self, name: &Name) -> Answer {
        let folder = match self.folder(name) {
            Ok(folder) => folder,
            Err(no) => return no,
        };
        if let Err(no) = self.demand(&folder, "x") {
            return no;
        }
        if self.selected.as_ref().is_some_and(|s| s.name == folder) {
            // RFC 3501 leaves it open; a session in a mailbox that is gone helps nobody
            self.selected = None;
            write::status(&mut self.conn.out, "*", "OK", Some(&Code::Closed), "Mailbox deleted");
        }
        match self.store.delete(&folder) {
            Ok(()) => Answer::ok("DELETE completed"),
            Err(e) => Answer::of(&e),
        }
    }

    pub(super) fn rename(&mut self, from: &Name, to: &Name) -> Answer {
        let (from, to) = match (self.folder(from), self.folder(to)) {
            (Ok(from), Ok(to)) => (from, to),
            (Err(no), _) | (_, Err(no)) => return no,
        };
        // a level above folders need not exist itself
        if let Err(no) = self.demand_if_there(&from, "x").and_then(|_| self.demand_create(&to)) {
            return no;
        }
        if let Err(e) = self.store.rename(&from, &to) {
            return Answer::of(&e);
        }
        if self.selected.as_ref().is_some_and(|s| !from.is_inbox() && (s.name == from || s.name.is_below(&from))) {
            self.selected = None;
            write::status(&mut self.conn.out, "*", "OK", Some(&Code::Closed), "Mailbox renamed");
        }
        Answer::ok("RENAME completed")
    }

    pub(super) fn subscribe(&mut self, name: &Name, on: bool) -> Answer {
        let folder = match self.folder(name) {
            Ok(folder) => folder,
            Err(no) => return no,
        };
        match self.store.subscribe(&folder, on) {
            Ok(_) => Answer::ok(if on { "SUBSCRIBE completed" } else { "UNSUBSCRIBE completed" }),
            Err(e) => Answer::of(&e),
        }
    }
}
