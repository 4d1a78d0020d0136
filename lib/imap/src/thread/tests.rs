//! Tests of the thread algorithms.
use super::*;

fn msg(number: u32, id: &str, refs: &[&str], subject: &str, date: i64) -> Message {
    let (subject, is_reply) = crate::subject::base_subject(subject.as_bytes());
    let id = (!id.is_empty()).then(|| id.as_bytes().to_vec());
    Message { number, id, references: refs.iter().map(|r| r.as_bytes().to_vec()).collect(), subject, is_reply, date }
}

fn show(algorithm: ThreadAlgorithm, messages: &[Message]) -> String {
    let mut out = Vec::new();
    thread(&mut out, algorithm, messages);
    String::from_utf8(out).unwrap()
}

#[test]
fn references_link_and_branch() {
    let m = [
        msg(1, "a", &[], "s", 1),
        msg(2, "b", &["a"], "s", 2),
        msg(3, "c", &["a"], "s", 3),
        msg(4, "d", &["a", "b"], "s", 4),
    ];
    assert_eq!(show(ThreadAlgorithm::References, &m), "(1 (2 4)(3))");
}

#[test]
fn missing_ancestors_make_a_dummy_or_vanish() {
    let m = [msg(1, "b", &["x"], "p", 1), msg(2, "c", &["x"], "q", 2)];
    assert_eq!(show(ThreadAlgorithm::References, &m), "((1)(2))");
    assert_eq!(show(ThreadAlgorithm::References, &m[..1]), "(1)");
    let m = [msg(1, "a", &[], "p", 1), msg(2, "c", &["a", "x"], "q", 2)];
    assert_eq!(show(ThreadAlgorithm::References, &m), "(1 2)");
}

#[test]
fn subjects_join_threads() {
    let m = [msg(1, "a", &[], "s", 1), msg(2, "b", &[], "Re: s", 2)];
    assert_eq!(show(ThreadAlgorithm::References, &m), "(1 2)");
    let m = [msg(1, "a", &[], "s", 1), msg(2, "b", &[], "s", 2), msg(3, "c", &[], "s", 3)];
    assert_eq!(show(ThreadAlgorithm::References, &m), "((1)(2)(3))");
    assert_eq!(show(ThreadAlgorithm::Refs, &m), "(1)(2)(3)");
}

#[test]
fn loops_and_duplicates_do_not_hang() {
    let m = [msg(1, "a", &["b"], "x", 1), msg(2, "b", &["a"], "y", 2), msg(3, "a", &["a"], "z", 3)];
    let text = show(ThreadAlgorithm::References, &m);
    for n in ["1", "2", "3"] {
        assert_eq!(text.matches(n).count(), 1, "{text}");
    }
    assert_eq!(show(ThreadAlgorithm::References, &[msg(1, "a", &["a"], "x", 1)]), "(1)");
}

#[test]
fn ordered_subject_groups() {
    let m = [msg(1, "", &[], "a", 5), msg(2, "", &[], "b", 1), msg(3, "", &[], "re: a", 6), msg(4, "", &[], "a", 7)];
    assert_eq!(show(ThreadAlgorithm::OrderedSubject, &m), "(2)(1 (3)(4))");
}

#[test]
fn very_deep_threads() {
    let ids: Vec<String> = (0..20_000).map(|n| format!("i{n}")).collect();
    let m: Vec<Message> = (0..ids.len())
        .map(|n| msg(n as u32 + 1, &ids[n], &if n == 0 { vec![] } else { vec![ids[n - 1].as_str()] }, "", n as i64))
        .collect();
    let text = show(ThreadAlgorithm::References, &m);
    assert_eq!(text.split([' ', '(', ')']).filter(|w| !w.is_empty()).count(), ids.len());
}

#[test]
fn refs_puts_the_newest_thread_last() {
    let m = [msg(1, "a", &[], "s", 1), msg(2, "b", &[], "t", 2), msg(3, "c", &["a"], "s", 3)];
    assert_eq!(show(ThreadAlgorithm::Refs, &m), "(2)(1 3)");
}
