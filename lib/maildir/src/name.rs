//! Message file names: making unique ones, taking them apart, flags in the info part.
//!
//! Standards   maildir(5) (D. J. Bernstein), Maildir++ sizes in names; letters as Dovecot writes them
//! Format      `<sec>.M<usec>P<pid>Q<n>.<host>,S=<octets on disk>,W=<octets with CRLF>` then `:2,<flags sorted>[,<rest>]`
//! Invariants  1. a base name (all before the first ':') never changes during the life of a message
//!             2. no two names made by this process are equal
//!             3. flag letters that are not understood, and a second flag set after ',', are kept in place
//! Trust       names come from the disk of the mailbox's owner: any bytes, never a panic

use std::cmp::Ordering;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering as Atomic};

/// The system flags of a message (RFC 9051 2.3.2) as a set of bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flags(pub u8);

impl Flags {
    /// `\Draft`, letter D.
    pub const DRAFT: Flags = Flags(1);
    /// `\Flagged`, letter F.
    pub const FLAGGED: Flags = Flags(2);
    /// `\Answered`, letter R.
    pub const ANSWERED: Flags = Flags(4);
    /// `\Seen`, letter S.
    pub const SEEN: Flags = Flags(8);
    /// `\Deleted`, letter T.
    pub const DELETED: Flags = Flags(16);
    /// No flag.
    pub const NONE: Flags = Flags(0);

    /// The flags by the names that IMAP and Sieve give them.
    pub const NAMES: [(&str, Flags); 5] = [
        ("\\Answered", Flags::ANSWERED),
        ("\\Deleted", Flags::DELETED),
        ("\\Draft", Flags::DRAFT),
        ("\\Flagged", Flags::FLAGGED),
        ("\\Seen", Flags::SEEN),
    ];

    /// The flag of a name, in any letter case.
    pub fn named(name: &str) -> Option<Flags> {
        Flags::NAMES.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, flag)| *flag)
    }

    /// True if all of `other` are in the set.
    pub fn contains(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both sets together.
    pub fn union(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }

    /// This set without the other.
    pub fn minus(self, other: Flags) -> Flags {
        Flags(self.0 & !other.0)
    }
}

/// Letters in the order of the bits of [`Flags`], which is also their sorted order.
const LETTERS: [(u8, Flags); 5] = [
    (b'D', Flags::DRAFT),
    (b'F', Flags::FLAGGED),
    (b'R', Flags::ANSWERED),
    (b'S', Flags::SEEN),
    (b'T', Flags::DELETED),
];

/// Keywords that have a letter (a to z).
pub const LETTER_KEYWORDS: u32 = 26;

/// The info part of a name: flags, keyword letters, and what is kept unread.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Info {
    /// System flags.
    pub flags: Flags,
    /// Keyword letters, bit 0 = 'a' ... bit 25 = 'z'.
    pub letters: u32,
    /// Flag letters not understood (P, digits, ...), in order.
    pub other: Vec<u8>,
    /// From the second ',' on (with it), kept unchanged.
    pub rest: Vec<u8>,
}

impl Info {
    /// Reads what follows the base name: empty, or `:2,...`; anything else yields no flags.
    pub fn parse(info: &[u8]) -> Info {
        let mut out = Info::default();
        let Some(letters) = info.strip_prefix(b":2,") else { return out };
        for (i, &c) in letters.iter().enumerate() {
            match c {
                b',' => {
                    out.rest = letters.get(i..).unwrap_or_default().to_vec();
                    break;
                }
                b'a'..=b'z' => out.letters |= 1 << (c - b'a'),
                _ => out.push_letter(c),
            }
        }
        out
    }

    fn push_letter(&mut self, c: u8) {
        match LETTERS.iter().find(|(l, _)| *l == c) {
            Some((_, flag)) => self.flags = self.flags.union(*flag),
            None if !self.other.contains(&c) => self.other.push(c),
            None => {}
        }
    }

    /// Writes `:2,` and the letters in ASCII order, then the kept rest.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b":2,");
        let start = out.len();
        out.extend(LETTERS.iter().filter(|(_, f)| self.flags.contains(*f)).map(|(l, _)| *l));
        out.extend_from_slice(&self.other);
        out.extend((0..LETTER_KEYWORDS as u8).filter(|i| self.letters & (1 << i) != 0).map(|i| b'a' + i));
        if !self.other.is_empty() {
            out.get_mut(start..).unwrap_or_default().sort_unstable();
        }
        out.extend_from_slice(&self.rest);
    }
}

/// Splits a file name into base name and info (`:...` or empty) at the first ':'.
pub fn split(name: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memchr(b':', name) {
        Some(i) => name.split_at(i),
        None => (name, b""),
    }
}

/// A whole file name from base name and info.
pub fn join(base: &[u8], info: &Info) -> Vec<u8> {
    let mut out = Vec::with_capacity(base.len() + 12);
    out.extend_from_slice(base);
    info.write(&mut out);
    out
}

/// The values of `,S=` and `,W=` in a name, each if it is all digits up to ':' ',' or the end.
pub fn sizes(name: &[u8]) -> (Option<u64>, Option<u64>) {
    let (base, _) = split(name);
    let mut out = (None, None);
    let mut rest = base;
    while let Some(comma) = memchr::memchr(b',', rest) {
        rest = rest.get(comma + 1..).unwrap_or_default();
        let (key, digits) = match rest {
            [key @ (b'S' | b'W'), b'=', digits @ ..] => (*key, digits),
            _ => continue,
        };
        let end = memchr::memchr(b',', digits).unwrap_or(digits.len());
        let value = decimal(digits.get(..end).unwrap_or_default());
        let slot = if key == b'S' { &mut out.0 } else { &mut out.1 };
        *slot = slot.or(value);
    }
    out
}

/// A non-empty decimal number that fits.
pub(crate) fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |n, &c| {
        let d = c.checked_sub(b'0').filter(|d| *d < 10)?;
        n.checked_mul(10)?.checked_add(u64::from(d))
    })
}

/// Octets on disk as the name says (`,S=`).
pub fn physical_size(name: &[u8]) -> Option<u64> {
    sizes(name).0
}

/// Octets with CRLF line ends as the name says (`,W=`), which is RFC822.SIZE.
pub fn virtual_size(name: &[u8]) -> Option<u64> {
    sizes(name).1
}

/// The leading seconds of a name: when it was made, by convention.
pub fn seconds(name: &[u8]) -> Option<u64> {
    decimal(name.split(|&c| c == b'.').next().unwrap_or_default())
}

/// The number after the first 'M' of the second dot-separated part.
fn microseconds(base: &[u8]) -> u64 {
    let part = base.split(|&c| c == b'.').nth(1).unwrap_or_default();
    let Some(m) = memchr::memchr(b'M', part) else { return 0 };
    let digits = part.get(m + 1..).unwrap_or_default();
    let end = digits.iter().position(|c| !c.is_ascii_digit()).unwrap_or(digits.len());
    decimal(digits.get(..end).unwrap_or_default()).unwrap_or(0)
}

/// The numbers that order new files: leading seconds, microseconds (as Dovecot takes them).
pub fn arrival_key(name: &[u8]) -> (u64, u64) {
    let base = split(name).0;
    let end = base.iter().position(|c| !c.is_ascii_digit()).unwrap_or(base.len());
    (decimal(base.get(..end).unwrap_or_default()).unwrap_or(0), microseconds(base))
}

/// The order in which new files get UIDs: seconds, then microseconds, then bytes.
pub fn arrival_order(a: &[u8], b: &[u8]) -> Ordering {
    arrival_key(a).cmp(&arrival_key(b)).then_with(|| split(a).0.cmp(split(b).0))
}

/// A new unique name without sizes: `<sec>.M<usec>P<pid>Q<n>.<host>`.
pub fn unique() -> String {
    static LAST: Mutex<u128> = Mutex::new(0);
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let now = penny_sys::time::now().as_micros();
    // A clock that stands still or goes back must not give a time twice, so that names of one process also sort.
    let time = {
        let mut last = LAST.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *last = now.max(*last + 1);
        *last
    };
    let n = COUNT.fetch_add(1, Atomic::Relaxed);
    let (sec, usec) = (time / 1_000_000, time % 1_000_000);
    format!("{sec}.M{usec:06}P{}Q{n}.{}", std::process::id(), host())
}

/// The host name with '/' and ':' written as maildir(5) asks, and no ',' that could look like a size.
fn host() -> &'static str {
    static HOST: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    HOST.get_or_init(|| penny_sys::files::host_name().replace('/', "\\057").replace(':', "\\072").replace(',', "\\054"))
}

/// A name with its sizes: `<unique>,S=<n>,W=<n>`.
pub fn with_sizes(unique: &str, physical: u64, virtual_: u64) -> String {
    format!("{unique},S={physical},W={virtual_}")
}

/// The same bytes as a path component.
pub(crate) fn os(name: &[u8]) -> &OsStr {
    OsStr::from_bytes(name)
}

/// A 64-bit FNV-1a hash of a base name: the key of cache records and in-memory tables.
pub fn hash(base: &[u8]) -> u64 {
    base.iter().fold(0xcbf2_9ce4_8422_2325, |h, &b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn info_keeps_what_it_does_not_know() {
        for text in [":2,", ":2,S", ":2,DFRSTabz", ":2,PS", ":2,FSc,extra,x", ":2,1PRS"] {
            let info = Info::parse(text.as_bytes());
            let mut out = Vec::new();
            info.write(&mut out);
            assert_eq!(String::from_utf8(out).unwrap(), text);
        }
        assert_eq!(Info::parse(b":2,SFba").letters, 3);
        let mut sorted = Vec::new();
        Info::parse(b":2,SFbaSS").write(&mut sorted);
        assert_eq!(sorted, b":2,FSab");
        assert_eq!(Info::parse(b":1,S").flags, Flags::NONE);
        assert_eq!(Info::parse(b"").flags, Flags::NONE);
    }

    #[test]
    fn sizes_as_dovecot_reads_them() {
        let name = b"1795409907.M106194P10901.vm,S=75,W=81:2,Fbc";
        assert_eq!(physical_size(name), Some(75));
        assert_eq!(virtual_size(name), Some(81));
        assert_eq!(physical_size(b"1.x.h,S=7x:2,"), None);
        assert_eq!(physical_size(b"1.x.h,S=:2,"), None);
        assert_eq!(physical_size(b"1.x.h:2,S=5"), None);
        assert_eq!(physical_size(b"1.x,S=99999999999999999999999"), None);
    }

    #[test]
    fn arrival_order_is_by_seconds_then_microseconds_then_bytes() {
        let mut names: Vec<&[u8]> = vec![b"10.M5P1.h", b"9.M9P1.h", b"10.M10P1.h", b"10.M5P0.h", b"x", b"10.P3.h"];
        names.sort_by(|a, b| arrival_order(a, b));
        assert_eq!(names, vec![b"x" as &[u8], b"9.M9P1.h", b"10.P3.h", b"10.M5P0.h", b"10.M5P1.h", b"10.M10P1.h"]);
    }

    #[test]
    fn names_are_unique_and_rise() {
        let names: Vec<String> = (0..1000).map(|_| unique()).collect();
        for pair in names.windows(2) {
            assert_eq!(arrival_order(pair[0].as_bytes(), pair[1].as_bytes()), Ordering::Less, "{pair:?}");
        }
        assert!(!names[0].contains(['/', ':', ',']));
    }
}
