//! The first lines of the tables: the domain, the postmaster, the way out.

use super::Options;
use super::config::postmaster;
use super::plan::Plan;
use crate::table;
use penny_base::{Config, Failure};

/// Fills them; returns what the admin must be told at the end.
pub fn fill(plan: &mut Plan, config: &Config, options: &Options) -> Result<Option<String>, Failure> {
    line(plan, config, "domains", &options.domain, &format!("{} local", options.domain))?;
    if let Some(host) = &options.smarthost {
        line(plan, config, "routes", "*", &format!("* smtp:{host}"))?;
    }
    let login = postmaster(options);
    for name in ["postmaster", "abuse", "root"] {
        // an alias that names itself means the mailbox
        if login.split('@').next() != Some(name) {
            line(plan, config, "aliases", name, &format!("{name}: {login}"))?;
        }
    }
    if has(config, "users", &login) {
        plan.step(&format!("user {login}"), false, || Ok(()))?;
        return Ok(None);
    }
    let mut told = None;
    plan.step(&format!("user {login}"), true, || {
        let password = options.password.clone().unwrap_or_else(crate::user::generate);
        crate::user::put_new(config, &login, &password)?;
        if options.password.is_some() {
            return Ok(());
        }
        told = Some(format!("{login} logs in with the password {password}\n"));
        Ok(())
    })?;
    Ok(told)
}

fn has(config: &Config, name: &str, key: &str) -> bool {
    // without the lock: a dry run makes no file, not even that one
    let text = table::text(config, name).unwrap_or_default();
    text.lines().any(|l| l.split([':', ' ', '\t']).next().is_some_and(|k| k.eq_ignore_ascii_case(key)))
}

fn line(plan: &mut Plan, config: &Config, name: &str, key: &str, text: &str) -> Result<(), Failure> {
    plan.step(&format!("{name}: {text}"), !has(config, name, key), || {
        let mut edit = table::open(config, name)?;
        edit.put(key, text);
        table::save(config, edit, name)
    })
}
