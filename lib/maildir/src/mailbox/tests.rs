//! Mailboxes on a real file system: two sessions, foreign changes, loss of each file.

use std::io::{Read, Write};
use std::path::Path;

use super::*;
use crate::delivery::{Delivery, Place as Where};
use crate::name::Flags;
use crate::store::{Store, StoreOptions};
use crate::testdir::TestDir;

struct World {
    _dir: TestDir,
    store: Store,
}

fn world() -> World {
    let dir = TestDir::new();
    let store = Store::open_or_create(&dir.path().join("Maildir"), StoreOptions::default()).unwrap();
    World { _dir: dir, store }
}

fn inbox() -> FolderName {
    FolderName::inbox()
}

fn name(text: &str) -> FolderName {
    FolderName::from_parts(&[text]).unwrap()
}

impl World {
    fn deliver(&self, n: usize) -> Vec<String> {
        self.deliver_to(&inbox(), n)
    }

    fn deliver_to(&self, folder: &FolderName, n: usize) -> Vec<String> {
        let dir = self.store.maildir(folder).unwrap();
        let one = |i: usize| {
            let mut d = Delivery::begin(&dir).unwrap();
            write!(d, "Subject: {i}\n\nbody\n").unwrap();
            d.commit(Where::New).unwrap().base
        };
        (0..n).map(one).collect()
    }

    fn open(&self) -> Mailbox {
        self.store.mailbox(&inbox(), Mode::ReadWrite).unwrap()
    }

    fn file(&self, name: &str) -> std::path::PathBuf {
        self.store.root().path().join(name)
    }
}

fn uids(m: &Mailbox) -> Vec<u32> {
    m.messages().map(|m| m.uid).collect()
}

fn set(flags: Flags, keywords: &[&str]) -> FlagSet {
    FlagSet { flags, keywords: keywords.iter().map(|k| k.to_string()).collect() }
}

fn cur_names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(dir.join("cur")).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Long enough for a directory's mtime to prove something.
fn settle() {
    std::thread::sleep(std::time::Duration::from_millis(130));
}

#[test]
fn of_two_files_with_one_base_name_the_one_in_cur_is_the_message() {
    let w = world();
    for file in ["new/5.M1.x", "cur/5.M1.x:2,S", "cur/6.M1.x:2,F", "new/6.M1.x:2,"] {
        std::fs::write(w.file(file), "a: b\n\n").unwrap();
    }
    let m = w.open();
    let found: Vec<(u32, Flags)> = m.messages().map(|m| (m.uid, m.flags)).collect();
    assert_eq!(found, [(1, Flags::SEEN), (2, Flags::FLAGGED)]);
}

#[test]
fn the_sent_date_is_kept() {
    let w = world();
    w.deliver(3);
    let mut m = w.open();
    assert_eq!(m.sent(1), None);
    m.learned_sent(1, Some(-1));
    m.learned_sent(2, None);
    assert_eq!((m.sent(1), m.sent(2), m.sent(3)), (Some(Some(-1)), Some(None), None));
    drop(m);
    let mut m = w.open();
    m.store(&[1], FlagOp::Add, &set(Flags::SEEN, &[]), None).unwrap();
    assert_eq!((m.sent(1), m.sent(2), m.sent(3)), (Some(Some(-1)), Some(None), None));
}

#[test]
fn deliveries_get_uids_in_order_and_the_uidlist_is_dovecots() {
    let w = world();
    let bases = w.deliver(3);
    let mut m = w.open();
    assert_eq!(uids(&m), [1, 2, 3]);
    let s = m.status();
    assert_eq!((s.messages, s.recent, s.unseen, s.uidnext, s.size), (3, 3, 3, 4, 3 * 20));
    let text = std::fs::read_to_string(w.file("dovecot-uidlist")).unwrap();
    let (header, lines) = text.split_once('\n').unwrap();
    assert_eq!(header, format!("3 V{} N4 G{} M00000000000000010000", s.uidvalidity, s.guid));
    assert_eq!(lines, format!("1 :{}\n2 :{}\n3 :{}\n", bases[0], bases[1], bases[2]));
    assert!(std::fs::read_dir(w.file("new")).unwrap().next().is_none(), "moved to cur/");
    w.deliver(1);
    let changes = m.refresh().unwrap();
    assert_eq!(changes, Changes { new: vec![4], ..Changes::default() });
    assert!(m.refresh().unwrap().is_empty());
    assert!(std::fs::read_to_string(w.file("dovecot-uidlist")).unwrap().contains("\n4 :"));
    drop(m);
    let again = w.open();
    assert_eq!(again.status().recent, 0);
    assert_eq!(again.status().uidvalidity, s.uidvalidity);
}

#[test]
fn flags_are_letters_and_are_seen_by_other_sessions() {
    let w = world();
    w.deliver(3);
    let (mut a, mut b) = (w.open(), w.open());
    let before = a.status().highest_modseq;
    let out = a.store(&[1, 3, 9], FlagOp::Add, &set(Flags::SEEN, &["$Work", "zeta"]), None).unwrap();
    assert_eq!(
        (out.done.as_slice(), out.changed.as_slice(), out.gone.as_slice()),
        (&[1, 3][..], &[1, 3][..], &[9][..])
    );
    assert!(a.refresh().unwrap().is_empty(), "own changes are not news");
    let changes = b.refresh().unwrap();
    assert_eq!((changes.flags.as_slice(), changes.keywords), (&[1, 3][..], true));
    let one = b.get(1).unwrap();
    assert_eq!(one.flags, Flags::SEEN);
    assert_eq!(b.keyword_names(one.keywords).collect::<Vec<_>>(), ["$Work", "zeta"]);
    assert!(one.modseq > before && one.modseq == b.status().highest_modseq);
    assert!(cur_names(w.store.root().path())[0].ends_with(":2,Sab"));
    assert_eq!((b.status().unseen, b.first_unseen()), (1, Some(2)));
    let out = b.store(&[1], FlagOp::Set, &set(Flags::FLAGGED, &[]), Some(before)).unwrap();
    assert_eq!(out.modified, [1]);
    let out = b.store(&[1], FlagOp::Set, &set(Flags::FLAGGED, &[]), Some(one.modseq)).unwrap();
    assert_eq!(out.changed, [1]);
    let out = b.store(&[1], FlagOp::Remove, &set(Flags::SEEN, &["nowhere"]), None).unwrap();
    assert_eq!((out.done.as_slice(), out.changed.len()), (&[1][..], 0));
    assert_eq!(b.keyword_set(&["nowhere"]), Keywords(0), "removing makes no keyword");
}

#[test]
fn expunges_leave_a_ghost_until_forgotten() {
    let w = world();
    w.deliver(4);
    let (mut a, mut b) = (w.open(), w.open());
    a.store(&[2, 4], FlagOp::Add, &set(Flags::DELETED, &[]), None).unwrap();
    assert_eq!(a.status().deleted, 2);
    let since = a.status().highest_modseq;
    assert_eq!(a.expunge(Some(&[1, 2])).unwrap(), [2]);
    assert_eq!(a.expunge(None).unwrap(), [4]);
    assert_eq!(uids(&a), [1, 3]);
    let changes = b.refresh().unwrap();
    assert_eq!(changes.expunged, [2, 4]);
    assert_eq!(b.get(2).unwrap().uid, 2);
    assert!(matches!(b.open_message(2), Err(Error::Gone(2))));
    b.forget(&[2, 4]);
    assert!(b.get(2).is_none() && !b.is_live(2));
    assert_eq!(b.vanished_since(since), Vanished { ranges: vec![(2, 2), (4, 4)], exact: true });
    assert_eq!(b.vanished_since(b.status().highest_modseq).ranges, []);
    let inexact = b.vanished_since(0);
    assert_eq!((inexact.ranges.as_slice(), inexact.exact), (&[(2, 2), (4, 4)][..], false));
    assert_eq!(b.status().uidnext, 5, "UIDs are not used again");
    drop((a, b));
    w.deliver(1);
    assert_eq!(uids(&w.open()), [1, 3, 5]);
}

#[test]
fn foreign_renames_moves_and_removals_are_found() {
    let w = world();
    w.deliver(5);
    let mut m = w.open();
    settle();
    m.refresh().unwrap();
    let cur = w.file("cur");
    let names = cur_names(w.store.root().path());
    std::fs::rename(cur.join(&names[0]), cur.join(names[0].replace(":2,", ":2,PS"))).unwrap();
    std::fs::remove_file(cur.join(&names[1])).unwrap();
    std::fs::write(cur.join("1700000000.M1P1.other,S=2:2,F"), "x\n").unwrap();
    let changes = m.refresh().unwrap();
    assert_eq!(changes, Changes { new: vec![6], flags: vec![1], expunged: vec![2], keywords: false });
    assert_eq!(m.get(6).unwrap().flags, Flags::FLAGGED);
    // An unknown letter stays when ours change.
    m.store(&[1], FlagOp::Add, &set(Flags::FLAGGED, &[]), None).unwrap();
    assert!(cur_names(w.store.root().path()).iter().any(|n| n.ends_with(":2,FPS")));
    // Renamed while we hold the old name: found again.
    let name = cur_names(w.store.root().path()).into_iter().find(|n| n.contains("other")).unwrap();
    std::fs::rename(cur.join(&name), cur.join("1700000000.M1P1.other,S=2:2,FT")).unwrap();
    let mut text = String::new();
    m.open_message(6).unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(text, "x\n");
    assert_eq!(m.refresh().unwrap().flags, [6]);
    assert_eq!(m.expunge(None).unwrap(), [6]);
}

#[test]
fn a_change_in_the_same_tick_is_found_later() {
    let w = world();
    w.deliver(2);
    let mut m = w.open();
    for round in 0..20 {
        m.store(&[1], FlagOp::Set, &set(Flags(round & 31), &[]), None).unwrap();
        // At once, so often within the tick of our own rename.
        std::fs::write(w.file(&format!("cur/170000000{round}.M1P1.x:2,")), "x").unwrap();
    }
    settle();
    std::thread::sleep(std::time::Duration::from_millis(1000));
    m.refresh().unwrap();
    assert_eq!(m.len(), 22);
}

#[test]
fn append_copy_move() {
    let w = world();
    w.store.create(&name("Sent")).unwrap();
    let mut inbox_box = w.open();
    let mut messages = Vec::new();
    for text in ["a\n", "b\r\n", "c"] {
        let mut d = inbox_box.begin_append().unwrap();
        d.write_all(text.as_bytes()).unwrap();
        d.set_internal_date(std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000));
        messages.push((d.finish().unwrap(), set(Flags::SEEN, &["kw"])));
    }
    let appended = inbox_box.append(messages).unwrap();
    assert_eq!(appended.uids, [1, 2, 3]);
    assert!(inbox_box.refresh().unwrap().is_empty());
    assert_eq!(inbox_box.internal_date(1).unwrap(), 1_000_000_000);
    assert_eq!([1, 2, 3].map(|u| inbox_box.virtual_size(u).unwrap()), [3, 3, 1]);

    let mut sent = w.store.mailbox(&name("Sent"), Mode::Target).unwrap();
    sent.store(&[], FlagOp::Add, &set(Flags::NONE, &["other", "kw"]), None).unwrap();
    let copied = inbox_box.copy(&[1, 3, 77], &mut sent).unwrap();
    assert_eq!((copied.pairs.as_slice(), copied.gone.as_slice()), (&[(1, 1), (3, 2)][..], &[77][..]));
    let one = sent.get(1).unwrap();
    assert_eq!(sent.keyword_names(one.keywords).collect::<Vec<_>>(), ["kw"]);
    assert_eq!(sent.internal_date(1).unwrap(), 1_000_000_000);
    assert!(cur_names(sent.maildir().path())[0].ends_with(",S=2,W=3:2,Sb"));

    let moved = inbox_box.move_to(&[2], &mut sent).unwrap();
    assert_eq!(moved.pairs, [(2, 3)]);
    assert_eq!((uids(&inbox_box), uids(&sent)), (vec![1, 3], vec![1, 2, 3]));

    // Into the same folder, as IMAP allows.
    let mut same = w.store.mailbox(&inbox(), Mode::Target).unwrap();
    let copied = inbox_box.copy(&[1], &mut same).unwrap();
    assert_eq!(copied.pairs, [(1, 4)]);
    assert_eq!(inbox_box.refresh().unwrap().new, [4]);
    assert_eq!(w.open().status().recent, 0, "the open session claimed it");
}

#[test]
fn a_failed_append_leaves_nothing() {
    let w = world();
    let limits = crate::quota::Limits { storage: Some(3), messages: None };
    let store =
        Store::open(w.store.root().path(), StoreOptions { limits: Some(limits), ..StoreOptions::default() }).unwrap();
    let mut m = store.mailbox(&inbox(), Mode::ReadWrite).unwrap();
    let big = |m: &Mailbox| {
        let mut d = m.begin_append().unwrap();
        d.write_all(b"1234").unwrap();
        vec![(d.finish().unwrap(), FlagSet::default())]
    };
    let messages = big(&m);
    assert!(matches!(m.append(messages), Err(Error::OverQuota)));
    // The uidlist cannot be written: its place is taken by a directory.
    drop(m);
    let mut m = w.open();
    let messages = big(&m);
    std::fs::remove_file(w.file("dovecot-uidlist")).unwrap();
    std::fs::create_dir(w.file("dovecot-uidlist")).unwrap();
    assert!(m.append(messages).is_err());
    assert!(cur_names(w.store.root().path()).is_empty());
    assert!(std::fs::read_dir(w.file("tmp")).unwrap().next().is_none());
}

#[test]
fn a_lost_index_keeps_uids_flags_keywords_and_raises_modseqs() {
    let w = world();
    w.deliver(4);
    let mut m = w.open();
    let names: Vec<String> = (0..30).map(|i| format!("kw{i}")).collect();
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    m.store(&[2], FlagOp::Add, &set(Flags::ANSWERED, &all), None).unwrap();
    m.remove(&[3]).unwrap();
    let before = m.status();
    drop(m);
    Index::discard(w.store.root().path());
    let m = w.open();
    let after = m.status();
    assert_eq!(uids(&m), [1, 2, 4]);
    assert_eq!((after.uidvalidity, after.uidnext, after.guid), (before.uidvalidity, before.uidnext, before.guid));
    assert_eq!(m.keyword_names(m.get(2).unwrap().keywords).count(), 30);
    assert!(after.highest_modseq > 10_000, "above the floor that was reserved");
    assert!(!m.vanished_since(before.highest_modseq).exact);
}

#[test]
fn a_lost_uidlist_is_restored_from_the_index() {
    let w = world();
    w.deliver(3);
    let m = w.open();
    let before = (m.status().uidvalidity, m.status().guid, m.base_name(2));
    drop(m);
    std::fs::remove_file(w.file("dovecot-uidlist")).unwrap();
    let m = w.open();
    assert_eq!((m.status().uidvalidity, m.status().guid, m.base_name(2)), before);
    assert_eq!(uids(&m), [1, 2, 3]);
    assert!(std::fs::read_to_string(w.file("dovecot-uidlist")).unwrap().contains("\n2 :"));
    drop(m);
    // Garbage is set aside, not deleted.
    std::fs::write(w.file("dovecot-uidlist"), "what is this\n").unwrap();
    assert_eq!(uids(&w.open()), [1, 2, 3]);
    let aside = std::fs::read_dir(w.file("")).unwrap().flatten();
    assert_eq!(aside.filter(|e| e.file_name().to_string_lossy().contains("uidlist.bad.")).count(), 1);
}

#[test]
fn a_restored_uidlist_does_not_reuse_uids() {
    let w = world();
    w.deliver(2);
    drop(w.open());
    let backup = std::fs::read(w.file("dovecot-uidlist")).unwrap();
    w.deliver(3);
    let mut m = w.open();
    m.remove(&[5]).unwrap();
    drop(m);
    std::fs::write(w.file("dovecot-uidlist"), backup).unwrap();
    w.deliver(1);
    let m = w.open();
    assert_eq!(uids(&m), [1, 2, 3, 4, 6]);
}

#[test]
fn both_lost_means_a_new_uidvalidity() {
    let w = world();
    w.deliver(1);
    let before = w.open().status().uidvalidity;
    Index::discard(w.store.root().path());
    std::fs::remove_file(w.file("dovecot-uidlist")).unwrap();
    assert!(w.open().status().uidvalidity > before);
}

#[test]
fn dovecots_lines_and_extensions_are_kept() {
    let w = world();
    std::fs::write(w.file("cur/5.M1.h:2,S"), "x\n").unwrap();
    std::fs::write(w.file("cur/6.M1.h,S=2,W=99:2,"), "y\n").unwrap();
    std::fs::write(w.file("new/7.M1.h"), "z\n").unwrap();
    let uidlist = "3 V1234567 N20 G0123456789abcdef0123456789abcdef P%f Zq\n7 Pabc O3 :5.M1.h\n12 W33 :6.M1.h,S=2,W=99\n15 :gone\n";
    std::fs::write(w.file("dovecot-uidlist"), uidlist).unwrap();
    let mut m = w.open();
    assert_eq!(uids(&m), [7, 12, 20]);
    assert_eq!((m.status().uidvalidity, m.status().uidnext), (1_234_567, 21));
    assert!(m.status().highest_modseq > 1_700_000_000, "above anything Dovecot counted");
    let extras = m.extras().unwrap();
    assert_eq!((extras[&7].pop3_uidl.as_deref(), extras[&7].pop3_order), (Some("abc"), Some(3)));
    let text = std::fs::read_to_string(w.file("dovecot-uidlist")).unwrap();
    assert!(text.starts_with("3 V1234567 N21 G0123456789abcdef0123456789abcdef M"), "{text}");
    assert!(text.lines().next().unwrap().ends_with(" P%f Zq"));
    assert!(text.contains("\n7 Pabc O3 :5.M1.h\n12 W33 :6.M1.h,S=2,W=99\n20 :7.M1.h\n"));
    // A wrong W= is believed until the bytes are seen.
    assert_eq!(m.virtual_size(12).unwrap(), 99);
    m.learned(12, 3);
    assert_eq!(m.virtual_size(12).unwrap(), 3);
    assert_eq!(m.virtual_size(7).unwrap(), 3);
    drop(m);
    assert_eq!(w.open().get(12).unwrap().virtual_size, Some(3));
    // Another server appends a line and a file: the UID is taken over.
    let mut m = w.open();
    std::fs::write(w.file("cur/8.M1.h:2,"), "w\n").unwrap();
    let mut list = std::fs::OpenOptions::new().append(true).open(w.file("dovecot-uidlist")).unwrap();
    list.write_all(b"40 :8.M1.h\n").unwrap();
    assert_eq!(m.refresh().unwrap().new, [40]);
    assert_eq!(m.status().uidnext, 41);
}

#[test]
fn the_modseq_floor_is_raised_before_it_is_passed() {
    let w = world();
    w.deliver(1);
    let mut m = w.open();
    m.index.edit(|meta| meta.highest_modseq = 9_999);
    for i in 0..3u8 {
        m.store(&[1], FlagOp::Set, &set(Flags(i + 1), &[]), None).unwrap();
        let text = std::fs::read_to_string(w.file("dovecot-uidlist")).unwrap();
        let floor: u64 = text.split(" M").nth(1).unwrap()[..20].parse().unwrap();
        assert!(floor >= m.status().highest_modseq, "{floor}");
    }
    assert_eq!(m.status().highest_modseq, 10_002);
}

#[test]
fn read_only_leaves_mail_in_new() {
    let w = world();
    w.deliver(2);
    let mut ro = w.store.mailbox(&inbox(), Mode::ReadOnly).unwrap();
    assert_eq!((uids(&ro), ro.status().recent), (vec![1, 2], 2));
    assert_eq!(std::fs::read_dir(w.file("new")).unwrap().count(), 2);
    assert!(matches!(ro.store(&[1], FlagOp::Add, &set(Flags::SEEN, &[]), None), Err(Error::ReadOnly)));
    ro.open_message(1).unwrap();
    let rw = w.open();
    assert_eq!((rw.status().recent, std::fs::read_dir(w.file("new")).unwrap().count()), (2, 0));
    ro.open_message(2).unwrap();
    assert!(ro.refresh().unwrap().is_empty());
}

#[test]
fn a_deleted_or_replaced_folder_ends_the_session() {
    let w = world();
    w.store.create(&name("Box")).unwrap();
    w.deliver_to(&name("Box"), 1);
    let mut m = w.store.mailbox(&name("Box"), Mode::ReadWrite).unwrap();
    let first = m.status().uidvalidity;
    w.store.delete(&name("Box")).unwrap();
    assert!(matches!(m.refresh(), Err(Error::FolderGone)));
    w.store.create(&name("Box")).unwrap();
    assert!(w.store.status(&name("Box")).unwrap().uidvalidity > first);
    assert!(matches!(m.refresh(), Err(Error::FolderGone | Error::Corrupt { .. })));
}

#[test]
fn what_is_expunged_before_it_was_told_is_never_told() {
    let w = world();
    w.deliver(1);
    let mut mine = w.open();
    assert_eq!(mine.refresh().unwrap().new, Vec::<u32>::new());
    w.deliver(2);
    let mut other = w.open();
    other.store(&[3], FlagOp::Add, &set(Flags::DELETED, &[]), None).unwrap();
    assert_eq!(mine.expunge(None).unwrap(), [3]);
    let changes = mine.refresh().unwrap();
    assert_eq!((changes.new, changes.expunged), (vec![2], vec![]));
    assert_eq!(other.refresh().unwrap().expunged, [3]);
}

#[test]
fn a_renamed_folder_has_no_lock_left_in_it() {
    let w = world();
    let path = |n: &str| FolderName::from_parts(&[n]).unwrap();
    w.store.create(&path("a")).unwrap();
    let dir = w.store.maildir(&path("a")).unwrap().path().to_path_buf();
    let (held, wait) = std::sync::mpsc::channel();
    let holder = std::thread::spawn(move || {
        let lock = crate::dotlock::FolderLock::take(&dir, &dir, &mut crate::dotlock::Spare::default()).unwrap();
        held.send(()).unwrap();
        // long enough that a rename that does not wait is over first
        std::thread::sleep(std::time::Duration::from_millis(200));
        drop(lock);
    });
    wait.recv().unwrap();
    w.store.rename(&path("a"), &path("b")).unwrap();
    holder.join().unwrap();
    let left = w.store.maildir(&path("b")).unwrap().path().join("dovecot-uidlist.lock");
    assert!(!left.exists());
}

#[test]
fn folders_are_listed_renamed_and_deleted() {
    let w = world();
    let path = |s: &str| FolderName::from_utf8(s, &w.store.options().style).unwrap();
    for f in ["a/b", "a/b/c", "d"] {
        w.store.create(&path(f)).unwrap();
    }
    assert!(w.file(".a.b/maildirfolder").exists());
    assert!(matches!(w.store.create(&path("d")), Err(Error::FolderExists(_))));
    let show = |s: &Store| -> Vec<String> {
        let flag = |f: &crate::store::Folder| {
            format!("{}{}", if f.selectable { "" } else { "!" }, if f.children { "+" } else { "" })
        };
        s.list().unwrap().iter().map(|f| f.name.to_utf8(&s.options().style) + &flag(f)).collect()
    };
    assert_eq!(show(&w.store), ["INBOX", "a!+", "a/b+", "a/b/c", "d"]);
    w.store.rename(&path("a"), &path("x/y")).unwrap();
    assert_eq!(show(&w.store), ["INBOX", "d", "x!+", "x/y!+", "x/y/b+", "x/y/b/c"]);
    assert!(w.store.rename(&path("x"), &path("x/z")).is_err());
    assert!(w.store.rename(&path("nowhere"), &path("q")).is_err());
    w.store.delete(&path("x/y/b")).unwrap();
    assert!(matches!(w.store.delete(&path("x/y/b")), Err(Error::NoFolder(_))));
    assert!(w.store.delete(&inbox()).is_err());
    w.deliver(2);
    w.store.rename(&inbox(), &path("Old")).unwrap();
    assert_eq!((w.store.status(&inbox()).unwrap().messages, w.store.status(&path("Old")).unwrap().messages), (0, 2));
    assert!(
        !std::fs::read_dir(w.file("")).unwrap().flatten().any(|e| e.file_name().to_string_lossy().starts_with(".."))
    );
}

#[test]
fn two_sessions_hammering_stay_equal() {
    let w = world();
    w.deliver(30);
    let store = w.store.clone();
    let worker = |seed: u32| {
        let mut m = store.mailbox(&inbox(), Mode::ReadWrite).unwrap();
        let mut known: std::collections::BTreeSet<u32> = uids(&m).into_iter().collect();
        let mut seed = seed;
        for _ in 0..150 {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let pick = (seed >> 8) as usize;
            let uid = known.iter().nth(pick % known.len().max(1)).copied().unwrap_or(1);
            match pick % 5 {
                0 | 1 => drop(m.store(&[uid], FlagOp::Set, &set(Flags((pick >> 4) as u8 & 15), &[]), None).unwrap()),
                2 => {
                    let mut d = m.begin_append().unwrap();
                    d.write_all(b"x\n").unwrap();
                    let new = m.append(vec![(d.finish().unwrap(), FlagSet::default())]).unwrap();
                    known.extend(new.uids);
                }
                3 if known.len() > 10 => m.remove(&[uid]).unwrap().iter().for_each(|u| assert!(known.remove(u))),
                _ => match m.open_message(uid) {
                    Ok(_) | Err(Error::Gone(_)) => {}
                    Err(e) => panic!("{e}"),
                },
            }
            let changes = m.refresh().unwrap();
            changes.expunged.iter().for_each(|u| assert!(known.remove(u), "{u} expunged twice or never known"));
            changes.new.iter().for_each(|u| assert!(known.insert(*u), "{u} new twice"));
            assert_eq!(uids(&m), known.iter().copied().collect::<Vec<_>>());
        }
    };
    std::thread::scope(|s| {
        (1..5).for_each(|seed| drop(s.spawn(move || worker(seed))));
    });
    let live = w.open();
    let seen: Vec<_> = live.messages().map(|m| (m.uid, m.flags, live.base_name(m.uid))).collect();
    drop(live);
    Index::discard(w.store.root().path());
    let rebuilt = w.open();
    assert_eq!(seen, rebuilt.messages().map(|m| (m.uid, m.flags, rebuilt.base_name(m.uid))).collect::<Vec<_>>());
}

#[test]
fn cached_values_follow_the_message() {
    let w = world();
    w.deliver(2);
    let mut m = w.open();
    assert!(m.cached(1, 7).is_none());
    m.cache(1, 7, b"envelope");
    m.release().unwrap();
    assert_eq!(m.cached(1, 7), Some(&b"envelope"[..]));
    let base = m.base_name(2).unwrap();
    let mut batch = crate::cache::Batch::default();
    batch.push(crate::cache::message_key(&base), 7, b"two");
    assert!(crate::cache::offer(w.store.root().path(), &batch));
    m.refresh_cache();
    assert_eq!(m.cached(2, 7), Some(&b"two"[..]));
    drop(m);
    Index::discard(w.store.root().path());
    assert_eq!(w.open().cached(1, 7), Some(&b"envelope"[..]));
}

#[test]
fn restore_marks_skip_what_may_have_been_used() {
    let w = world();
    w.deliver(2);
    let mut m = w.open();
    let before = m.status();
    let after = m.restore_mark(RestoreMark::Gap(1000)).unwrap();
    assert_eq!((after.uidvalidity, after.uidnext), (before.uidvalidity, 1003));
    assert!(after.highest_modseq > before.highest_modseq + 1_000_000);
    w.deliver(1);
    assert_eq!(m.refresh().unwrap().new, [1003]);
    let mut other = w.open();
    let newer = m.restore_mark(RestoreMark::NewValidity).unwrap();
    assert!(newer.uidvalidity > before.uidvalidity);
    assert!(matches!(other.refresh(), Err(Error::FolderGone)));
    drop((m, other));
    Index::discard(w.store.root().path());
    assert_eq!((w.open().status().uidvalidity, uids(&w.open())), (newer.uidvalidity, vec![1, 2, 1003]));
}

#[test]
fn a_held_lock_stands_in_nobodys_way_in_this_process() {
    let w = world();
    w.store.create(&name("Other")).unwrap();
    w.deliver(3);
    let mut m = w.open();
    let start = std::time::Instant::now();
    m.hold();
    m.store(&[1], FlagOp::Add, &set(Flags::SEEN, &[]), None).unwrap();
    // Other tests of this process may take the kept lock away at any time, so its file is not looked for here.
    let mut same = w.store.mailbox(&inbox(), Mode::Target).unwrap();
    assert_eq!(m.copy(&[1], &mut same).unwrap().pairs.len(), 1);
    let mut d = same.begin_append().unwrap();
    d.write_all(b"x\n").unwrap();
    same.append(vec![(d.finish().unwrap(), FlagSet::default())]).unwrap();
    let mut other = w.store.mailbox(&name("Other"), Mode::Target).unwrap();
    other.hold();
    assert_eq!(m.move_to(&[2], &mut other).unwrap().pairs.len(), 1);
    assert_eq!(w.store.status(&inbox()).unwrap().messages, 4);
    m.store(&[3], FlagOp::Add, &set(Flags::SEEN, &[]), None).unwrap();
    m.release().unwrap();
    other.release().unwrap();
    assert!(!w.file("dovecot-uidlist.lock").exists() && !w.file(".Other/dovecot-uidlist.lock").exists());
    assert!(start.elapsed() < std::time::Duration::from_secs(60));
}

/// SAVEDATE is when the message came here: other names of the file that come and go (its ctime) mean nothing.
#[test]
fn the_save_date_does_not_follow_the_change_time() {
    let w = world();
    let base = w.deliver(1).remove(0);
    let came = base.split('.').next().unwrap().parse::<i64>().unwrap();
    let old = format!("1000000000.{}", base.split_once('.').unwrap().1);
    std::fs::rename(w.file("new").join(&base), w.file("new").join(&old)).unwrap();
    let other = w.file("tmp").join("other");
    std::fs::hard_link(w.file("new").join(&old), &other).unwrap();
    let saved = |w: &World| w.open().messages().map(|m| m.save_date).collect::<Vec<_>>();
    assert_eq!(saved(&w), [1_000_000_000]);
    std::fs::remove_file(other).unwrap();
    std::fs::remove_file(w.file("pennypost.index")).unwrap();
    assert_eq!(saved(&w), [1_000_000_000]);
    assert!(came > 1_000_000_000);
}
