//! Users, groups, and giving up power for good.
//!
//! Standard    setresuid(2), setgroups(2), getpwnam(3)
//! Invariants  1. groups, then gid, then uid, each checked   2. after `become_user` the old uid cannot come back

use nix::unistd::{Gid, Group, Uid, User, geteuid, getuid, setgroups, setresgid, setresuid};
use std::ffi::CString;
use std::io;

/// A uid with its primary gid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Id {
    /// User id.
    pub uid: u32,
    /// Primary group id.
    pub gid: u32,
}

/// The real uid of this process.
pub fn own_uid() -> u32 {
    getuid().as_raw()
}

/// The ids of this process.
pub fn own() -> Id {
    Id { uid: getuid().as_raw(), gid: nix::unistd::getgid().as_raw() }
}

/// True when this process may change uids.
pub fn is_root() -> bool {
    geteuid().is_root()
}

/// Reads `name`, `1234` or `1234:5678` as a uid and gid; a bare number takes the same number as gid.
pub fn parse(text: &str) -> io::Result<Id> {
    let bad = || io::Error::new(io::ErrorKind::NotFound, format!("no such user: {text}"));
    if let Some((u, g)) = text.split_once(':') {
        return Ok(Id { uid: u.parse().map_err(|_| bad())?, gid: g.parse().map_err(|_| bad())? });
    }
    if let Ok(n) = text.parse() {
        return Ok(Id { uid: n, gid: n });
    }
    named(text)?.ok_or_else(bad)
}

/// The id of a role's login, asked of NSS once a process: resident services come here for every question, and one
/// answer of NSS costs a hundred system calls. Who makes an account restarts the services.
fn named(name: &str) -> io::Result<Option<Id>> {
    use std::collections::BTreeMap;
    use std::sync::{Mutex, PoisonError};
    static KNOWN: Mutex<BTreeMap<String, Option<Id>>> = Mutex::new(BTreeMap::new());
    if let Some(id) = KNOWN.lock().unwrap_or_else(PoisonError::into_inner).get(name) {
        return Ok(*id);
    }
    let id = User::from_name(name)?.map(|user| Id { uid: user.uid.as_raw(), gid: user.gid.as_raw() });
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_string(), id);
    Ok(id)
}

/// What the system's user database says of one user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Login name.
    pub name: String,
    /// Ids.
    pub id: Id,
    /// Home directory.
    pub home: std::path::PathBuf,
    /// Login shell.
    pub shell: std::path::PathBuf,
}

impl From<User> for Account {
    fn from(u: User) -> Account {
        Account { name: u.name, id: Id { uid: u.uid.as_raw(), gid: u.gid.as_raw() }, home: u.dir, shell: u.shell }
    }
}

/// Looks a login name up (getpwnam, NSS).
pub fn account(name: &str) -> io::Result<Option<Account>> {
    Ok(User::from_name(name)?.map(Account::from))
}

/// Looks a uid up (getpwuid, NSS).
pub fn account_by_uid(uid: u32) -> io::Result<Option<Account>> {
    Ok(User::from_uid(Uid::from_raw(uid))?.map(Account::from))
}

/// The gid of a group name.
pub fn group(name: &str) -> io::Result<Option<u32>> {
    Ok(Group::from_name(name)?.map(|g| g.gid.as_raw()))
}

/// The supplementary groups a user would have after login (`initgroups`), worked out before a fork.
pub fn groups_of(name: &str, gid: u32) -> Vec<u32> {
    let Ok(name) = CString::new(name) else { return vec![gid] };
    match nix::unistd::getgrouplist(&name, Gid::from_raw(gid)) {
        Ok(list) => list.into_iter().map(|g| g.as_raw()).collect(),
        Err(_) => vec![gid],
    }
}

/// The names of this process's groups.
pub fn own_group_names() -> Vec<String> {
    let all = nix::unistd::getgroups().unwrap_or_default().into_iter().chain([nix::unistd::getgid()]);
    all.filter_map(|gid| Group::from_gid(gid).ok().flatten()).map(|g| g.name).collect()
}

/// Becomes `id` for good: groups, gid, uid, and a check that uid 0 cannot be had back.
pub fn become_user(id: Id, groups: &[u32]) -> io::Result<()> {
    let groups: Vec<Gid> = groups.iter().map(|g| Gid::from_raw(*g)).collect();
    let (uid, gid) = (Uid::from_raw(id.uid), Gid::from_raw(id.gid));
    setgroups(&groups)?;
    setresgid(gid, gid, gid)?;
    setresuid(uid, uid, uid)?;
    if id.uid != 0 && nix::unistd::setuid(Uid::from_raw(0)).is_ok() {
        return Err(io::Error::other("uid 0 could be had back"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names() {
        assert_eq!(parse("64101").unwrap(), Id { uid: 64101, gid: 64101 });
        assert_eq!(parse("1:2").unwrap(), Id { uid: 1, gid: 2 });
        assert_eq!(parse("root").unwrap(), Id { uid: 0, gid: 0 });
        assert!(parse("no-such-user-here").is_err());
    }
}
