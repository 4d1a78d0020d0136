//! The passwords in the users table, and the app passwords beside it.
//!
//! Format      Dovecot's passwd-file and app-passwords, or their compiled forms, read by penny-tables
//! Invariants  read anew for each process, or when a file has changed since the process read it that this one is a copy of: a
//!             changed password counts at once; of a compiled table only what is asked for
//! Not here    uid, home and quota of a user: `lookup` tells them, and the password where a program stands in place of
//!             the table

use penny_base::{Config, Failure, log};
use penny_sasl::{Password, Secret};
use penny_sys::files::Stamp;
use penny_tables::apps::Apps;
use penny_tables::behind::{Behind, Question};
use penny_tables::compile::{self, Compiled, SAMPLES, SECRET};
use penny_tables::source::{self, From};
use penny_tables::users::Users as Table;
use std::io;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Largest users table read, octets.
const FILE_MAX: u64 = 256 << 20;

/// The tables of passwords.
pub struct Users {
    table: Table,
    /// Why the table could not tell, where it is compiled.
    question: Question,
    kind: Kind,
    apps: Apps,
    /// Whether every user who can log in has SCRAM keys, or a password to make them from.
    pub all_have_scram: bool,
}

/// The tables that a waiting process keeps for its copies.
#[derive(Default)]
pub struct Kept {
    users: Option<Users>,
    seen: Vec<Option<Stamp>>,
}

/// How long ago a file must have changed to be kept: one that changes twice within a tick of the clock looks the same.
const SETTLED: Duration = Duration::from_secs(2);

impl Kept {
    /// Reads the tables again where a file of them has changed.
    pub fn refresh(&mut self, config: &Config) {
        if config.auth.source == "users" {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            self.refresh_at(&config.paths.tables, now);
        } else {
            *self = Kept::default();
        }
    }

    fn refresh_at(&mut self, directory: &Path, now: Duration) {
        let files = NAMES.iter().flat_map(|name| [directory.join(name), compile::path(directory, name)]);
        let seen: Option<Vec<Option<Stamp>>> = files.map(|path| Stamp::at(&path).ok()).collect();
        let seen = seen.unwrap_or_default();
        if self.users.is_some() && seen == self.seen {
            return;
        }
        let settled = !seen.is_empty() && seen.iter().flatten().all(|stamp| is_settled(stamp, now));
        self.users = if settled { Users::open(directory).ok() } else { None };
        self.seen = seen;
    }

    /// What is kept, if anything is.
    pub fn into_users(self) -> Option<Users> {
        self.users
    }
}

fn is_settled(stamp: &Stamp, now: Duration) -> bool {
    let changed = Duration::from_secs(u64::try_from(stamp.ctime).unwrap_or(0));
    now.checked_sub(changed).is_some_and(|age| age > SETTLED)
}

/// What the table was made from.
enum Kind {
    Text(String),
    Compiled(Rc<Compiled>),
    /// Only lookup can ask it; the table is empty.
    Program,
}

/// The two tables.
const NAMES: [&str; 2] = ["users", "app-passwords"];

/// The password field of a user who may not log in.
const LOCKED: &str = "!";

impl Users {
    /// Opens both tables; a missing file is an empty table.
    pub fn open(directory: &Path) -> Result<Users, Failure> {
        let at = |name: &'static str| move |e: io::Error| Failure::io(name, &e);
        let question = Question::default();
        let (table, kind) = match source::of(directory, "users").map_err(at("users"))? {
            From::Program(_) => (Table::default(), Kind::Program),
            From::Compiled(compiled) => {
                let behind = Behind::new("users", compiled.clone(), &question);
                (Table::behind(behind), Kind::Compiled(compiled))
            }
            From::Nothing | From::Text => {
                let text = contents(&directory.join("users"))?;
                (Table::parse(&text).0, Kind::Text(text))
            }
        };
        let apps = match source::of(directory, "app-passwords").map_err(at("app-passwords"))? {
            From::Compiled(compiled) => Apps::compiled(compiled),
            From::Program(_) => {
                log::warning(
                    "table",
                    None,
                    &[("file", &"app-passwords"), ("why", &"a program is not asked for these")],
                );
                Apps::default()
            }
            From::Nothing | From::Text => Apps::parse(&contents(&directory.join("app-passwords"))?).0,
        };
        let mut users = Users { table, question, kind, apps, all_have_scram: false };
        users.all_have_scram = users.have_all_scram();
        Ok(users)
    }

    /// lookup has to be asked for password fields.
    pub fn is_program(&self) -> bool {
        matches!(self.kind, Kind::Program)
    }

    /// The label of the app password that fits, for a login with this password field. A login that is locked has none;
    /// one whose field is empty has no password, but is not locked.
    pub fn app(&self, login: &str, field: Option<&str>, given: &Secret) -> Result<Option<String>, Failure> {
        let locked = |field: &str| !field.is_empty() && matches!(Password::parse(field), Some(Password::None));
        if field.is_none_or(locked) {
            return Ok(None);
        }
        let fits = |field: &str| Password::parse(field).and_then(|p| p.verify(given)) == Some(true);
        let apps = self.apps.of(login).map_err(|e| Failure::io("app-passwords", &e))?;
        Ok(apps.into_iter().find(|app| fits(&app.password)).map(|app| app.label))
    }

    /// The password field of a user by its canonical login.
    pub fn field(&self, login: &str) -> Result<Option<String>, Failure> {
        if self.is_program() {
            return Err(Failure::temporary("4.3.0", "a program has the passwords"));
        }
        let found = self.table.find(login, false);
        let field = found.map(|u| if u.no_login { LOCKED.into() } else { u.password.clone() });
        match self.question.trouble() {
            Some(why) => Err(Failure::temporary("4.3.5", "users").with_detail(why)),
            None => Ok(field),
        }
    }

    /// The passwords of those who can log in; of a compiled table one of each scheme. Each is read when it is asked for:
    /// there may be many.
    fn passwords(&self) -> impl Iterator<Item = Password> {
        let samples = match &self.kind {
            Kind::Compiled(compiled) => compiled.text(SAMPLES).ok().flatten().unwrap_or_default(),
            Kind::Text(_) | Kind::Program => String::new(),
        };
        let samples: Vec<String> = samples.lines().map(str::to_string).collect();
        // only a table of text has users to go through
        let fields = self.table.iter().filter(|user| !user.no_login).map(|user| user.password.clone()).chain(samples);
        fields.filter_map(|f| Password::parse(&f)).filter(|p| !matches!(p, Password::None))
    }

    fn have_all_scram(&self) -> bool {
        // a client that chose SCRAM could not log in with an app password: the server must name one salt
        let mut passwords = self.passwords().peekable();
        self.apps.is_empty()
            && passwords.peek().is_some()
            && passwords.all(|p| matches!(p, Password::Plain(_) | Password::Scram(_)))
    }

    /// Spends the time a wrong password takes, for a user that does not exist.
    pub fn waste(&self, given: &Secret) {
        match self.passwords().next() {
            Some(sample) => drop(sample.verify(given)),
            // nothing is known of the schemes a program answers with; this is what new passwords have
            None if self.is_program() => drop(given.text().and_then(|t| penny_sasl::argon2id(t, b"sixteen octets.."))),
            None => {}
        }
    }

    /// What outsiders do not know.
    pub fn secret(&self) -> &[u8] {
        match &self.kind {
            Kind::Text(text) => text.as_bytes(),
            Kind::Compiled(compiled) => compiled.octets(SECRET).ok().flatten().unwrap_or_default(),
            Kind::Program => &[],
        }
    }
}

fn contents(path: &Path) -> Result<String, Failure> {
    match penny_sys::fs::read_limited(path, FILE_MAX) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        Err(e) => Err(Failure::io(path.display(), &e)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_follows_the_files() {
        let t = penny_testkit::TempDir::new();
        let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let later = || now() + Duration::from_secs(10);
        let field = |kept: &Kept| kept.users.as_ref().map(|u| u.field("ann").unwrap_or_default().unwrap_or_default());
        let mut kept = Kept::default();
        std::fs::write(t.join("users"), "ann:{PLAIN}one:::::::\n").unwrap();
        kept.refresh_at(t.path(), now());
        assert_eq!(field(&kept), None, "it could change once more within the tick");
        kept.refresh_at(t.path(), later());
        assert_eq!(field(&kept).as_deref(), Some("{PLAIN}one"));
        std::fs::write(t.join("users"), "ann:{PLAIN}two and more:::::::\n").unwrap();
        kept.refresh_at(t.path(), later());
        assert_eq!(field(&kept).as_deref(), Some("{PLAIN}two and more"));
        std::fs::write(t.join("app-passwords"), "").unwrap();
        kept.refresh_at(t.path(), now());
        assert_eq!(field(&kept), None, "the other table counts as well");
        std::fs::remove_file(t.join("users")).unwrap();
        kept.refresh_at(t.path(), later());
        assert_eq!(field(&kept).as_deref(), Some(""), "a missing file is an empty table");
    }
}
