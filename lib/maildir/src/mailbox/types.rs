//! The values that pass between a mailbox and its user.

use crate::name::Flags;

/// A message as the mailbox knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// UID (RFC 9051 2.3.1.1).
    pub uid: u32,
    /// System flags.
    pub flags: Flags,
    /// Keywords by their number in this mailbox; names from `Mailbox::keywords`.
    pub keywords: Keywords,
    /// `\Recent` in this session (RFC 3501 2.3.2).
    pub recent: bool,
    /// Modification sequence (RFC 7162).
    pub modseq: u64,
    /// RFC822.SIZE if known without reading the message; else ask `Mailbox::virtual_size`.
    pub virtual_size: Option<u64>,
    /// INTERNALDATE in Unix seconds if known without stat(2); else ask `Mailbox::internal_date`.
    pub internal_date: Option<i64>,
    /// SAVEDATE in Unix seconds (RFC 8514): when the message came into this mailbox.
    pub save_date: i64,
}

/// A set of keyword numbers, 0 to 63.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Keywords(pub u64);

impl Keywords {
    /// The set of one.
    pub fn one(number: u32) -> Keywords {
        Keywords(1u64.checked_shl(number).unwrap_or(0))
    }

    /// True if the number is in the set.
    pub fn has(self, number: u32) -> bool {
        self.0 & Keywords::one(number).0 != 0
    }

    /// The numbers, rising.
    pub fn iter(self) -> impl Iterator<Item = u32> {
        (0..64).filter(move |n| self.has(*n))
    }
}

/// How a mailbox is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// EXAMINE, STATUS: mail stays in new/, `\Recent` is not claimed, changes are refused.
    ReadOnly,
    /// SELECT, POP3: mail moves from new/ to cur/, this session claims `\Recent`.
    ReadWrite,
    /// The target of APPEND, COPY and MOVE: may change, claims nothing.
    Target,
}

/// What `Mailbox::refresh` found; all lists are sorted by UID and name messages once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Messages that are new; they have a UID on stable storage.
    pub new: Vec<u32>,
    /// Messages whose flags or keywords were changed by others.
    pub flags: Vec<u32>,
    /// Messages that are gone; their last state stays readable by `Mailbox::get` until `Mailbox::forget`.
    pub expunged: Vec<u32>,
    /// True when a keyword was added to the mailbox (FLAGS and PERMANENTFLAGS are to be sent again).
    pub keywords: bool,
}

impl Changes {
    /// True if nothing changed.
    pub fn is_empty(&self) -> bool {
        self.new.is_empty() && self.flags.is_empty() && self.expunged.is_empty() && !self.keywords
    }
}

/// STATUS and SELECT in O(1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// MESSAGES
    pub messages: u32,
    /// RECENT
    pub recent: u32,
    /// UNSEEN: how many lack `\Seen`.
    pub unseen: u32,
    /// DELETED: how many have `\Deleted` (RFC 9051).
    pub deleted: u32,
    /// UIDNEXT
    pub uidnext: u32,
    /// UIDVALIDITY
    pub uidvalidity: u32,
    /// HIGHESTMODSEQ
    pub highest_modseq: u64,
    /// SIZE: the sum of RFC822.SIZE (RFC 8438).
    pub size: u64,
    /// Octets of the deleted messages on disk (DELETED-STORAGE, RFC 9208).
    pub deleted_storage: u64,
    /// MAILBOXID (RFC 8474) and Dovecot's mailbox GUID.
    pub guid: Guid,
}

/// A 128-bit mailbox identity, written as 32 lower-case hexadecimal digits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Guid(pub [u8; 16]);

impl std::fmt::Display for Guid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl Guid {
    /// Reads 32 hexadecimal digits.
    pub fn parse(text: &[u8]) -> Option<Guid> {
        let text = std::str::from_utf8(text).ok().filter(|t| t.len() == 32 && t.is_ascii())?;
        let mut out = [0u8; 16];
        for (i, byte) in out.iter_mut().enumerate() {
            *byte = u8::from_str_radix(text.get(2 * i..2 * i + 2)?, 16).ok()?;
        }
        Some(Guid(out))
    }
}

/// What STORE does with the flags it names (RFC 9051 6.4.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlagOp {
    /// FLAGS: these and no others.
    Set,
    /// +FLAGS
    Add,
    /// -FLAGS
    Remove,
}

/// Flags and keyword names as a client gives them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FlagSet {
    /// System flags; `\Recent` is not settable.
    pub flags: Flags,
    /// Keyword names (atoms); compared without regard to ASCII case.
    pub keywords: Vec<String>,
}

impl FlagSet {
    /// From names as IMAP and Sieve write them; with a backslash, those no client may set (`\Recent`) are left out.
    pub fn of(names: impl IntoIterator<Item = impl AsRef<str>>) -> FlagSet {
        let mut set = FlagSet::default();
        for name in names {
            let name = name.as_ref();
            match Flags::named(name) {
                Some(flag) => set.flags = set.flags.union(flag),
                None if name.starts_with('\\') => {}
                None => set.keywords.push(name.to_owned()),
            }
        }
        set
    }
}

/// The result of `Mailbox::store`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// Messages that now have the flags asked for, whether or not anything changed; sorted.
    pub done: Vec<u32>,
    /// Those of `done` whose flags really changed (they got a new modseq); sorted.
    pub changed: Vec<u32>,
    /// Refused because of UNCHANGEDSINCE (RFC 7162 3.1.3: MODIFIED); sorted.
    pub modified: Vec<u32>,
    /// Not there any more; sorted.
    pub gone: Vec<u32>,
}

/// The result of COPY or MOVE (RFC 4315 COPYUID).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// UIDVALIDITY of the target.
    pub uidvalidity: u32,
    /// (UID here, UID in the target), in the order of the source.
    pub pairs: Vec<(u32, u32)>,
    /// Not there any more.
    pub gone: Vec<u32>,
}

/// The result of APPEND (RFC 4315 APPENDUID).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Appended {
    /// UIDVALIDITY of the mailbox.
    pub uidvalidity: u32,
    /// UIDs in the order of the messages.
    pub uids: Vec<u32>,
}

/// What has gone since a modseq (RFC 7162 VANISHED (EARLIER)).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vanished {
    /// UIDs expunged since, as sorted inclusive ranges.
    pub ranges: Vec<(u32, u32)>,
    /// False when the record does not reach back that far: then every UID below UIDNEXT that is not in the mailbox
    /// has to be reported (RFC 7162 3.2.5.2 allows it), and `ranges` is exactly that list.
    pub exact: bool,
}
