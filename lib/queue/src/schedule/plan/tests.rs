//! Tests of the plan, with a clock that the tests turn.

use super::*;

fn plan() -> Plan<u32> {
    let limits = Limits { start: 2, max: 4, pause_min: 60, pause_max: 600 };
    Plan::new([10, 3], [limits, limits])
}

fn turn<T>(sender: &str, entry: u64, job: T) -> Turn<T> {
    Turn { priority: 0, sender: sender.to_owned(), entry, cost: 1, job }
}

fn remote(name: &str) -> DestKey {
    DestKey::Remote(name.to_owned())
}

#[test]
fn one_busy_destination_does_not_hold_another() {
    let mut p = plan();
    for n in 0..100 {
        p.push(&remote("slow"), turn("s", u64::from(n), n), 0);
    }
    p.push(&remote("fast"), turn("s", 1000, 1000), 0);
    let started = std::iter::from_fn(|| p.next(0)).map(|n| n.job).collect::<Vec<_>>();
    assert_eq!(started, [0, 1000, 1], "turns, a limit for each and one for all");
    assert!(!p.finished(&remote("fast"), Some(true), 0));
    assert_eq!(p.next(0), None, "slow has its two");
    p.finished(&remote("slow"), Some(true), 0);
    assert_eq!(p.next(0).unwrap().job, 2);
}

#[test]
fn remote_jobs_do_not_use_up_the_local_ones() {
    let mut p = plan();
    for n in 0..10 {
        p.push(&remote(&format!("d{n}")), turn("s", n, 1), 0);
    }
    while p.next(0).is_some() {}
    p.push(&DestKey::Local("u@x".into()), turn("s", 99, 2), 0);
    assert_eq!(p.next(0).unwrap().job, 2);
    assert_eq!(p.running(), 4);
}

#[test]
fn a_dead_destination_is_left_alone_and_comes_back() {
    let mut p = plan();
    let dead = remote("dead");
    for n in 0..5 {
        p.push(&dead, turn("s", n, 7), 0);
    }
    assert!(p.next(0).is_some() && p.next(0).is_some());
    assert!(p.finished(&dead, Some(false), 0));
    assert_eq!(p.paused(&dead, 0), Some(60));
    assert_eq!(p.next(1), None);
    assert_eq!(p.drain(&dead).len(), 3);
    p.finished(&dead, None, 1);
    p.forget_idle(1);
    assert_eq!(p.paused(&dead, 1), Some(60), "a pause is remembered");
    p.push(&dead, turn("s", 9, 8), 0);
    assert_eq!(p.next(61).unwrap().job, 8);
    p.finished(&dead, Some(true), 62);
    p.forget_idle(62);
    assert!(p.overview(62).is_empty());
}

#[test]
fn a_route_bounds_connections_and_pace() {
    let mut p = plan();
    let small = remote("small");
    p.shape(&small, 1, Some(Rate { jobs: 6, seconds: 60 }), 0);
    for n in 0..3 {
        p.push(&small, turn("s", n, n as u32), 0);
    }
    assert_eq!(p.next(0).unwrap().job, 0);
    assert_eq!(p.next(0), None, "one connection");
    p.finished(&small, Some(true), 0);
    assert_eq!(p.next(9), None, "six a minute");
    assert_eq!(p.wake(), Some(10));
    assert_eq!(p.next(10).unwrap().job, 1);
    p.shape(&small, 1, None, 10);
    p.finished(&small, Some(true), 10);
    assert_eq!(p.next(10).unwrap().job, 2, "the admin lifted it");
    assert_eq!(p.wake(), None);
}

#[test]
fn domains_of_one_site_share_its_limit() {
    let mut p = plan();
    let (a, b, site) = (remote("a.example"), remote("b.example"), remote("mx:host"));
    for n in 0..4 {
        p.push(&a, turn("s", n, 1), 0);
        p.push(&b, turn("s", 10 + n, 2), 0);
    }
    assert!(p.next(0).is_some() && p.next(0).is_some());
    p.moved(&a, &site, 0);
    p.moved(&b, &site, 0);
    assert_eq!((p.waiting(&a), p.waiting(&b), p.waiting(&site)), (0, 0, 6));
    assert_eq!(p.next(0), None, "two run there already");
    p.finished(&site, Some(true), 0);
    assert!(p.next(0).is_some());
    assert_eq!(p.running(), 2);
    p.finished(&site, Some(true), 0);
    p.finished(&site, Some(true), 0);
    p.forget_idle(0);
    assert_eq!(p.overview(0).len(), 1, "nothing is left of the domains");
}

#[test]
fn an_entry_can_be_taken_out() {
    let mut p = plan();
    for n in 0..6 {
        p.push(&remote(&format!("d{}", n % 2)), turn("s", u64::from(n % 3), n), 0);
    }
    assert_eq!(p.remove_entry(1, 0).len(), 2);
    assert_eq!(p.waiting(&remote("d0")) + p.waiting(&remote("d1")), 4);
    let mut left = std::iter::from_fn(|| p.next(0)).map(|n| n.job).collect::<Vec<_>>();
    left.sort_unstable();
    assert_eq!(left.len(), 3);
    assert!(left.iter().all(|n| n % 3 != 1));
}

/// What starts, each ending at once, while at most one runs.
fn order(p: &mut Plan<u32>, count: usize) -> Vec<u32> {
    (0..count)
        .filter_map(|_| {
            let Next { dest, job } = p.next(0)?;
            p.finished(&dest, Some(true), 0);
            Some(job)
        })
        .collect()
}

#[test]
fn a_message_to_many_destinations_holds_no_other() {
    let limits = Limits { start: 2, max: 4, pause_min: 60, pause_max: 600 };
    let mut p = Plan::new([1, 1], [limits, limits]);
    for n in 0..10_000 {
        p.push(&DestKey::Local(format!("u{n}@x")), turn("list", 1, n), 0);
    }
    assert_eq!(order(&mut p, 100), (0..100).collect::<Vec<_>>());
    p.push(&DestKey::Local("joe@x".into()), turn("ann", 2, 20_000), 0);
    p.push(&DestKey::Local("bob@x".into()), turn("list", 3, 30_000), 0);
    let next = order(&mut p, 4);
    assert!(next.contains(&20_000), "of another sender: {next:?}");
    assert!(next.contains(&30_000), "the same sender's own next one: {next:?}");
}

#[test]
fn single_messages_overtake_a_large_one_to_the_same_destination() {
    // a message of 5000 recipients in transactions of 100, ten seconds each; a single one takes a second
    let (list, single) = (turn("list", 1, 0), |n| turn("people", u64::from(n), n));
    let limits = Limits { start: 1, max: 1, pause_min: 60, pause_max: 600 };
    let mut p = Plan::new([1, 1], [limits, limits]);
    for _ in 0..50 {
        p.push(&remote("far"), Turn { cost: super::super::cost(100), ..list.clone() }, 0);
    }
    let mut ended = Vec::new();
    let mut clock = 0;
    while let Some(Next { dest, job }) = p.next(clock) {
        // fifteen single messages come in the first minute
        let came = ended.len() as u32;
        if came < 15 {
            p.push(&remote("far"), single(100 + came), clock);
        }
        clock += if job == 0 { 10 } else { 1 };
        p.finished(&dest, Some(true), clock);
        ended.push((job, clock));
    }
    assert_eq!(ended.len(), 65);
    let last = ended.iter().filter(|(job, _)| *job != 0).map(|(_, at)| *at).max().unwrap();
    assert!(last < 60, "the last single message waited until {last}, the large one took until {clock}");
    assert_eq!(clock, 515, "no time was lost by it");
}

#[test]
fn a_crowd_of_one_sender_keeps_no_other_out() {
    let mut p = plan();
    let far = remote("far");
    for n in 0..50 {
        p.push(&far, turn("flood", n, 0), 0);
        assert!(!p.is_crowded(&far, "flood", 50), "{n}");
    }
    for n in 50..52 {
        p.push(&far, turn("flood", n, 0), 0);
    }
    assert!(p.is_crowded(&far, "flood", 50), "one is shown, two would run");
    assert!(!p.is_crowded(&far, "ann", 50));
    for n in 0..25 {
        p.push(&far, turn("ann", 100 + n, 0), 0);
    }
    assert!(p.is_crowded(&far, "ann", 50), "that was her half");
    for n in 0..25 {
        p.push(&far, turn(&format!("s{n}"), 200 + n, 0), 0);
    }
    assert!(p.is_crowded(&far, "another", 50), "twice the number is the end of it");
    // one message to many is one entry
    for n in 0..500 {
        p.push(&remote("near"), turn("list", 1, n), 0);
    }
    assert!(!p.is_crowded(&remote("near"), "list", 50));
}

#[test]
fn a_shown_job_goes_when_its_destination_or_entry_goes() {
    let mut p = plan();
    let (a, b) = (remote("a"), remote("b"));
    p.push(&a, turn("s", 1, 1), 0);
    p.push(&b, turn("s", 1, 2), 0);
    p.push(&b, turn("s", 2, 3), 0);
    assert_eq!(p.drain(&a), [1]);
    assert_eq!(p.remove_entry(1, 0), [(b.clone(), 2)]);
    assert_eq!(p.next(0), Some(Next { dest: b.clone(), job: 3 }));
    assert_eq!(p.next(0), None);
    p.finished(&b, Some(true), 0);
    p.forget_idle(0);
    assert!(p.overview(0).is_empty());
}

#[test]
fn a_pause_ends_by_itself_or_by_the_admin() {
    let mut p = plan();
    let (a, b) = (remote("a"), remote("b"));
    for key in [&a, &b] {
        p.push(key, turn("s", 1, 1), 0);
        p.push(key, turn("s", 2, 2), 0);
        p.push(key, turn("s", 3, 3), 0);
    }
    for _ in 0..2 {
        let Next { dest, .. } = p.next(0).unwrap();
        p.finished(&dest, Some(false), 0);
    }
    while p.next(0).is_some() {}
    assert_eq!(p.wake(), Some(60));
    p.retry_now(|text| text == "a", 1);
    assert_eq!(p.next(1).map(|n| n.dest), Some(a));
    assert_eq!(p.next(59), None);
    assert_eq!(p.next(60).map(|n| n.dest), Some(b));
}

#[test]
fn other_bounds_count_at_once_and_a_route_keeps_its_own() {
    let mut p = plan();
    let (a, b) = (remote("a"), remote("b"));
    for n in 0..9 {
        p.push(&a, turn("s", n, 1), 0);
        p.push(&b, turn("s", n, 2), 0);
    }
    p.shape(&b, 1, None, 0);
    assert_eq!(std::iter::from_fn(|| p.next(0)).count(), 3, "three in all");
    let limits = Limits { start: 2, max: 2, pause_min: 5, pause_max: 10 };
    p.rebound([10, 5], [limits, limits]);
    let maxima = |p: &Plan<u32>| [&a, &b].map(|d| p.dests[d].window.max());
    assert_eq!(maxima(&p), [2, 1]);
    for dest in [&a, &a, &b] {
        p.finished(dest, Some(true), 0);
    }
    let started: Vec<u32> = std::iter::from_fn(|| p.next(0)).map(|n| n.job).collect();
    assert_eq!(started.iter().filter(|job| **job == 1).count(), 2, "{started:?}: success makes it no more than two");
    assert_eq!(started.len(), 3);
    for dest in [&a, &a] {
        p.finished(dest, Some(false), 0);
    }
    assert_eq!(p.paused(&a, 0), Some(5), "pauses are of the new length");
}
