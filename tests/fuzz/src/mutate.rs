//! Seeded mutations: flips, cuts, copies, splices, and octets that mean something in mail.

/// A small generator (SplitMix64); the same seed gives the same run.
pub struct Rng(pub u64);

impl Rng {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound.max(1) as u64).unwrap_or(0)
    }
}

const TOKENS: [&[u8]; 24] = [
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b":",
    b";",
    b"=",
    b"%{",
    b"}",
    b"\"",
    b"\\",
    b"(",
    b")",
    b"<",
    b">",
    b"@",
    b".",
    b"/",
    b",",
    b" ",
    b"\t",
    b"\xff",
    b"\xc0\x0c",
    b"18446744073709551616",
];

/// One new input from the corpus.
pub fn mutate(corpus: &[Vec<u8>], rng: &mut Rng) -> Vec<u8> {
    let mut input = corpus.get(rng.below(corpus.len())).cloned().unwrap_or_default();
    for _ in 0..=rng.below(6) {
        let at = rng.below(input.len() + 1);
        match rng.below(7) {
            0 => input.splice(at..at, TOKENS[rng.below(TOKENS.len())].iter().copied()).for_each(drop),
            1 if at < input.len() => input[at] ^= 1 << rng.below(8),
            2 => input.truncate(at),
            3 => {
                let end = (at + rng.below(32)).min(input.len());
                input.drain(at..end);
            }
            4 => {
                let end = (at + rng.below(64)).min(input.len());
                let copy = input[at..end].repeat(1 + rng.below(8));
                input.splice(at..at, copy);
            }
            5 => {
                let other = &corpus[rng.below(corpus.len())];
                let from = rng.below(other.len() + 1);
                input.truncate(at);
                input.extend_from_slice(&other[from..]);
            }
            _ => input.insert(at, u8::try_from(rng.below(256)).unwrap_or(0)),
        }
    }
    input.truncate(64 * 1024);
    input
}
