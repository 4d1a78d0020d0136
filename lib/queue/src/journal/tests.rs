//! Tests of the journal.

use super::*;
use crate::name;

const ARRIVAL: (u64, u32) = (1_700_000_000, 7);

fn entry() -> Name {
    Name::new(1, 2, 3, 4, 5)
}

fn line(text: &str) -> Line {
    Line::new(text).unwrap()
}

fn at(rcpt: u32, result: u32) -> Target {
    Target { rcpt, result }
}

fn result(verdict: Verdict, text: &str) -> Outcome {
    let action = if verdict == Verdict::Done { Action::Relayed } else { Action::None };
    Outcome { time: 9, verdict, status: line("2.0.0"), action, mta: Some(line("mx.example")), text: line(text) }
}

fn sample() -> String {
    let results = [
        Resolved { kind: Kind::Local, value: line("u@x") },
        Resolved { kind: Kind::Pipe, value: line("/bin/cat -n  \"two  words\"") },
    ];
    let bounce = entry().report(name::Report::Bounce, 1).unwrap();
    head(&entry(), 100, ARRIVAL)
        + &expansion(0, &results)
        + &expansion(1, &[])
        + &outcome(at(0, 0), &result(Verdict::Done, "250 2.0.0  ok"))
        + &outcome(at(0, 1), &result(Verdict::Later, "451 try"))
        + &attempt(10)
        + &outcome(at(0, 1), &result(Verdict::Fail, ""))
        + &report(11, &bounce, &[at(0, 1)])
        + &reported(12, &bounce)
}

fn read(text: &str) -> Result<State, JournalError> {
    State::read(text.as_bytes(), &entry(), 100, ARRIVAL)
}

#[test]
fn what_is_written_is_read_back() {
    let state = read(&sample()).unwrap();
    assert_eq!(state.expanded[&0].len(), 2);
    assert_eq!(state.expanded[&0][1].value.as_str(), "/bin/cat -n  \"two  words\"");
    assert!(state.expanded[&1].is_empty());
    assert_eq!(state.outcomes[&at(0, 0)], result(Verdict::Done, "250 2.0.0  ok"));
    assert_eq!(state.outcomes[&at(0, 1)], result(Verdict::Fail, ""));
    assert_eq!(state.attempts, 1);
    assert!(state.reports[0].committed);
    assert_eq!(state.reports[0].targets, [at(0, 1)]);
    assert_eq!(state.good_len, sample().len() as u64);
    assert!(state.unreported(Verdict::Fail, name::Report::Bounce).is_empty());
    assert_eq!(state.unreported(Verdict::Done, name::Report::Success), [at(0, 0)]);
}

#[test]
fn a_torn_tail_is_cut_at_the_last_whole_line() {
    let whole = sample();
    for cut in 0..whole.len() {
        let state = read(&whole[..cut]).unwrap();
        let expected = whole[..cut].rfind('\n').map_or(0, |at| at + 1);
        assert_eq!(state.good_len, expected as u64, "cut at {cut}");
    }
    let with_nuls = format!("{whole}\0\0\0\0\0\0");
    assert_eq!(read(&with_nuls).unwrap().good_len, whole.len() as u64, "blocks never written after a power cut");
}

#[test]
fn an_unfinished_expansion_does_not_count_and_may_be_redone() {
    let results = [Resolved { kind: Kind::Local, value: line("u@x") }];
    let start = head(&entry(), 100, ARRIVAL) + "to 0.0 remote gone@x\nto 0.1 remote gone2@x\n";
    assert!(read(&start).unwrap().expanded.is_empty());
    let redone = start + &expansion(0, &results);
    assert_eq!(read(&redone).unwrap().expanded[&0], results);
}

#[test]
fn a_final_outcome_stays() {
    let text = head(&entry(), 100, ARRIVAL)
        + &outcome(at(0, 0), &result(Verdict::Done, "first"))
        + &outcome(at(0, 0), &result(Verdict::Fail, "second"));
    assert_eq!(read(&text).unwrap().outcomes[&at(0, 0)].text.as_str(), "first");
}

#[test]
fn damage_and_strangers_are_errors() {
    let whole = sample();
    for (text, at) in [
        (whole.replace("expanded 0 2", "expanded 0 3"), 4),
        (whole.replace("later 9", "later x"), 7),
        (whole.replace("to 0.1 pipe", "to 0.1 magic"), 3),
        (whole.replace("to 0.1", "to 0.7"), 3),
        (whole.replace(" 100 ", " 101 "), 1),
        (whole.replace("1.000002", "1.000003"), 1),
    ] {
        assert_eq!(read(&text).unwrap_err().line, at, "{text}");
    }
    assert_eq!(read("").unwrap(), State::default());
}
