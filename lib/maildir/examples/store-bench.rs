//! Times the mailbox operations that the speed budgets name: `store-bench DIR MESSAGES`. Uses and removes DIR.
//!
//! Prints one line an operation: name, milliseconds (best of several where it can be repeated).

use std::io::{Read, Write};
use std::path::Path;
use std::time::Instant;

use penny_maildir::{FlagOp, FlagSet, Flags, FolderName, Mode, Store, StoreOptions};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn report(name: &str, times: &[f64]) -> Outcome<()> {
    let best = times.iter().copied().fold(f64::INFINITY, f64::min);
    writeln!(std::io::stdout().lock(), "{name:40} {best:10.3} ms")?;
    Ok(())
}

fn timed<T>(name: &str, rounds: usize, mut work: impl FnMut() -> Outcome<T>) -> Outcome<T> {
    let mut times = Vec::new();
    let mut last = None;
    for _ in 0..rounds {
        let start = Instant::now();
        last = Some(work()?);
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    report(name, &times)?;
    last.ok_or_else(|| "no rounds".into())
}

fn fill(root: &Path, count: usize) -> Outcome<()> {
    for i in 0..count {
        let text = format!("From: a@b\nSubject: message {i}\n\n{}\n", "x".repeat(i % 200));
        let lines = text.matches('\n').count();
        let flags = if i % 3 == 0 { "" } else { "S" };
        let name = format!(
            "{}.M{}P1Q{i}.host,S={},W={}:2,{flags}",
            1_700_000_000 + i / 10,
            i % 10,
            text.len(),
            text.len() + lines
        );
        std::fs::write(root.join("cur").join(name), text)?;
    }
    Ok(())
}

fn main() -> Outcome<()> {
    let args: Vec<String> = std::env::args().collect();
    let [_, dir, count] = args.as_slice() else { return Err("usage: store-bench DIR MESSAGES".into()) };
    let (root, count) = (Path::new(dir), count.parse::<usize>()?);
    let store = Store::open_or_create(root, StoreOptions::default())?;
    let inbox = FolderName::inbox();
    fill(root, count)?;
    std::thread::sleep(std::time::Duration::from_millis(1200));

    timed("select, never seen before", 1, || Ok(store.mailbox(&inbox, Mode::ReadWrite)?.status()))?;
    timed("select, never seen before, again", 5, || {
        for file in ["dovecot-uidlist", "pennypost.index", "pennypost.index.log"] {
            std::fs::remove_file(root.join(file))?;
        }
        Ok(store.mailbox(&inbox, Mode::ReadWrite)?.status())
    })?;
    timed("select, warm", 20, || Ok(store.mailbox(&inbox, Mode::ReadWrite)?.status()))?;
    timed("status, warm", 20, || Ok(store.status(&inbox)?))?;
    let mut m = store.mailbox(&inbox, Mode::ReadWrite)?;
    timed("sequence map", 10, || Ok(m.seq_map().len()))?;
    timed("scan of all flags", 20, || Ok(m.messages().filter(|m| m.flags.contains(Flags::SEEN)).count()))?;
    timed("refresh, nothing new", 20, || Ok(m.refresh()?.is_empty()))?;
    timed("get, 10,000 times", 5, || Ok((1..=10_000u32).filter_map(|u| m.get(u)).count()))?;
    let some = count.min(10_000) as u32;
    timed("open and read 10,000", 3, || {
        let mut all = Vec::new();
        for uid in 1..=some {
            all.clear();
            m.open_message(uid)?.read_to_end(&mut all)?;
        }
        Ok(())
    })?;
    timed("release (keeps 10,000 dates)", 1, || Ok(m.release()?))?;
    let one = FlagSet { flags: Flags::FLAGGED, keywords: Vec::new() };
    timed("store, 1,000 one by one", 3, || {
        for uid in 1..=some.min(1000) {
            let op =
                if m.get(uid).is_some_and(|m| m.flags.contains(Flags::FLAGGED)) { FlagOp::Remove } else { FlagOp::Add };
            m.store(&[uid], op, &one, None)?;
        }
        Ok(())
    })?;
    m.hold();
    timed("store, 1,000 one by one, lock held", 3, || {
        for uid in 1..=some.min(1000) {
            let op =
                if m.get(uid).is_some_and(|m| m.flags.contains(Flags::FLAGGED)) { FlagOp::Remove } else { FlagOp::Add };
            m.store(&[uid], op, &one, None)?;
        }
        Ok(())
    })?;
    m.release()?;
    let all: Vec<u32> = m.messages().map(|m| m.uid).collect();
    timed("store, all at once", 1, || {
        Ok(m.store(&all, FlagOp::Add, &FlagSet { flags: Flags::ANSWERED, keywords: Vec::new() }, None)?)
    })?;
    timed("append, 100 of 1 KiB", 1, || {
        for _ in 0..100 {
            let mut d = m.begin_append()?;
            d.write_all(&[b'x'; 1024])?;
            m.append(vec![(d.finish()?, FlagSet::default())])?;
        }
        Ok(())
    })?;
    timed("select after that", 1, || Ok(store.mailbox(&inbox, Mode::ReadWrite)?.status()))?;
    std::thread::sleep(std::time::Duration::from_millis(1200));
    timed("select with the cleaning scan", 1, || Ok(store.mailbox(&inbox, Mode::ReadWrite)?.status()))?;
    timed("select, warm again", 20, || Ok(store.mailbox(&inbox, Mode::ReadWrite)?.status()))?;
    drop(m);
    std::fs::remove_dir_all(root)?;
    Ok(())
}
