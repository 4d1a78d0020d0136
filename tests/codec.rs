//! The codecs of IMAP, POP3 and ManageSieve under seeded mutations: cuts change nothing, values read back, framing holds.
//!
//! The functions are those of the fuzz driver (tests/fuzz); here each runs a fixed number of inputs, the same every time
//! (`CODEC_INPUTS`, 1,500).

#[path = "fuzz/src/targets/mail.rs"]
mod mail;
#[path = "fuzz/src/mutate.rs"]
mod mutate;

/// What the driver calls a target.
pub struct Target {
    /// For failures.
    pub name: &'static str,
    /// Panics where an invariant breaks.
    pub run: fn(&[u8]),
    /// Inputs to begin with.
    pub seeds: &'static [&'static [u8]],
}

#[test]
fn every_target_holds() {
    let inputs = std::env::var("CODEC_INPUTS").ok().and_then(|n| n.parse().ok()).unwrap_or(1500);
    for target in mail::TARGETS {
        let seeds: Vec<Vec<u8>> = target.seeds.iter().map(|s| s.to_vec()).collect();
        let mut random = mutate::Rng(1);
        let mutated = std::iter::repeat_with(|| mutate::mutate(&seeds, &mut random)).take(inputs);
        for input in seeds.iter().cloned().chain(mutated) {
            let run = std::panic::catch_unwind(|| (target.run)(&input));
            assert!(run.is_ok(), "{}: {:?}", target.name, String::from_utf8_lossy(&input));
        }
    }
}
