//! SEARCH made ready to run, and run over one message after the other.
//!
//! Standards   RFC 3501 6.4.4, RFC 5255 and 5051 (comparison without case), RFC 5032, 7162, 8474, 8514
//! Invariants  1. cheap tests run before those that read the message   2. a message is read at most once a search
//! Not here    which messages there are (the session), ESEARCH answers (the session)
mod text;

pub use text::{Needle, texts};

use crate::command::Key;
use crate::command::search::{DateOf, DateOp};
use crate::render::View;
use crate::set::{NumberSet, SequenceSet};

/// What is known of a message without reading it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts<'a> {
    /// Its UID.
    pub uid: u32,
    /// System flags as in [`crate::flag::SYSTEM`].
    pub flags: u8,
    /// Keyword numbers as bits.
    pub keywords: u64,
    /// `\Recent`.
    pub recent: bool,
    /// MODSEQ.
    pub modseq: u64,
    /// EMAILID.
    pub email_id: &'a [u8],
}

/// Answers what costs something.
pub trait Source {
    /// RFC822.SIZE.
    fn size(&mut self) -> Option<u64>;
    /// INTERNALDATE, seconds since 1970.
    fn internal_date(&mut self) -> Option<i64>;
    /// The moment of the Date field, seconds since 1970, where it is known without the message.
    fn sent(&mut self) -> Option<i64> {
        None
    }
    /// SAVEDATE.
    fn save_date(&mut self) -> Option<i64>;
    /// THREADID.
    fn thread_id(&mut self) -> Option<Vec<u8>>;
    /// False when a folded text is surely in none of the message's [`texts`].
    fn may_hold(&mut self, _folded: &[u8]) -> bool {
        true
    }
    /// Looks at the message; false when it has gone.
    fn look(&mut self, at: &mut dyn FnMut(&View<'_>) -> bool) -> bool;
}

/// A search ready to run.
#[derive(Debug)]
pub struct Program {
    test: Test,
    now: i64,
}

#[derive(Debug)]
enum Test {
    Const(bool),
    And(Vec<Test>),
    Or(Vec<Test>),
    Not(Box<Test>),
    Uids(NumberSet),
    Flag(u8),
    Keyword(u64),
    New,
    Recent,
    Date(DateOf, DateOp, i64),
    Older(i64),
    Younger(i64),
    Larger(u64),
    Smaller(u64),
    ModSeq(u64),
    EmailId(Vec<u8>),
    ThreadId(Vec<u8>),
    Header(Vec<u8>, Needle),
    Body(Needle),
    Text(Needle),
}

/// How the session resolves names and numbers.
pub trait Resolve {
    /// The UIDs a set names; `uid` tells what its numbers are.
    fn set(&mut self, set: &SequenceSet, uid: bool) -> NumberSet;
    /// The bit of a keyword, 0 when the mailbox has none of that name.
    fn keyword(&mut self, name: &str) -> u64;
}

impl Program {
    /// Prepares a key. `now` is the clock for OLDER and YOUNGER.
    pub fn new(key: &Key, resolve: &mut dyn Resolve, now: i64) -> Self {
        Program { test: compile(key, resolve), now }
    }

    /// Whether a message fulfils the search.
    pub fn matches(&self, facts: &Facts<'_>, source: &mut dyn Source) -> bool {
        run(&self.test, facts, source, self.now)
    }

    /// Whether MODSEQ was searched for (RFC 7162 3.1.5: the answer then carries one).
    pub fn uses_modseq(key: &Key) -> bool {
        key.any(|k| matches!(k, Key::ModSeq(_)))
    }

    /// Whether a body may have to be read.
    pub fn needs_body(&self) -> bool {
        cost(&self.test) >= 20
    }

    /// Whether every header field that is looked at fulfils `known`.
    pub fn only_fields(&self, known: &dyn Fn(&[u8]) -> bool) -> bool {
        fn within(test: &Test, known: &dyn Fn(&[u8]) -> bool) -> bool {
            match test {
                Test::Header(name, _) => known(name),
                Test::Body(_) | Test::Text(_) => false,
                Test::And(tests) | Test::Or(tests) => tests.iter().all(|t| within(t, known)),
                Test::Not(t) => within(t, known),
                _ => true,
            }
        }
        within(&self.test, known)
    }

    /// Whether EMAILID is searched for.
    pub fn needs_email_id(&self) -> bool {
        fn within(test: &Test) -> bool {
            match test {
                Test::EmailId(_) => true,
                Test::And(tests) | Test::Or(tests) => tests.iter().any(within),
                Test::Not(t) => within(t),
                _ => false,
            }
        }
        within(&self.test)
    }

    /// The sets of UIDs that the search names and that each hit is in all of.
    pub fn candidates(&self) -> Vec<&NumberSet> {
        fn within<'a>(test: &'a Test, sets: &mut Vec<&'a NumberSet>) {
            match test {
                Test::Uids(set) => sets.push(set),
                Test::And(tests) => tests.iter().for_each(|t| within(t, sets)),
                _ => {}
            }
        }
        let mut sets = Vec::new();
        within(&self.test, &mut sets);
        sets
    }
}

fn compile(key: &Key, r: &mut dyn Resolve) -> Test {
    match key {
        Key::All | Key::SaveDateSupported => Test::Const(true),
        // names are replaced by what they stand for before (the session); one that is left matches nothing
        Key::Filter(_) => Test::Const(false),
        Key::And(keys) => sorted(keys.iter().map(|k| compile(k, r)).collect(), Test::And),
        Key::Or(a, b) => sorted(vec![compile(a, r), compile(b, r)], Test::Or),
        Key::Not(k) => Test::Not(Box::new(compile(k, r))),
        Key::Set(set) => Test::Uids(r.set(set, false)),
        Key::Uid(set) => Test::Uids(r.set(set, true)),
        Key::Flag(bit) => Test::Flag(*bit),
        Key::Keyword(name) => Test::Keyword(r.keyword(name)),
        Key::New => Test::New,
        Key::Old => Test::Not(Box::new(Test::Recent)),
        Key::Recent => Test::Recent,
        Key::Date(of, op, day) => Test::Date(*of, *op, *day),
        Key::Older(seconds) => Test::Older(i64::from(*seconds)),
        Key::Younger(seconds) => Test::Younger(i64::from(*seconds)),
        Key::Larger(n) => Test::Larger(*n),
        Key::Smaller(n) => Test::Smaller(*n),
        Key::ModSeq(n) => Test::ModSeq(*n),
        Key::EmailId(id) => Test::EmailId(id.clone()),
        Key::ThreadId(id) => Test::ThreadId(id.clone()),
        Key::Header(name, text) => Test::Header(name.clone(), Needle::new(text)),
        Key::Body(text) => Test::Body(Needle::new(text)),
        Key::Text(text) => Test::Text(Needle::new(text)),
    }
}

fn sorted(mut tests: Vec<Test>, join: fn(Vec<Test>) -> Test) -> Test {
    tests.sort_by_key(cost);
    join(tests)
}

fn cost(test: &Test) -> u32 {
    match test {
        Test::And(tests) | Test::Or(tests) => tests.iter().map(cost).max().unwrap_or(0),
        Test::Not(t) => cost(t),
        Test::Date(DateOf::Sent, ..) | Test::Header(..) | Test::ThreadId(_) => 10,
        Test::Body(_) | Test::Text(_) => 20,
        Test::Date(..) | Test::Larger(_) | Test::Smaller(_) | Test::Older(_) | Test::Younger(_) => 5,
        _ => 0,
    }
}

fn run(test: &Test, f: &Facts<'_>, s: &mut dyn Source, now: i64) -> bool {
    match test {
        Test::Const(value) => *value,
        Test::And(tests) => tests.iter().all(|t| run(t, f, s, now)),
        Test::Or(tests) => tests.iter().any(|t| run(t, f, s, now)),
        Test::Not(t) => !run(t, f, s, now),
        Test::Uids(set) => set.contains(f.uid),
        Test::Flag(bit) => f.flags & bit != 0,
        Test::Keyword(bit) => f.keywords & bit != 0,
        Test::New => f.recent && f.flags & crate::flag::SEEN == 0,
        Test::Recent => f.recent,
        Test::ModSeq(n) => f.modseq >= *n,
        Test::EmailId(id) => f.email_id == id.as_slice(),
        Test::ThreadId(id) => s.thread_id().is_some_and(|t| &t == id),
        Test::Larger(n) => s.size().is_some_and(|size| size > *n),
        Test::Smaller(n) => s.size().is_some_and(|size| size < *n),
        // RFC 5032: older is at least, younger at most that many seconds
        Test::Older(age) => s.internal_date().is_some_and(|d| d <= now - age),
        Test::Younger(age) => s.internal_date().is_some_and(|d| d >= now - age),
        Test::Date(DateOf::Internal, op, day) => day_is(s.internal_date(), *op, *day),
        Test::Date(DateOf::Saved, op, day) => day_is(s.save_date(), *op, *day),
        Test::Date(DateOf::Sent, op, day) => s
            .sent()
            .and_then(|seconds| anywhere(seconds, *op, *day))
            .unwrap_or_else(|| s.look(&mut |m| sent_day(m).is_some_and(|d| compare(d, *op, *day)))),
        Test::Header(name, needle) => s.look(&mut |m| text::in_field(m.header(), name, needle)),
        Test::Body(needle) => s.may_hold(needle.folded()) && s.look(&mut |m| text::in_body(m, needle)),
        Test::Text(needle) => s.may_hold(needle.folded()) && s.look(&mut |m| text::in_text(m, needle)),
    }
}

fn compare(day: i64, op: DateOp, limit: i64) -> bool {
    match op {
        DateOp::Before => day < limit,
        DateOp::On => day == limit,
        DateOp::Since => day >= limit,
    }
}

/// The days that lie between a moment's day and that of any zone that can be written: `-9999` is the farthest.
const ZONE_DAYS: u64 = 5;

/// The comparison, where it is the same in every zone.
fn anywhere(seconds: i64, op: DateOp, limit: i64) -> Option<bool> {
    let day = seconds.div_euclid(86400);
    (day.abs_diff(limit) > ZONE_DAYS).then(|| compare(day, op, limit))
}

fn day_is(seconds: Option<i64>, op: DateOp, limit: i64) -> bool {
    seconds.is_some_and(|s| compare(s.div_euclid(86400), op, limit))
}

/// The day of the Date field, in its own zone (RFC 3501 6.4.4: disregarding time and timezone).
fn sent_day(view: &View<'_>) -> Option<i64> {
    let field = penny_mime::find_field(view.header(), "Date")?;
    penny_mime::DateTime::parse(field.value).map(|d| d.local_day())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Command;
    use crate::testing::command;

    struct Fixed(View<'static>);

    impl Source for Fixed {
        fn size(&mut self) -> Option<u64> {
            Some(100)
        }
        fn internal_date(&mut self) -> Option<i64> {
            Some(10 * 86400 + 5)
        }
        fn save_date(&mut self) -> Option<i64> {
            None
        }
        fn thread_id(&mut self) -> Option<Vec<u8>> {
            Some(b"T1".to_vec())
        }
        fn look(&mut self, at: &mut dyn FnMut(&View<'_>) -> bool) -> bool {
            at(&self.0)
        }
    }

    struct Names;

    impl Resolve for Names {
        fn set(&mut self, set: &SequenceSet, _uid: bool) -> NumberSet {
            set.resolve(5).unwrap_or_default()
        }
        fn keyword(&mut self, name: &str) -> u64 {
            u64::from(name.eq_ignore_ascii_case("work"))
        }
    }

    const MESSAGE: &[u8] = b"Date: Wed, 02 Jan 2002 23:30:00 -0500\nFrom: =?utf-8?Q?J=C3=B6rg?= <joerg (x)@ example.org>\nSubject: Hello\n World\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\nGr=C3=BC=C3=9Fe sends Secr=\net\n";

    fn hits(text: &str) -> bool {
        let Ok(Command::Search(args)) = command(&format!("SEARCH {text}")) else { panic!("{text}") };
        let facts = Facts { uid: 3, flags: crate::flag::SEEN, keywords: 1, recent: false, modseq: 9, email_id: b"E" };
        Program::new(&args.key, &mut Names, 11 * 86400).matches(&facts, &mut Fixed(View::new(MESSAGE)))
    }

    #[test]
    fn cheap_keys() {
        for yes in [
            "ALL",
            "SEEN",
            "UID 3",
            "2:4",
            "KEYWORD Work",
            "NOT NEW",
            "OLD",
            "MODSEQ 9",
            "EMAILID E",
            "THREADID T1",
            "LARGER 99",
            "SMALLER 101",
            "ON 11-Jan-1970",
            "OLDER 3600",
            "YOUNGER 86400",
            "OR UNSEEN SEEN",
        ] {
            assert!(hits(yes), "{yes}");
        }
        for no in [
            "UNSEEN",
            "UID 4",
            "UNKEYWORD work",
            "NEW",
            "MODSEQ 10",
            "LARGER 100",
            "SMALLER 100",
            "BEFORE 11-Jan-1970",
            "YOUNGER 10",
            "SAVEDON 1-Jan-2000",
            "SEEN UID 5",
        ] {
            assert!(!hits(no), "{no}");
        }
    }

    #[test]
    fn a_known_moment_decides_unless_its_zone_could() {
        for zone in ["-9999", "+9999", "+0000"] {
            let date = penny_mime::DateTime::parse(format!("1 Jun 2002 00:30:00 {zone}").as_bytes()).unwrap();
            let mut decided = 0;
            for limit in date.local_day() - 30..date.local_day() + 30 {
                for op in [DateOp::Before, DateOp::On, DateOp::Since] {
                    let told = anywhere(date.unix(), op, limit);
                    decided += usize::from(told.is_some());
                    assert!(told.is_none_or(|t| t == compare(date.local_day(), op, limit)), "{zone} {limit}");
                }
            }
            assert_eq!(decided, 3 * (60 - 11), "{zone}");
        }
    }

    #[test]
    fn an_address_shows_what_its_field_does_not() {
        let hit = |from: &str, text: &str| {
            text::in_field(format!("From: {from}\n\n").as_bytes(), b"from", &Needle::new(text))
        };
        for (from, text) in [
            ("joe @ example . org", "joe@example.org"),
            ("\"joe\"@example.org", "joe@example.org"),
            ("<@a,@b:joe@example.org>", "<joe@"),
            ("joe@example.org (Joe)", "Joe <joe"),
            ("\"J\\oe\" <a@b>", "joe"),
            ("\"A B\" <a@b>", "a b <a"),
            ("a@b, c@d", "<c@d>"),
        ] {
            assert!(hit(from, text), "{from}");
        }
        for (from, text) in
            [("joe@example.org", "eoj"), ("sender17@x", "sender42@x"), ("sender14@x, b2@x", "sender42@x")]
        {
            assert!(!hit(from, text), "{from}");
        }
        assert!(hit("a@b", "") && !text::in_field(b"To: a\n\n", b"from", &Needle::new("")));
    }

    #[test]
    fn text_keys() {
        for yes in [
            "SUBJECT \"hello world\"",
            "FROM joerg@example.org",
            "HEADER Subject \"\"",
            "BODY secret",
            "TEXT hello",
            "TEXT secret",
            "SENTON 2-Jan-2002",
            "HEADER from example",
        ] {
            assert!(hits(yes), "{yes}");
        }
        for no in ["SUBJECT secret", "BODY hello", "HEADER X-No \"\"", "SENTON 3-Jan-2002", "BODY =C3"] {
            assert!(!hits(no), "{no}");
        }
        let Ok(Command::Search(args)) = command("SEARCH CHARSET UTF-8 BODY {7}\r\nGRÜßE") else { panic!() };
        assert_eq!(args.key, Key::Body("GRÜßE".into()));
        let view = View::new(MESSAGE);
        assert!(
            text::in_body(&view, &Needle::new("GRÜßE")) && text::in_field(view.header(), b"from", &Needle::new("JÖRG"))
        );
    }
}
