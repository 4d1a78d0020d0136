//! The `$6$` scheme of crypt(3).
//!
//! Standard    U. Drepper, "Unix crypt using SHA-256 and SHA-512", version 0.6 (public domain): the step numbers are its own
//! Invariants  rounds are taken between 1,000 and 999,999,999 as specified; above [`ROUNDS_MAX`] the hash is refused,
//!             for one attempt would take minutes

use sha2::{Digest, Sha512};

const ROUNDS_DEFAULT: u32 = 5000;
const ROUNDS_MAX: u32 = 10_000_000;
const ALPHABET: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Hashes `password` with the salt and rounds of `setting` (a whole hash will do); `None` for a bad setting.
pub fn sha512_crypt(password: &[u8], setting: &str) -> Option<String> {
    let rest = setting.strip_prefix("$6$")?;
    let (rounds, explicit, rest) = match rest.strip_prefix("rounds=").and_then(|r| r.split_once('$')) {
        Some((n, rest)) => (n.parse::<u32>().ok()?.clamp(1000, 999_999_999), true, rest),
        None => (ROUNDS_DEFAULT, false, rest),
    };
    let salt = rest.split('$').next()?;
    let salt = salt.get(..salt.len().min(16))?;
    if rounds > ROUNDS_MAX {
        return None;
    }
    let hash = digest(password, salt.as_bytes(), rounds);
    let prefix = if explicit { format!("$6$rounds={rounds}$") } else { "$6$".to_owned() };
    Some(format!("{prefix}{salt}${}", encode(&hash)))
}

/// `block` repeated to `len` octets.
fn stretch(block: &[u8], len: usize) -> Vec<u8> {
    block.iter().copied().cycle().take(len).collect()
}

fn digest(password: &[u8], salt: &[u8], rounds: u32) -> [u8; 64] {
    let b: [u8; 64] = Sha512::new().chain_update(password).chain_update(salt).chain_update(password).finalize().into(); // 4-8
    let mut a = Sha512::new();
    a.update(password); // 2
    a.update(salt); // 3
    a.update(stretch(&b, password.len())); // 9-10
    let mut bits = password.len(); // 11
    while bits > 0 {
        a.update(if bits & 1 == 1 { &b[..] } else { password });
        bits >>= 1;
    }
    let a: [u8; 64] = a.finalize().into(); // 12
    let mut dp = Sha512::new(); // 13-15
    (0..password.len()).for_each(|_| dp.update(password));
    let p = stretch(&dp.finalize(), password.len()); // 16
    let mut ds = Sha512::new(); // 17-19
    (0..16 + usize::from(a[0])).for_each(|_| ds.update(salt));
    let s = stretch(&ds.finalize(), salt.len()); // 20
    (0..rounds).fold(a, |previous, round| one_round(&previous, &p, &s, round)) // 21
}

fn one_round(previous: &[u8; 64], p: &[u8], s: &[u8], round: u32) -> [u8; 64] {
    let odd = round % 2 == 1;
    let mut c = Sha512::new();
    c.update(if odd { p } else { previous });
    if !round.is_multiple_of(3) {
        c.update(s);
    }
    if !round.is_multiple_of(7) {
        c.update(p);
    }
    c.update(if odd { &previous[..] } else { p });
    c.finalize().into()
}

/// Step 22: groups of three octets in a rotating order, 6 bits at a time, lowest first.
fn encode(hash: &[u8; 64]) -> String {
    let mut out = String::with_capacity(86);
    let (mut a, mut b, mut c) = (0usize, 21usize, 42usize);
    for _ in 0..21 {
        let word = u32::from(hash[a]) << 16 | u32::from(hash[b]) << 8 | u32::from(hash[c]); // all below 63
        put(&mut out, word, 4);
        (a, b, c) = (b + 1, c + 1, a + 1);
    }
    put(&mut out, u32::from(hash[63]), 2);
    out
}

fn put(out: &mut String, mut word: u32, count: usize) {
    for _ in 0..count {
        out.push(ALPHABET[(word & 63) as usize] as char); // index < 64
        word >>= 6;
    }
}

#[cfg(test)]
mod tests {
    use super::sha512_crypt;

    /// The specification's own test vectors (public domain).
    #[test]
    fn vectors() {
        for (setting, password, hash) in [
            (
                "$6$saltstring",
                "Hello world!",
                "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1",
            ),
            (
                "$6$rounds=10000$saltstringsaltstring",
                "Hello world!",
                "$6$rounds=10000$saltstringsaltst$OW1/O6BYHV6BcXZu8QVeXbDWra3Oeqh0sbHbbMCVNSnCM/UrjmM0Dp8vOuZeHBy/YTBmSK6H9qs/y3RnOaw5v.",
            ),
            (
                "$6$rounds=1400$anotherlongsaltstring",
                "a very much longer text to encrypt.  This one even stretches over morethan one line.",
                "$6$rounds=1400$anotherlongsalts$POfYwTEok97VWcjxIiSOjiykti.o/pQs.wPvMxQ6Fm7I6IoYN3CmLs66x9t0oSwbtEW7o7UmJEiDwGqd8p4ur1",
            ),
            (
                "$6$rounds=10$roundstoolow",
                "the minimum number is still observed",
                "$6$rounds=1000$roundstoolow$kUMsbe306n21p9R.FRkW3IGn.S9NPN0x50YhH1xhLsPuWGsUSklZt58jaTfF4ZEQpyUNGc0dqbpBYYBaHHrsX.",
            ),
        ] {
            assert_eq!(sha512_crypt(password.as_bytes(), setting).as_deref(), Some(hash), "{setting}");
        }
        assert_eq!(sha512_crypt(b"x", "$6$rounds=999999999$a"), None);
        assert_eq!(sha512_crypt(b"x", "$5$a"), None);
    }
}
