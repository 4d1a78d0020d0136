//! Tests of turns.

use super::*;

fn turn<T>(priority: i8, sender: &str, entry: u64, job: T) -> Turn<T> {
    Turn { priority, sender: sender.to_owned(), entry, cost: 1, job }
}

fn next<T>(q: &mut FairQueue<T>) -> Option<T> {
    q.pop().map(|t| t.job)
}

#[test]
fn senders_take_turns() {
    let mut q = FairQueue::default();
    for n in 0..100 {
        q.push(turn(0, "flood@a", n, format!("flood {n}")));
    }
    q.push(turn(0, "one@b", 1000, "single".to_owned()));
    assert_eq!((q.len(), q.entries(), q.senders(), q.entries_of("flood@a")), (101, 101, 2, 100));
    assert_eq!(next(&mut q).unwrap(), "flood 0");
    assert_eq!(next(&mut q).unwrap(), "single");
    assert_eq!(next(&mut q).unwrap(), "flood 1");
    assert_eq!((q.entries(), q.senders()), (98, 1));
}

#[test]
fn a_message_to_many_does_not_hold_its_senders_next_one() {
    let mut q = FairQueue::default();
    for n in 0..100 {
        q.push(turn(0, "a@a", 1, n));
    }
    assert_eq!((0..50).filter_map(|_| next(&mut q)).collect::<Vec<_>>(), (0..50).collect::<Vec<_>>());
    q.push(turn(0, "a@a", 2, 1000));
    assert_eq!(q.entries(), 2);
    let order: Vec<i32> = (0..3).filter_map(|_| next(&mut q)).collect();
    assert!(order[..2].contains(&1000), "{order:?}");
    assert_eq!(q.entries(), 1);
}

#[test]
fn single_messages_overtake_the_jobs_of_a_large_one() {
    let mut q = FairQueue::default();
    for n in 0..20 {
        q.push(Turn { cost: cost(100), ..turn(0, "list@a", 1, n) });
    }
    assert_eq!(next(&mut q), Some(0));
    for n in 100..130 {
        q.push(turn(0, "people@b", n, n as i32));
    }
    let order: Vec<i32> = (0..33).filter_map(|_| next(&mut q)).collect();
    let large = order.iter().filter(|n| **n < 100).count();
    assert_eq!(large, 3, "three hundred recipients for thirty single messages: {order:?}");
    assert!(order[..5].iter().all(|n| *n >= 100), "{order:?}");
}

#[test]
fn a_job_costs_by_its_recipients() {
    assert_eq!([1, 9, 10, 100, 1000].map(cost), [1, 1, 2, 11, 101]);
}

#[test]
fn priority_goes_first_but_starves_nobody() {
    let mut q = FairQueue::default();
    for n in 0..20 {
        q.push(turn(5, "a@a", n, "high"));
    }
    q.push(turn(-3, "b@b", 99, "low"));
    let order = (0..4).filter_map(|_| next(&mut q)).collect::<Vec<_>>();
    assert_eq!(order, ["high", "high", "high", "low"]);
}

#[test]
fn removing_and_draining_keep_count() {
    let mut q = FairQueue::default();
    for n in 0..10u64 {
        q.push(turn((n % 3) as i8, if n % 2 == 0 { "a" } else { "b" }, n % 5, n));
    }
    assert_eq!(q.remove(3, |n| *n == 3).len(), 1);
    assert_eq!((q.len(), q.entries()), (9, 9), "of entry 3 one job is left, under another priority");
    assert_eq!(q.remove(3, |_| true), [8]);
    assert_eq!(q.remove(3, |_| true).len(), 0);
    assert_eq!(q.len(), 8);
    let mut rest = q.drain();
    rest.sort_unstable();
    assert_eq!(rest, [0, 1, 2, 4, 5, 6, 7, 9]);
    assert!(q.is_empty() && q.entries() == 0 && q.senders() == 0);
}

#[test]
fn one_queue_takes_over_another() {
    let (mut a, mut b) = (FairQueue::default(), FairQueue::default());
    a.push(turn(0, "s", 1, 1));
    for n in 2..5 {
        b.push(turn(0, "s", 2, n));
    }
    a.append(b);
    assert_eq!((a.len(), a.entries()), (4, 2));
    assert_eq!(a.drain(), [1, 2, 3, 4]);
}
