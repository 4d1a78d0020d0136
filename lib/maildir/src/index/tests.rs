//! The index against a plain model, with a second reader that follows.

use std::collections::BTreeMap;

use super::*;
use crate::name::Flags;
use crate::testdir::TestDir;

fn record(uid: u32, flags: u8, modseq: u64) -> Record {
    let mut r = Record::found(uid, format!("{uid}.M1P1.h,S=10,W={uid}").as_bytes(), b":2,", false);
    r.fixed.flags = Flags(flags);
    r.fixed.modseq = modseq;
    r
}

fn counters(index: &Index) -> (u32, u32, u32, u64) {
    let m = index.meta();
    (m.messages, m.unseen, m.deleted, m.size)
}

fn expected(model: &BTreeMap<u32, Record>) -> (u32, u32, u32, u64) {
    let count = |flag: Flags, has: bool| model.values().filter(|r| r.fixed.flags.contains(flag) == has).count() as u32;
    let size = model.values().map(|r| r.fixed.virtual_size).sum();
    (model.len() as u32, count(Flags::SEEN, false), count(Flags::DELETED, true), size)
}

#[test]
fn follows_a_model_through_logs_and_snapshots() {
    let t = TestDir::new();
    let first: Vec<Record> = (1..=200).map(|u| record(u * 2, 0, 1)).collect();
    let mut model: BTreeMap<u32, Record> = first.iter().map(|r| (r.fixed.uid, r.clone())).collect();
    let mut writer = Index::create(t.path(), &Meta { uidvalidity: 1, ..Meta::default() }, &first, &[]).unwrap();
    let mut follower = Index::open(t.path()).unwrap();
    let mut seed = 1u32;
    let mut next = 401;
    let mut told: BTreeMap<u32, Record> = model.clone();
    for round in 0..3000u64 {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let pick = (seed >> 8) as usize;
        let victim = model.keys().nth(pick % model.len().max(1)).copied();
        let op = match (pick % 4, victim) {
            (0, Some(uid)) if model.len() > 50 => {
                model.remove(&uid);
                Op::Gone(Gone { uid, modseq: round })
            }
            (1, Some(uid)) => {
                let r = record(uid, (pick >> 8) as u8 & 31, round);
                model.insert(uid, r.clone());
                Op::Flags(r)
            }
            _ => {
                next += 1;
                model.insert(next, record(next, 0, round));
                Op::Add(record(next, 0, round))
            }
        };
        writer.commit(vec![op], |m| m.highest_modseq = round).unwrap();
        assert_eq!(counters(&writer), expected(&model));
        if round % 7 == 0 {
            let mut news = News::default();
            follower.catch_up(&mut news).unwrap();
            let all: Vec<Record> = follower.iter().map(RecordRef::to_owned).collect();
            assert_eq!(all, model.values().cloned().collect::<Vec<_>>(), "round {round}");
            // What it was told is exactly what happened.
            news.gone.iter().for_each(|r| drop(told.remove(&r.fixed.uid)));
            for uid in news.added.iter().chain(&news.flags) {
                if let Some(r) = model.get(uid) {
                    told.insert(*uid, r.clone());
                }
            }
            assert!(told.keys().eq(model.keys()), "round {round}");
            assert!(told.values().zip(model.values()).all(|(a, b)| a.fixed.flags == b.fixed.flags));
        }
    }
    let fresh = Index::open(t.path()).unwrap();
    assert_eq!(counters(&fresh), expected(&model));
    assert_eq!(fresh.gone().count(), writer.gone().count());
    for uid in 0..next + 2 {
        assert_eq!(fresh.get(uid).map(RecordRef::to_owned).as_ref(), model.get(&uid));
    }
    let part: Vec<u32> = fresh.fixed_range(100, 300).map(|f| f.uid).collect();
    assert_eq!(part, model.range(100..=300).map(|(u, _)| *u).collect::<Vec<_>>());
    assert_eq!(fresh.fixed_range(5, 4).filter(|f| f.uid > 5).count(), 0);
}

#[test]
fn a_torn_log_is_followed_by_a_new_snapshot() {
    let t = TestDir::new();
    let mut writer = Index::create(t.path(), &Meta::default(), &[record(1, 0, 1)], &[]).unwrap();
    writer.commit(vec![Op::Add(record(2, 0, 2))], |_| ()).unwrap();
    let log = t.path().join(LOG_FILE);
    let mut bytes = std::fs::read(&log).unwrap();
    bytes.extend_from_slice(&[9; 40]);
    std::fs::write(&log, &bytes).unwrap();
    let mut next = Index::open(t.path()).unwrap();
    assert_eq!(next.iter().count(), 2);
    next.commit(vec![Op::Add(record(3, 0, 3))], |_| ()).unwrap();
    assert_eq!(Index::open(t.path()).unwrap().iter().count(), 3);
    let mut news = News::default();
    writer.catch_up(&mut news).unwrap();
    assert_eq!(news.added, [3]);
}

#[test]
fn a_crash_between_the_two_renames_is_no_index() {
    let t = TestDir::new();
    let writer = Index::create(t.path(), &Meta::default(), &[record(1, 0, 1)], &[]).unwrap();
    let old_log = std::fs::read(t.path().join(LOG_FILE)).unwrap();
    drop(writer);
    std::thread::sleep(std::time::Duration::from_millis(2));
    Index::create(t.path(), &Meta::default(), &[record(1, 0, 1)], &[]).unwrap();
    std::fs::write(t.path().join(LOG_FILE), old_log).unwrap();
    assert!(Index::open(t.path()).is_none());
}

#[test]
fn expunges_are_remembered_up_to_a_bound() {
    let t = TestDir::new();
    let gone: Vec<Gone> = (0..GONE_MAX as u32 + 10).map(|u| Gone { uid: u, modseq: u64::from(u) }).collect();
    let mut index = Index::create(t.path(), &Meta::default(), &[], &gone).unwrap();
    index.rewrite().unwrap();
    assert_eq!(index.gone().count(), GONE_MAX / 2);
    assert_eq!(index.meta().vanished_floor, (GONE_MAX / 2 + 9) as u64);
}
