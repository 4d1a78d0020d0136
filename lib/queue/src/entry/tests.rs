//! Tests of the queue directory.

use super::*;
use crate::envelope::{Address, Recipient, Sender};
use std::os::unix::fs::symlink;

struct Temp(Queue);

impl Temp {
    fn new() -> Temp {
        let root = std::env::temp_dir().join(format!("penny-queue-{:x}", penny_sys::random::u64()));
        let queue = Queue::new(root);
        queue.create().unwrap();
        Temp(queue)
    }
}

impl Drop for Temp {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(self.0.root());
    }
}

fn envelope(rcpts: usize, size: u64) -> Envelope {
    Envelope {
        arrival: (5, 0),
        sender: Sender { address: Address::new("a@b").unwrap(), params: vec![] },
        recipients: (0..rcpts)
            .map(|n| Recipient::plain(Address::new(format!("user{n}@example.test")).unwrap()))
            .collect(),
        size,
        wire_size: size,
        ..Envelope::default()
    }
}

fn name(n: u32) -> Name {
    Name::new(1, 1, 1, n, 1)
}

fn put(q: &Queue, n: u32, bytes: &[u8]) {
    std::fs::write(q.new_path(&name(n)), bytes).unwrap();
}

fn entry(body: &str) -> Vec<u8> {
    let mut bytes = envelope(1, body.len() as u64).encode();
    bytes.extend_from_slice(body.as_bytes());
    bytes
}

#[test]
fn an_entry_goes_through_its_states() {
    let t = Temp::new();
    let q = &t.0;
    put(q, 1, &entry("Subject: x\n\nbody\n"));
    assert_eq!(q.list("new").unwrap().0, [name(1)]);
    q.take(&name(1), false).unwrap();
    let mut opened = q.open(&name(1), false).unwrap();
    let mut text = String::new();
    io::Read::read_to_string(&mut opened.file, &mut text).unwrap();
    assert_eq!(text, "Subject: x\n\nbody\n", "the offset is at the message");
    q.set_due(&name(1), false, 12_345).unwrap();
    let scan = |q: &Queue| q.scan_cur().unwrap().map(|f| f.unwrap()).collect::<Vec<_>>();
    assert_eq!(scan(q), [Found::Entry(name(1), false, 12_345)]);
    q.set_held(&name(1), true).unwrap();
    assert_eq!(scan(q), [Found::Entry(name(1), true, 12_345)]);
    assert!(matches!(q.open(&name(1), false), Err(EntryError::Gone)));
    q.set_held(&name(1), false).unwrap();
    std::fs::write(q.log_path(&name(1)), "").unwrap();
    q.unlink(&name(1), false).unwrap();
    q.sync("cur").unwrap();
    q.unlink_journal(&name(1)).unwrap();
    q.unlink_journal(&name(1)).unwrap();
    assert!(scan(q).is_empty());
}

#[test]
fn long_envelopes_are_read_whole() {
    let t = Temp::new();
    for count in [60, 250, 251, 5000] {
        let mut bytes = envelope(count, 2).encode();
        bytes.extend_from_slice(b"\n\n");
        let path = t.0.dir("cur").join("x");
        std::fs::write(&path, &bytes).unwrap();
        let opened = open_entry(&path).unwrap();
        assert_eq!((opened.envelope.recipients.len(), opened.body as usize), (count, bytes.len() - 2));
    }
}

#[test]
fn the_end_of_an_envelope_may_lie_across_two_reads() {
    let t = Temp::new();
    let path = t.0.dir("cur").join("x");
    for len in FIRST_READ - 1..FIRST_READ + 3 {
        std::fs::write(&path, envelope(1, 0).encode_padded(len).unwrap()).unwrap();
        assert_eq!(open_entry(&path).unwrap().body as usize, len);
    }
}

#[test]
fn what_is_not_understood_is_corrupt() {
    let t = Temp::new();
    let q = &t.0;
    let good = entry("body\n");
    for bytes in
        [&b""[..], b"\n\n", b"garbage", &good[..good.len() - 1], &good[..40], &[good.clone(), b"x".to_vec()].concat()]
    {
        put(q, 1, bytes);
        q.take(&name(1), false).unwrap();
        assert!(matches!(q.open(&name(1), false), Err(EntryError::Corrupt(_))), "{bytes:?}");
        std::fs::remove_file(q.cur_path(&name(1), false)).unwrap();
    }
    put(q, 2, &good);
    std::fs::hard_link(q.new_path(&name(2)), q.dir("tmp").join("second")).unwrap();
    q.take(&name(2), false).unwrap();
    assert!(matches!(q.open(&name(2), false), Err(EntryError::Corrupt(_))), "a second link");
    symlink("/etc/passwd", q.cur_path(&name(3), false)).unwrap();
    assert!(matches!(q.open(&name(3), false), Err(EntryError::Corrupt(_))), "a link");
    std::fs::create_dir(q.cur_path(&name(4), false)).unwrap();
    assert!(matches!(q.open(&name(4), false), Err(EntryError::Corrupt(_))), "a directory");
    assert!(matches!(q.open(&name(5), false), Err(EntryError::Gone)));
}

#[test]
fn setting_aside_keeps_everything() {
    let t = Temp::new();
    let q = &t.0;
    for round in 1..=2 {
        std::fs::write(q.cur_path(&name(1), false), format!("round {round}")).unwrap();
        let file = q.cur_path(&name(1), false);
        if round == 1 {
            std::fs::write(q.log_path(&name(1)), "journal").unwrap();
        }
        q.set_aside("cur", file.file_name().unwrap(), Some(&name(1))).unwrap();
    }
    let kept = std::fs::read_dir(q.dir("corrupt")).unwrap().count();
    assert_eq!(kept, 3, "both entries and the journal");
    assert!(q.set_aside("cur", OsStr::new("missing"), None).is_err());
}

#[test]
fn strangers_are_told_apart() {
    for bad in [
        "x",
        "1.000001.1.1.0000000000000001",
        "1.000001.1.1.0000000000000001:2,S",
        "1.000001.1.1.0000000000000001:2,HH",
    ] {
        assert_eq!(parse_cur(OsStr::new(bad)), None, "{bad}");
    }
    assert_eq!(parse_cur(OsStr::new("1.000001.1.1.0000000000000001:2,H")), Some((name(1), true)));
}

#[test]
fn one_scheduler_and_a_clean_tmp() {
    let t = Temp::new();
    let held = t.0.lock().unwrap();
    assert_eq!(t.0.lock().unwrap_err().kind(), ErrorKind::WouldBlock);
    drop(held);
    std::fs::write(t.0.dir("tmp").join("old"), "").unwrap();
    assert_eq!(t.0.clean_tmp(SystemTime::now()).unwrap(), 0);
    assert_eq!(t.0.clean_tmp(SystemTime::now() + Duration::from_secs(TMP_AGE_MAX + 60)).unwrap(), 1);
}

#[test]
fn a_locked_entry_has_no_answer_yet() {
    let t = Temp::new();
    put(&t.0, 1, &entry("x\n"));
    let committing = std::fs::File::open(t.0.new_path(&name(1))).unwrap();
    committing.lock().unwrap();
    let opened = open_entry(&t.0.new_path(&name(1))).unwrap();
    assert!(!opened.is_answered().unwrap());
    drop(committing);
    assert!(opened.is_answered().unwrap());
}
