//! Tests of entries being worked on.

use super::*;
use crate::envelope::Sender;

const TIMES: Times = Times { lifetime: 1000, delay_warning: 100, patient: false };

fn params(words: &str) -> Vec<Param> {
    words.split_whitespace().map(|w| Param::parse(w).unwrap()).collect()
}

fn envelope(sender_params: &str, rcpts: &[(&str, &str)]) -> Envelope {
    let rcpt = |(a, p): &(&str, &str)| Recipient { address: Address::new(*a).unwrap(), params: params(p) };
    Envelope {
        arrival: (5000, 1),
        sender: Sender { address: Address::new("me@x").unwrap(), params: params(sender_params) },
        recipients: rcpts.iter().map(rcpt).collect(),
        ..Envelope::default()
    }
}

fn name() -> Name {
    Name::new(1, 2, 3, 4, 5)
}

fn active(sender_params: &str, rcpts: &[(&str, &str)]) -> Active {
    Active::new(name(), envelope(sender_params, rcpts), b"").unwrap()
}

fn to(kind: Kind, value: &str) -> Resolved {
    Resolved { kind, value: Line::new(value).unwrap() }
}

fn at(rcpt: u32, result: u32) -> Target {
    Target { rcpt, result }
}

#[test]
fn an_entry_reloaded_from_its_journal_is_the_same() {
    let mut a = active("", &[("a@x", ""), ("list@x", "")]);
    assert_eq!(a.unresolved(), [0, 1]);
    a.resolve(0, vec![to(Kind::Local, "a@x")], 1);
    a.resolve(1, vec![to(Kind::Local, "b@x"), to(Kind::Remote, "c@y"), to(Kind::Pipe, "/bin/x")], 1);
    assert_eq!(a.open_targets().len(), 4);
    a.record(at(0, 0), success(2, Action::Delivered, "ok"));
    a.record(at(1, 0), deferral(2, "4.2.2", "full"));
    a.record(at(1, 1), failure(2, "5.1.1", "no such user"));
    let bounce = a.begin_report(Report::Bounce, vec![at(1, 1)], 3).unwrap();
    a.end_report(&bounce, 4);
    a.end_round(5);
    let journal = a.take_lines();
    let again = Active::new(name(), envelope("", &[("a@x", ""), ("list@x", "")]), journal.as_bytes()).unwrap();
    assert_eq!(State { good_len: 0, ..again.state().clone() }, *a.state());
    assert_eq!(again.open_targets(), [at(1, 0), at(1, 2)]);
    assert!(!again.settled());
}

#[test]
fn the_journal_head_comes_once() {
    let mut a = active("", &[("a@x", "")]);
    assert_eq!(a.take_lines(), "");
    a.resolve(0, vec![], 1);
    let first = a.take_lines();
    assert!(first.starts_with("pennypost-journal: 1 "));
    a.end_round(2);
    let second = a.take_lines();
    assert_eq!(second, "attempt 2\n");
    a.put_back(second);
    a.end_round(3);
    assert_eq!(a.take_lines(), "attempt 2\nattempt 3\n");
    assert!(a.settled(), "an alias of nobody is done");
}

#[test]
fn one_mailbox_gets_one_copy() {
    let mut a = active("", &[("a@x", ""), ("alias@x", "")]);
    a.resolve(0, vec![to(Kind::Local, "a@x")], 1);
    a.resolve(1, vec![to(Kind::Local, "a@x"), to(Kind::Local, "b@x")], 1);
    assert_eq!(a.open_targets(), [at(0, 0), at(1, 1)]);
}

#[test]
fn jobs_inherit_what_rfc_3461_says() {
    let mut a = active(
        "",
        &[("one@x", "NOTIFY=SUCCESS,FAILURE"), ("list@x", "NOTIFY=SUCCESS"), ("o@x", "ORCPT=rfc822;first@z")],
    );
    a.resolve(0, vec![to(Kind::Remote, "far+away@y")], 1);
    a.resolve(1, vec![to(Kind::Local, "b@x"), to(Kind::Local, "c@x")], 1);
    a.resolve(2, vec![to(Kind::Local, "o2@x")], 1);
    let e = a.job_envelope(&[at(0, 0), at(1, 0), at(2, 0)]);
    assert_eq!(e.id, Line::new(name().as_str()));
    assert_eq!(e.recipients[0].params, params("NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;one@x"));
    assert_eq!(e.recipients[0].address.as_str(), "far+away@y");
    assert_eq!(e.recipients[1].params, params("NOTIFY=NEVER ORCPT=rfc822;list@x"));
    assert_eq!(e.recipients[2].params, params("ORCPT=rfc822;first@z"));
}

#[test]
fn a_list_reports_its_expansion_once() {
    let mut a = active("", &[("list@x", "NOTIFY=SUCCESS,FAILURE")]);
    a.resolve(0, vec![to(Kind::Local, "b@x"), to(Kind::Local, "c@x")], 1);
    a.record(at(0, 0), success(2, Action::Delivered, ""));
    a.record(at(0, 1), success(2, Action::Delivered, ""));
    assert_eq!(a.report_due(3, TIMES), Some((Report::Success, vec![at(0, 0)])));
    assert_eq!(a.state().outcomes[&at(0, 0)].action, Action::Expanded);
}

#[test]
fn reports_come_once_and_in_order() {
    let mut a = active("", &[("a@x", ""), ("b@x", ""), ("c@x", "NOTIFY=SUCCESS")]);
    for i in 0..3 {
        a.resolve(i, vec![to(Kind::Local, &format!("{i}@x"))], 1);
    }
    a.record(at(0, 0), failure(2, "5.1.1", "no"));
    a.record(at(1, 0), deferral(2, "4.2.2", "full"));
    a.record(at(2, 0), success(2, Action::Relayed, "ok"));
    let mut names = Vec::new();
    while let Some((kind, targets)) = a.report_due(5100, TIMES) {
        let name = a.begin_report(kind, targets, 6).unwrap();
        assert_eq!(a.report_open().unwrap().name, name);
        a.end_report(&name, 7);
        names.push(name.as_str().rsplit('.').next().unwrap().to_owned());
    }
    assert_eq!(names, ["b1", "s1", "d1"]);
    assert!(a.report_due(9000, TIMES).is_none(), "a delay is told once");
    a.expire(6001);
    let (kind, targets) = a.report_due(9000, TIMES).unwrap();
    assert_eq!((kind, targets.clone()), (Report::Bounce, vec![at(1, 0)]));
    assert!(a.begin_report(kind, targets, 1).unwrap().as_str().ends_with(".b2"));
}

#[test]
fn time_runs_out_for_all_that_is_open() {
    let mut a = active("", &[("a@x", ""), ("b@x", ""), ("c@x", "")]);
    a.resolve(0, vec![to(Kind::Local, "a@x")], 1);
    a.resolve(1, vec![to(Kind::Remote, "b@y")], 1);
    a.record(at(0, 0), success(2, Action::Delivered, "ok"));
    a.record(at(1, 0), deferral(2, "4.4.1", "connection refused"));
    a.unresolvable(2, deferral(2, "4.3.0", "lookup is gone"));
    a.expire(6000);
    assert!(a.settled());
    let texts: Vec<&str> = a.state().outcomes.values().map(|o| o.text.as_str()).collect();
    assert_eq!(
        texts,
        ["ok", "delivery time expired; last: connection refused", "delivery time expired; last: lookup is gone"]
    );
}

#[test]
fn deliver_by_shortens_the_time() {
    assert_eq!(active("", &[("a@x", "")]).expires(TIMES), 6000);
    assert_eq!(active("BY=60;R", &[("a@x", "")]).expires(TIMES), 5060);
    assert_eq!(active("BY=60;N", &[("a@x", "")]).expires(TIMES), 6000);
    assert_eq!(active("BY=60;N", &[("a@x", "")]).warns(TIMES), Some(5060));
    assert_eq!(active("", &[("a@x", "")]).warns(Times { delay_warning: 0, ..TIMES }), None);
    let patient = Times { patient: true, ..TIMES };
    assert_eq!(active("BY=60;R", &[("a@x", "")]).expires(patient), u64::MAX);
    assert_eq!(active("BY=60;N", &[("a@x", "")]).warns(patient), None);
}

#[test]
fn requeued_recipients_are_expanded_again_unless_part_is_done() {
    let mut a = active("", &[("a@x", ""), ("list@x", "")]);
    a.resolve(0, vec![to(Kind::Local, "old@x")], 1);
    a.resolve(1, vec![to(Kind::Local, "b@x"), to(Kind::Local, "c@x")], 1);
    a.record(at(0, 0), deferral(2, "4.2.2", "full"));
    a.record(at(1, 0), success(2, Action::Delivered, "ok"));
    a.requeue();
    assert_eq!(a.unresolved(), [0]);
    a.resolve(0, vec![to(Kind::Local, "new@x")], 3);
    let journal = a.take_lines();
    let again = Active::new(name(), envelope("", &[("a@x", ""), ("list@x", "")]), journal.as_bytes()).unwrap();
    assert_eq!(again.resolved(at(0, 0)).unwrap().value.as_str(), "new@x");
    assert_eq!(again.open_targets(), [at(0, 0), at(1, 1)]);
}
