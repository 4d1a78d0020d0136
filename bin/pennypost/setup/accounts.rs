//! The accounts of the roles.

use super::plan::Plan;
use penny_base::{Config, Failure};
use std::process::Command;

/// Makes those that are missing; a role that is a number needs none.
pub fn make(plan: &mut Plan, config: &Config) -> Result<(), Failure> {
    let i = &config.ids;
    for role in [&i.tls, &i.lookup, &i.queue, &i.net, &i.mail, &i.out, &i.filter, &i.sign, &i.auth] {
        let name = role.split(':').next().unwrap_or("");
        if name.parse::<u32>().is_ok() {
            continue;
        }
        let there = penny_sys::ids::account(name).map_err(|e| Failure::io(name, &e))?.is_some();
        plan.step(&format!("account {name}"), !there, || {
            let args = ["--system", "--no-create-home", "--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin"];
            run("useradd", &[&args[..], &["--user-group", name]].concat())
        })?;
    }
    let (lookup, auth) = (i.lookup.split(':').next().unwrap_or(""), i.auth.rsplit(':').next().unwrap_or(""));
    if lookup.parse::<u32>().is_ok() || auth.parse::<u32>().is_ok() {
        return Ok(());
    }
    // lookup reads the users table, which belongs to the group of checkauth
    let gid = penny_sys::ids::group(auth).ok().flatten();
    let account = penny_sys::ids::account(lookup).ok().flatten();
    let member =
        matches!((gid, account), (Some(g), Some(a)) if penny_sys::ids::groups_of(lookup, a.id.gid).contains(&g));
    plan.step(&format!("{lookup} in group {auth}"), !member, || run("usermod", &["-a", "-G", auth, lookup]))
}

/// Runs a program of the system.
pub fn run(program: &str, args: &[&str]) -> Result<(), Failure> {
    let path = "/usr/sbin:/usr/bin:/sbin:/bin";
    let out = Command::new(program).args(args).env("PATH", path).output();
    let out = out.map_err(|e| Failure::io(program, &e))?;
    if out.status.success() {
        return Ok(());
    }
    let why = String::from_utf8_lossy(&out.stderr).trim().to_string();
    Err(Failure::temporary("4.3.0", format!("{program} {} failed", args.join(" "))).with_detail(why))
}
