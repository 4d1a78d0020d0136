//! Who may start what as whom: the whole table.
//!
//! | program | may be asked by | runs as |
//! |---|---|---|
//! | checkauth | net | auth; root where PAM or checkpassword programs need it |
//! | session:imapd, :pop3d, :sieved | net | the user that checkauth granted on this connection |
//! | prelogin:imapd | a user's session | net |
//! | deliver | queue: the id it names, at least min_uid or the mail id | that id |
//! | deliver | net (LMTP): only the id that lookup tells for the user it names | that id |
//! | remote | queue | out |
//! | callout (remote --verify, for a relay domain) | net | out |
//! | filter:NAME | net, queue | filter, or sign where the filter holds keys |
//! | lookup, enqueue (one connection) | net, queue, auth, filter, the mail id, users | lookup, queue |
//!
//! Invariants  1. never uid 0, except checkauth for PAM and checkpassword   2. never below min_uid, except the ids of the table
//!             3. an ordinary user's spawn starts everything as that user

use penny_base::services::{Lookup, Request, lookup::User};
use penny_base::{Config, Failure};
use penny_sys::ids::{self, Id};
use std::cell::RefCell;
use std::path::PathBuf;

/// A start that the table allows.
#[derive(Debug)]
pub struct Allowed {
    /// The program.
    pub path: PathBuf,
    /// Arguments in front of the client's.
    pub args: Vec<String>,
    /// Who it becomes; `None` in the hands of an ordinary user.
    pub become_id: Option<(Id, Vec<u32>)>,
    /// Environment that wins over the client's.
    pub environment: Vec<(String, String)>,
    /// Gets a descriptor to tell spawn whom it authenticated.
    pub grants: bool,
    /// Ends with the connection that asked for it.
    pub dies_with_client: bool,
    /// Counts as a session of this user.
    pub session_of: Option<String>,
    /// Working directory.
    pub directory: Option<PathBuf>,
    /// One process of it may wait and copy itself for each start: it always runs as the same id.
    pub warm: bool,
}

/// The ids of the configuration, looked up once.
pub struct Table {
    config: Config,
    root: bool,
    auth: Id,
    net: Id,
    queue: Id,
    lookup: Id,
    mail: Id,
    out: Id,
    filter: Id,
    sign: Id,
    /// Of the shared id, asked of NSS once.
    mail_groups: Vec<u32>,
    /// Kept for the next question.
    asking: RefCell<Option<Lookup>>,
}

/// Why a start is refused.
type Refusal = String;

impl Table {
    pub fn new(config: Config) -> Result<Table, Failure> {
        let id = |role: &str| config.id(role).map_err(|e| Failure::config(format!("ids: {e}")));
        let i = &config.ids;
        let mail = id(&i.mail)?;
        Ok(Table {
            mail_groups: groups(mail),
            asking: RefCell::new(None),
            root: ids::is_root(),
            auth: id(&i.auth)?,
            net: id(&i.net)?,
            queue: id(&i.queue)?,
            lookup: id(&i.lookup)?,
            mail,
            out: id(&i.out)?,
            filter: id(&i.filter)?,
            sign: id(&i.sign)?,
            config,
        })
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The id of the programs that talk to the network.
    pub fn net(&self) -> Id {
        self.net
    }

    /// True for a uid that a mailbox may have.
    pub fn is_user(&self, uid: u32) -> bool {
        !self.root || uid == self.mail.uid || (uid != 0 && uid >= self.config.ids.min_uid && !self.is_role(uid))
    }

    /// The id of all users without one of their own.
    fn is_shared(&self, id: Id) -> bool {
        !self.root || id == self.mail
    }

    fn is_role(&self, uid: u32) -> bool {
        [self.auth, self.net, self.queue, self.lookup, self.out, self.filter, self.sign].iter().any(|i| i.uid == uid)
    }

    /// Who may ask at all; an ordinary user's spawn serves only that user.
    pub fn may_connect(&self, uid: u32) -> bool {
        if !self.root {
            return uid == ids::own_uid();
        }
        uid == 0 || uid == self.net.uid || uid == self.queue.uid || uid == self.mail.uid || self.is_user(uid)
    }

    fn plain(&self, program: &str, id: Id) -> Allowed {
        Allowed {
            path: self.config.program(program),
            args: Vec::new(),
            become_id: self.root.then(|| (id, vec![id.gid])),
            environment: Vec::new(),
            grants: false,
            dies_with_client: false,
            session_of: None,
            directory: None,
            warm: false,
        }
    }

    /// Judges one request of a client.
    pub fn judge(&self, caller: u32, request: &Request, grant: Option<&User>) -> Result<Allowed, Refusal> {
        let (kind, name) = request.program.split_once(':').unwrap_or((request.program.as_str(), ""));
        let by = |allowed: &[u32]| -> Result<(), Refusal> {
            let yes = !self.root || caller == 0 || allowed.contains(&caller);
            if yes { Ok(()) } else { Err(format!("uid {caller} may not start {}", request.program)) }
        };
        match kind {
            "checkauth" => {
                by(&[self.net.uid])?;
                Ok(self.checkauth())
            }
            "session" => {
                by(&[self.net.uid])?;
                self.session(name, grant.ok_or("nobody is authenticated on this connection")?)
            }
            "prelogin" => {
                let program = conversation(name)?;
                Ok(self.plain(program, self.net))
            }
            "deliver" => {
                by(&[self.queue.uid, self.net.uid])?;
                self.deliver(caller, request)
            }
            "remote" => {
                by(&[self.queue.uid])?;
                Ok(self.plain("remote", self.out))
            }
            "callout" => {
                by(&[self.net.uid])?;
                // what the client adds is the address and nothing else
                let args = vec!["--verify".into(), "--".into()];
                Ok(Allowed { args, dies_with_client: true, ..self.plain("remote", self.out) })
            }
            "filter" => {
                by(&[self.net.uid, self.queue.uid])?;
                self.filter(name)
            }
            "lookup" => Ok(self.plain("lookup", self.lookup)),
            "enqueue" => Ok(self.plain("enqueue", self.queue)),
            _ => Err(format!("no such program: {}", request.program)),
        }
    }

    fn checkauth(&self) -> Allowed {
        let root = Id { uid: 0, gid: 0 };
        let as_root = matches!(self.config.auth.source.as_str(), "pam" | "checkpassword");
        let id = if as_root { root } else { self.auth };
        Allowed { grants: true, dies_with_client: true, warm: true, ..self.plain("checkauth", id) }
    }

    fn session(&self, name: &str, user: &User) -> Result<Allowed, Refusal> {
        let program = conversation(name)?;
        if !self.is_user(user.id.uid) {
            return Err(format!("uid {} is no user", user.id.uid));
        }
        let mut environment = user_environment(user);
        if self.root && user.id == self.mail {
            environment.push((penny_base::owner::SHARED.into(), "1".into()));
        }
        Ok(Allowed {
            args: vec!["--session".into()],
            become_id: self.root.then(|| (user.id, self.groups(user.id))),
            environment,
            session_of: Some(user.name.clone()),
            directory: Some(user.home.clone()),
            warm: self.is_shared(user.id),
            ..self.plain(program, user.id)
        })
    }

    fn groups(&self, id: Id) -> Vec<u32> {
        if id == self.mail { self.mail_groups.clone() } else { groups(id) }
    }

    fn deliver(&self, caller: u32, request: &Request) -> Result<Allowed, Refusal> {
        let id = request.id.ok_or("deliver needs an id")?;
        if !self.is_user(id.uid) {
            return Err(format!("uid {} is no user", id.uid));
        }
        let mut allowed = self.plain("deliver", id);
        let instruction = request.args.iter().any(|a| a == "--pipe" || a == "--file");
        allowed.warm = self.is_shared(id) && !instruction;
        if self.root && caller == self.net.uid {
            allowed.environment = user_environment(&self.confirm(&request.user, id)?);
        } else {
            // the queue asked lookup itself; spawn lets nobody else set these
            let own = request.environment.iter().filter_map(|pair| pair.split_once('='));
            let own = own.filter(|(name, _)| DELIVERY_VARIABLES.contains(name));
            allowed.environment = own.map(|(n, v)| (n.to_string(), v.to_string())).collect();
        }
        if self.root && id.uid != self.mail.uid {
            // a system user: all of their groups
            if let Ok(Some(account)) = ids::account_by_uid(id.uid) {
                allowed.become_id = Some((id, ids::groups_of(&account.name, id.gid)));
            }
        }
        Ok(allowed)
    }

    /// The network may deliver only to whom lookup names: its word on the uid is not enough.
    fn confirm(&self, user: &str, id: Id) -> Result<User, Refusal> {
        match self.ask_lookup(user) {
            Ok(Some(known)) if known.id == id => Ok(known),
            Ok(_) => Err(format!("{user} is not uid {}", id.uid)),
            Err(f) => Err(f.to_string()),
        }
    }

    /// Over the connection of the last question; over a new one where lookup was restarted since.
    fn ask_lookup(&self, user: &str) -> Result<Option<User>, Failure> {
        let kept = self.asking.take();
        let answer = kept.and_then(|mut lookup| lookup.user(user).ok().map(|answer| (lookup, answer)));
        let (lookup, known) = match answer {
            Some(answered) => answered,
            None => {
                let mut lookup = Lookup::connect(&self.config, None).map_err(|e| Failure::io("lookup", &e))?;
                let known = lookup.user(user)?;
                (lookup, known)
            }
        };
        self.asking.replace(Some(lookup));
        Ok(known)
    }

    fn filter(&self, name: &str) -> Result<Allowed, Refusal> {
        let filter = self.config.filter.iter().find(|f| f.name == name).ok_or("no such filter")?;
        let (program, args) = filter.command.split_first().ok_or("the filter has no command")?;
        let id = if filter.sign { self.sign } else { self.filter };
        Ok(Allowed { args: args.to_vec(), dies_with_client: true, ..self.plain(program, id) })
    }
}

fn conversation(name: &str) -> Result<&str, Refusal> {
    match name {
        "imapd" | "pop3d" | "sieved" => Ok(name),
        _ => Err(format!("no such session: {name}")),
    }
}

/// All groups of a system user.
fn groups(id: Id) -> Vec<u32> {
    match ids::account_by_uid(id.uid) {
        Ok(Some(account)) => ids::groups_of(&account.name, id.gid),
        _ => vec![id.gid],
    }
}

/// What the queue may tell `deliver` beside plain variables.
const DELIVERY_VARIABLES: [&str; 3] = ["PENNYPOST_SHELL_OK", "PENNYPOST_QUOTA_KB", "PENNYPOST_QUOTA_MESSAGES"];

/// What a session knows of its user.
pub fn user_environment(user: &User) -> Vec<(String, String)> {
    [
        ("USER", user.name.clone()),
        ("LOGNAME", user.name.clone()),
        ("HOME", user.home.to_string_lossy().into_owned()),
        ("MAILDIR", user.maildir.to_string_lossy().into_owned()),
        ("PENNYPOST_SHELL_OK", u8::from(user.shell_ok).to_string()),
        ("PENNYPOST_QUOTA_KB", user.quota_kb.to_string()),
        ("PENNYPOST_QUOTA_MESSAGES", user.quota_messages.to_string()),
    ]
    .map(|(n, v)| (n.to_string(), v))
    .to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_conversations() {
        assert!(conversation("imapd").is_ok());
        assert!(conversation("../sh").is_err());
    }
}
