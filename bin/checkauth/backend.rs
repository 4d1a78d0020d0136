//! Who is behind a name and whether the secret is right.
//!
//! Invariants  1. unknown user and wrong password look the same, in answer and (as far as the schemes allow) in time
//!             2. a source that cannot be asked is UNAVAILABLE, never a refusal
//! Sources     the users table; PAM; any checkpassword program; a validator program for tokens

use crate::users::{Kept, Users};
use crate::{checkpassword, oauth, pam};
use penny_base::services::Lookup;
use penny_base::services::lookup::{Answer, User};
use penny_base::{Config, Failure, log};
use penny_sasl::{Mechanism, Password, ScramKeys, Secret, decoy_keys, steady_salt};
use penny_tables::cidr::client_key;
use std::mem::ManuallyDrop;
use std::time::Duration;

/// How long a client that guesses waits for each answer.
const DELAY: Duration = Duration::from_secs(3);
/// Characters of a login that are counted by.
const LOGIN_MAX: usize = 100;

/// Where passwords are.
pub struct Backend {
    config: Box<Config>,
    /// Not taken apart at the end: the process ends too, and a copy would get each page of the table for itself by that.
    table: Option<ManuallyDrop<Users>>,
    lookup: Option<Lookup>,
}

/// An answer that is no success.
#[derive(Debug, PartialEq, Eq)]
pub enum Denied {
    /// Unknown user or wrong secret.
    Failed,
    /// The user may not act as the other one.
    Unauthorised,
    /// The account is locked or has expired.
    Expired,
    /// Not now.
    Unavailable(String),
}

impl From<Failure> for Denied {
    fn from(f: Failure) -> Denied {
        Denied::Unavailable(f.to_string())
    }
}

impl Backend {
    /// A backend as configured; what is not kept is read when it is asked for.
    pub fn new(config: Box<Config>, kept: Kept) -> Backend {
        Backend { config, table: kept.into_users().map(ManuallyDrop::new), lookup: None }
    }

    fn table(&mut self) -> Result<&Users, Failure> {
        if self.table.is_none() {
            self.table = Some(ManuallyDrop::new(Users::open(&self.config.paths.tables)?));
        }
        self.table.as_deref().ok_or_else(|| Failure::temporary("4.3.0", "no users table"))
    }

    fn lookup(&mut self) -> Result<&mut Lookup, Failure> {
        if self.lookup.is_none() {
            // one inetd line or one pipe has no resident lookup
            let lookup = Lookup::connect(&self.config, None).or_else(|_| Lookup::start_own(&self.config));
            self.lookup = Some(lookup.map_err(|e| Failure::io("lookup", &e))?);
        }
        self.lookup.as_mut().ok_or_else(|| Failure::temporary("4.3.0", "no lookup"))
    }

    /// The mechanisms that can work with the passwords there are.
    pub fn mechanisms(&mut self) -> Vec<Mechanism> {
        let scram = self.config.auth.source == "users" && self.table().is_ok_and(|table| table.all_have_scram);
        let tokens = !self.config.auth.oauth_validator.is_empty();
        let configured = self.config.auth.mechanisms.iter().filter_map(|name| Mechanism::parse(name));
        configured
            .filter(|m| match m {
                Mechanism::ScramSha256 | Mechanism::ScramSha256Plus => scram,
                Mechanism::OauthBearer | Mechanism::Xoauth2 => tokens,
                Mechanism::Plain | Mechanism::Login => true,
            })
            .collect()
    }

    /// Checks a password.
    pub fn password(&mut self, user: &str, password: &Secret, ip: &str) -> Result<User, Denied> {
        match self.config.auth.source.as_str() {
            "checkpassword" => checkpassword::check(&self.config, user, password),
            "pam" => self.by_pam(user, password, ip),
            _ => self.by_table(user, password),
        }
    }

    /// lookup knows the mailbox, PAM the password; a user without a mailbox costs PAM's time too.
    fn by_pam(&mut self, user: &str, password: &Secret, ip: &str) -> Result<User, Denied> {
        let found = self.lookup()?.user(user)?;
        let name = found.as_ref().map_or(user, |f| f.name.as_str());
        let told = pam::check(&self.config, name, password, ip)?;
        let found = found.ok_or(Denied::Failed)?;
        // a module may have changed the name
        if told == found.name { Ok(found) } else { self.lookup()?.user(&told)?.ok_or(Denied::Failed) }
    }

    fn by_table(&mut self, user: &str, password: &Secret) -> Result<User, Denied> {
        let found = self.lookup()?.user(user)?;
        let field = match &found {
            Some(found) => self.field(&found.name)?,
            None => None,
        };
        // cheap to check, and no word of a dictionary: these come first
        if let Some(found) = &found
            && let Some(label) = self.table()?.app(&found.name, field.as_deref(), password)?
        {
            log::info("app-password", None, &[("user", &found.name), ("label", &label)]);
            return Ok(found.clone());
        }
        let Some(stored) = field.map(|f| parse(&f, user)).transpose()? else {
            self.table()?.waste(password);
            return Err(Denied::Failed);
        };
        match (stored.verify(password), found) {
            (Some(true), Some(found)) => Ok(found),
            (Some(_), _) if matches!(stored, Password::None) => Err(Denied::Expired),
            (Some(_), _) => Err(Denied::Failed),
            (None, _) => Err(Denied::Unavailable(format!("broken password field of {user}"))),
        }
    }

    /// The password field of a user by its canonical login.
    fn field(&mut self, canonical: &str) -> Result<Option<String>, Denied> {
        if !self.table()?.is_program() {
            return Ok(self.table()?.field(canonical)?);
        }
        match self.lookup()?.ask(&["password", canonical])? {
            Answer::Ok(fields) => Ok(fields.into_iter().next()),
            Answer::No(_) => Ok(None),
            Answer::Temp(why) => Err(Denied::Unavailable(why)),
        }
    }

    /// The SCRAM keys of a user; of one that does not exist or has none, keys that fit nothing.
    pub fn scram_keys(&mut self, user: &str) -> Result<ScramKeys, Denied> {
        let found = self.lookup()?.user(user)?;
        let stored = match &found {
            Some(found) => self.field(&found.name)?.map(|f| parse(&f, user)).transpose()?,
            None => None,
        };
        let secret = self.table()?.secret();
        let keys = stored.and_then(|p| p.scram(&steady_salt(secret, user)));
        keys.or_else(|| decoy_keys(secret, user)).ok_or_else(|| Denied::Unavailable("no keys".into()))
    }

    /// A user that has proved itself by SCRAM.
    pub fn proved(&mut self, user: &str) -> Result<User, Denied> {
        self.lookup()?.user(user)?.ok_or(Denied::Failed)
    }

    /// Checks a token.
    pub fn token(&mut self, user: &str, token: &Secret, mechanism: Mechanism) -> Result<User, Denied> {
        let name = oauth::validate(&self.config.auth.oauth_validator, user, token, mechanism)?;
        self.proved(&name)
    }

    /// The identity to act as must be the one that authenticated.
    pub fn authorise(&mut self, user: &User, authzid: Option<&str>) -> Result<(), Denied> {
        let Some(authzid) = authzid else { return Ok(()) };
        let same = authzid == user.name || self.lookup()?.user(authzid)?.is_some_and(|other| other.name == user.name);
        if same { Ok(()) } else { Err(Denied::Unauthorised) }
    }

    /// Counts a failure of an address (IPv6: its /64) and of a login; who guesses waits, and so does who tries one login
    /// from many places. The right password is never held up.
    pub fn failed(&mut self, ip: &str, user: &str) {
        let user: String = user.chars().take(LOGIN_MAX).flat_map(char::to_lowercase).collect();
        let keys = [format!("authfail/client/{}", client_key(ip)), format!("authfail/login/{user}")];
        let guessing = keys.iter().filter(|key| self.too_many(key)).count() > 0;
        if guessing {
            std::thread::sleep(DELAY);
        }
    }

    fn too_many(&mut self, key: &str) -> bool {
        let limit = self.config.auth.failures_before_delay.to_string();
        match self.lookup().and_then(|lookup| lookup.ask(&["rate", key, &limit, "60", "1"])) {
            Ok(answer) => matches!(answer, Answer::No(_)),
            Err(e) => {
                log::debug("rate", None, &[("why", &e)]);
                false
            }
        }
    }
}

fn parse(field: &str, user: &str) -> Result<Password, Denied> {
    Password::parse(field).ok_or_else(|| Denied::Unavailable(format!("password scheme of {user} is not understood")))
}
