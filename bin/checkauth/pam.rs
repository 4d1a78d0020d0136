//! Passwords that PAM knows.
//!
//! Invariants  the mailbox is that of lookup: PAM only says whether the password is right and the account may be used
//! Trust       modules such as pam_unix read what only root may read, so checkauth runs as root then

use crate::backend::Denied;
use penny_base::Config;
use penny_sasl::Secret;
use penny_sys::pam::{self, Outcome, Question};

/// Checks a password; gives the name PAM ended with.
pub fn check(config: &Config, user: &str, password: &Secret, host: &str) -> Result<String, Denied> {
    let question = Question {
        service: &config.auth.pam_service,
        directory: &config.auth.pam_directory,
        user,
        password: password.expose(),
        host,
    };
    match pam::ask(&question) {
        Outcome::Yes(name) => Ok(name),
        Outcome::No => Err(Denied::Failed),
        Outcome::Expired => Err(Denied::Expired),
        Outcome::Unavailable(why) => Err(Denied::Unavailable(why)),
    }
}
