//! Mailboxes of one uid that one message goes to: one job takes several.
//!
//! Invariants  a mailbox that is left alone never is among them: it must not hold the others back

use crate::entry::{How, Job};
use penny_base::services::lookup::User;
use penny_queue::journal::Target;
use penny_queue::schedule::DestKey;
use std::collections::BTreeMap;

/// Most mailboxes of one job: each has a file open in `deliver`, and its result line must find room in a pipe.
const MAILBOXES_MAX: usize = 50;

/// The mailboxes of a round, by the ids that own them.
#[derive(Debug, Default)]
pub struct Shared(BTreeMap<(u32, u32), Vec<(Target, User)>>);

impl Shared {
    pub fn add(&mut self, target: Target, user: User) {
        self.0.entry((user.id.uid, user.id.gid)).or_default().push((target, user));
    }

    /// The jobs for an entry; with `together` one for many. A job counts at its first mailbox.
    pub fn jobs(self, slot: u64, together: bool) -> Vec<(DestKey, Job)> {
        let most = if together { MAILBOXES_MAX } else { 1 };
        let portions = self.0.into_values().flat_map(|all| all.chunks(most).map(<[_]>::to_vec).collect::<Vec<_>>());
        portions.filter_map(|portion| job(slot, portion)).collect()
    }
}

fn job(slot: u64, portion: Vec<(Target, User)>) -> Option<(DestKey, Job)> {
    let (targets, mut users): (Vec<Target>, Vec<User>) = portion.into_iter().unzip();
    let dest = DestKey::Local(users.first()?.name.clone());
    let how = match users.len() {
        1 => How::Mailbox(Box::new(users.pop()?)),
        _ => How::Mailboxes(users),
    };
    Some((dest, Job { slot, targets, how, sender: None }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use penny_sys::ids::Id;

    fn shared(owners: &[u32]) -> Shared {
        let mut shared = Shared::default();
        for (rcpt, uid) in (0..).zip(owners) {
            let user = User {
                name: format!("u{rcpt}"),
                id: Id { uid: *uid, gid: *uid },
                home: "/h".into(),
                maildir: "/h/M".into(),
                shell_ok: false,
                quota_kb: 0,
                quota_messages: 0,
            };
            shared.add(Target { rcpt, result: 0 }, user);
        }
        shared
    }

    fn sizes(jobs: &[(DestKey, Job)]) -> Vec<(String, usize, bool)> {
        let one = |(dest, job): &(DestKey, Job)| {
            (
                dest.text().to_owned(),
                job.targets.len(),
                matches!(&job.how, How::Mailboxes(users) if users.len() == job.targets.len()),
            )
        };
        jobs.iter().map(one).collect()
    }

    #[test]
    fn one_job_for_the_mailboxes_of_one_uid() {
        let jobs = shared(&[7, 8, 7, 9, 7]).jobs(1, true);
        assert_eq!(sizes(&jobs), [("u0".into(), 3, true), ("u1".into(), 1, false), ("u3".into(), 1, false)]);
        let jobs = shared(&[7, 8, 7]).jobs(1, false);
        assert!(jobs.iter().all(|(_, j)| matches!(j.how, How::Mailbox(_))) && jobs.len() == 3);
    }

    #[test]
    fn a_job_is_bounded() {
        let jobs = shared(&[7; 101]).jobs(1, true);
        assert_eq!(sizes(&jobs), [("u0".into(), 50, true), ("u50".into(), 50, true), ("u100".into(), 1, false)]);
    }
}
