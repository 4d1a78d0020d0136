//! The table file: fixed size, one header, then regions of cells. Bytes only, no I/O.
//!
//! Format      little endian. 4 KiB header, then the regions at fixed places (constants below). Specified for
//!             other programs in spamcheck(1), section FILES
//! Invariants  1. a table is [`SIZE`] octets or it is none   2. the header checksum covers the header, the payload
//!             checksum all the rest: readers on the hot path check the first, writers both   3. any cell value is
//!             harmless: a wrong one costs accuracy, nothing else
//! Failures    [`Bad`], in words
//! Trust       a file somebody may have damaged

/// Cells of 4-gram weights, for each of [`GRAM_REGIONS`] views: 2 to this power.
pub const GRAM_BITS: u32 = 17;
/// Views with 4-gram weights.
pub const GRAM_REGIONS: usize = 3;
/// Cells of word counts.
pub const COUNT_BITS: u32 = 20;
/// Entries of the log of learned messages.
pub const LOG_BITS: u32 = 14;
/// Entries of the sender region.
pub const SENDER_BITS: u32 = 12;

const MAGIC: &[u8; 8] = b"PPSPAM\r\n";
/// Version of this layout and of the features behind it: weights of another feature set are rubbish.
pub const VERSION: u32 = 1;
const HEADER: usize = 4096;
const LOG: usize = HEADER;
const SENDERS: usize = LOG + (8 << LOG_BITS);
const GRAMS: usize = SENDERS + (8 << SENDER_BITS);
const COUNTS: usize = GRAMS + GRAM_REGIONS * (2 << GRAM_BITS);
/// Octets of a table file.
pub const SIZE: usize = COUNTS + (3 << COUNT_BITS);
/// Everything learned fits in 4 MiB.
const _: () = assert!(SIZE <= 4 << 20);

/// Header fields, by offset.
mod at {
    pub const VERSION: usize = 8;
    pub const SIZE: usize = 16;
    pub const GENERATION: usize = 24;
    pub const HAM: usize = 32;
    pub const SPAM: usize = 40;
    pub const UPDATED: usize = 48;
    pub const COUNTED_HAM: usize = 56;
    pub const COUNTED_SPAM: usize = 64;
    pub const PAYLOAD_SUM: usize = 72;
    pub const HEADER_SUM: usize = 80;
    pub const END: usize = 88;
}

/// Why bytes are not a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bad {
    /// Not the size of a table.
    Size(u64),
    /// Does not begin as a table does.
    Magic,
    /// Written by another version.
    Version(u32),
    /// The header is damaged.
    Header,
    /// The cells are damaged.
    Payload,
}

impl std::fmt::Display for Bad {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Bad::Size(n) => write!(f, "table is {n} bytes long, not {SIZE}: truncated or not a table"),
            Bad::Magic => f.write_str("not a spamcheck table"),
            Bad::Version(v) => write!(f, "table has version {v}, this program reads version {VERSION}"),
            Bad::Header => f.write_str("table header is damaged (checksum)"),
            Bad::Payload => f.write_str("table cells are damaged (checksum)"),
        }
    }
}

impl std::error::Error for Bad {}

/// A checked table over borrowed or owned bytes.
#[derive(Debug, Clone)]
pub struct Table<B> {
    bytes: B,
}

/// Counters have 12 bits: exact below this, then in steps.
const EXACT: u32 = 2048;
const STEP: u32 = 16;

fn expand(code: u32) -> u32 {
    if code < EXACT { code } else { EXACT + (code - EXACT) * STEP }
}

fn compress(count: u32, chance: u32) -> u32 {
    if count < EXACT {
        return count;
    }
    let beyond = count - EXACT;
    (EXACT + beyond / STEP + u32::from(chance % STEP < beyond % STEP)).min(4095)
}

fn gram_at(region: usize, cell: u32) -> usize {
    GRAMS + region * (2 << GRAM_BITS) + 2 * cell as usize
}

fn sum(bytes: &[u8]) -> u64 {
    let mut lanes = [0x9E37_79B9_7F4A_7C15u64; 4];
    for block in bytes.chunks(32) {
        for (lane, word) in lanes.iter_mut().zip(block.chunks(8)) {
            let mut eight = [0; 8];
            eight.iter_mut().zip(word).for_each(|(e, w)| *e = *w);
            *lane = (*lane ^ u64::from_le_bytes(eight)).wrapping_mul(0x9FB2_1C65_1E98_DF25).rotate_left(29);
        }
    }
    lanes.iter().fold(bytes.len() as u64, |h, l| (h ^ l).wrapping_mul(0x9FB2_1C65_1E98_DF25).rotate_left(31))
}

impl<B: AsRef<[u8]>> Table<B> {
    /// Checks size, magic, version and header checksum; touches one page.
    pub fn open(bytes: B) -> Result<Table<B>, Bad> {
        let b = bytes.as_ref();
        if b.get(..8).is_some_and(|m| m != MAGIC) {
            return Err(Bad::Magic);
        }
        let table = Table { bytes };
        match table.u32_at(at::VERSION) {
            _ if table.bytes.as_ref().len() < HEADER => Err(Bad::Size(table.bytes.as_ref().len() as u64)),
            v if v != VERSION => Err(Bad::Version(v)),
            _ if table.bytes.as_ref().len() != SIZE => Err(Bad::Size(table.bytes.as_ref().len() as u64)),
            _ if table.u64_at(at::SIZE) != SIZE as u64 || table.u64_at(at::HEADER_SUM) != table.header_sum() => {
                Err(Bad::Header)
            }
            _ => Ok(table),
        }
    }

    /// Checks every octet.
    pub fn verify(&self) -> Result<(), Bad> {
        if self.u64_at(at::PAYLOAD_SUM) == sum(self.slice(HEADER, SIZE)) { Ok(()) } else { Err(Bad::Payload) }
    }

    fn header_sum(&self) -> u64 {
        sum(self.slice(0, at::HEADER_SUM)) ^ sum(self.slice(at::END, HEADER))
    }

    fn slice(&self, from: usize, to: usize) -> &[u8] {
        self.bytes.as_ref().get(from..to).unwrap_or(b"")
    }

    fn array<const N: usize>(&self, at: usize) -> [u8; N] {
        self.bytes.as_ref().get(at..at + N).and_then(|b| b.try_into().ok()).unwrap_or([0; N])
    }

    fn u32_at(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.array(at))
    }

    fn u64_at(&self, at: usize) -> u64 {
        u64::from_le_bytes(self.array(at))
    }

    /// Ham and spam messages learned.
    pub fn trained(&self) -> (u64, u64) {
        (self.u64_at(at::HAM), self.u64_at(at::SPAM))
    }

    /// Ham and spam messages behind the word counts; halved together with them.
    pub fn counted(&self) -> (u64, u64) {
        (self.u64_at(at::COUNTED_HAM), self.u64_at(at::COUNTED_SPAM))
    }

    /// How often the file was replaced.
    pub fn generation(&self) -> u64 {
        self.u64_at(at::GENERATION)
    }

    /// Time of the last update, seconds since 1970.
    pub fn updated(&self) -> u64 {
        self.u64_at(at::UPDATED)
    }

    /// One 4-gram weight, raw.
    pub fn gram(&self, region: usize, cell: u32) -> i16 {
        i16::from_le_bytes(self.array(gram_at(region, cell)))
    }

    /// How many ham and spam messages held the words of this cell.
    pub fn count(&self, cell: u32) -> (u32, u32) {
        let [a, b, c] = self.array(COUNTS + 3 * cell as usize).map(u32::from);
        (expand(a | (b & 0xF) << 8), expand(b >> 4 | c << 4))
    }

    /// One entry of the log of learned messages.
    pub fn log(&self, index: usize) -> u64 {
        self.u64_at(LOG + 8 * (index & ((1 << LOG_BITS) - 1)))
    }

    /// One entry of the sender region.
    pub fn sender(&self, index: usize) -> u64 {
        self.u64_at(SENDERS + 8 * (index & ((1 << SENDER_BITS) - 1)))
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.as_ref()
    }
}

impl Table<Vec<u8>> {
    /// An untrained table.
    pub fn empty() -> Table<Vec<u8>> {
        let mut table = Table { bytes: vec![0; SIZE] };
        table.put(0, MAGIC);
        table.put(at::VERSION, &VERSION.to_le_bytes());
        table.put(at::SIZE, &(SIZE as u64).to_le_bytes());
        table
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        if let Some(slot) = self.bytes.get_mut(at..at + bytes.len()) {
            slot.copy_from_slice(bytes);
        }
    }

    /// Stamps generation, time and checksums; call before writing the bytes out.
    pub fn seal(&mut self, now: u64) -> &[u8] {
        let generation = self.generation() + 1;
        self.put(at::GENERATION, &generation.to_le_bytes());
        self.put(at::UPDATED, &now.to_le_bytes());
        let payload = sum(self.slice(HEADER, SIZE));
        self.put(at::PAYLOAD_SUM, &payload.to_le_bytes());
        let header = self.header_sum();
        self.put(at::HEADER_SUM, &header.to_le_bytes());
        &self.bytes
    }

    /// Sets the numbers of messages learned.
    pub fn set_trained(&mut self, ham: u64, spam: u64) {
        self.put(at::HAM, &ham.to_le_bytes());
        self.put(at::SPAM, &spam.to_le_bytes());
    }

    /// Sets the numbers of messages behind the counts.
    pub fn set_counted(&mut self, ham: u64, spam: u64) {
        self.put(at::COUNTED_HAM, &ham.to_le_bytes());
        self.put(at::COUNTED_SPAM, &spam.to_le_bytes());
    }

    /// Sets one 4-gram weight.
    pub fn set_gram(&mut self, region: usize, cell: u32, value: i16) {
        self.put(gram_at(region, cell), &value.to_le_bytes());
    }

    /// Sets one pair of counts; large ones are rounded by `chance`, any evenly spread number.
    pub fn set_count(&mut self, cell: u32, ham: u32, spam: u32, chance: u32) {
        let (h, s) = (compress(ham, chance), compress(spam, chance >> 8));
        self.put(COUNTS + 3 * cell as usize, &[h as u8, (h >> 8 | (s & 0xF) << 4) as u8, (s >> 4) as u8]);
    }

    /// Sets one log entry.
    pub fn set_log(&mut self, index: usize, value: u64) {
        self.put(LOG + 8 * (index & ((1 << LOG_BITS) - 1)), &value.to_le_bytes());
    }

    /// Sets one sender entry.
    pub fn set_sender(&mut self, index: usize, value: u64) {
        self.put(SENDERS + 8 * (index & ((1 << SENDER_BITS) - 1)), &value.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed() -> Vec<u8> {
        let mut t = Table::empty();
        t.set_gram(1, 7, -3);
        t.set_count((1 << COUNT_BITS) - 1, 1, 2047, 0);
        t.set_trained(5, 6);
        t.seal(1).to_vec()
    }

    #[test]
    fn what_was_written_is_read() {
        let t = Table::open(sealed()).unwrap();
        assert_eq!((t.gram(1, 7), t.gram(0, 7), t.trained(), t.generation()), (-3, 0, (5, 6), 1));
        assert_eq!(t.count((1 << COUNT_BITS) - 1), (1, 2047));
        assert_eq!(t.verify(), Ok(()));
    }

    #[test]
    fn large_counts_grow_on_average() {
        let mut t = Table::empty();
        for n in 0..30_000u32 {
            let (ham, spam) = t.count(5);
            t.set_count(5, ham + 1, spam, crate::feature::mix(n));
        }
        let (ham, spam) = t.count(5);
        assert!((28_000..32_000).contains(&ham), "{ham}");
        assert_eq!((spam, t.count(4), t.count(6)), (0, (0, 0), (0, 0)));
    }

    #[test]
    fn damage_is_told_apart() {
        let good = sealed();
        assert_eq!(Table::open(&good[..SIZE - 1]).err(), Some(Bad::Size(SIZE as u64 - 1)));
        assert_eq!(Table::open(&good[..40]).err(), Some(Bad::Size(40)));
        assert_eq!(Table::open(b"".as_slice()).err(), Some(Bad::Size(0)));
        assert_eq!(Table::open(vec![b'x'; SIZE]).err(), Some(Bad::Magic));
        let mut v = good.clone();
        v[8] = 9;
        assert_eq!(Table::open(v).err(), Some(Bad::Version(9)));
        for (at, open, verify) in [(33, Some(Bad::Header), None), (SIZE - 1, None, Some(Bad::Payload))] {
            let mut v = good.clone();
            v[at] ^= 1;
            match Table::open(v) {
                Err(e) => assert_eq!(Some(e), open),
                Ok(t) => assert_eq!(t.verify().err(), verify),
            }
        }
    }
}
