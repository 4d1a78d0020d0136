//! Known correspondents: people the user wrote to, as hashes in a small region of the table.
//!
//! Format      an entry is the upper 56 bits of a hash of the lower-case address, and a byte 1; sets of four, newest
//!             first
//! Trust       a sender's address proves nothing by itself: what being known counts for is decided in rules/header.rs

use crate::rules::mailbox;
use crate::table::{SENDER_BITS, Table};
use crate::view::{fields, split_header};

const WAYS: usize = 4;
/// Recipients of one message that are noted.
const RECIPIENTS_MAX: usize = 100;

fn entry(address: &str) -> (usize, u64) {
    let hash = address
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325u64, |h, b| (h ^ u64::from(b.to_ascii_lowercase())).wrapping_mul(0x100_0000_01b3));
    let hash = (hash ^ hash >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (hash as usize % ((1 << SENDER_BITS) / WAYS) * WAYS, hash & !0xFF | 1)
}

/// The user wrote to this address.
pub fn is_known<B: AsRef<[u8]>>(table: &Table<B>, address: &str) -> bool {
    let (set, entry) = entry(address);
    !address.is_empty() && (set..set + WAYS).any(|i| table.sender(i) == entry)
}

/// Notes one address.
pub fn note(table: &mut Table<Vec<u8>>, address: &str) {
    let (set, mut carry) = entry(address);
    let new = carry;
    for i in set..set + WAYS {
        let old = table.sender(i);
        table.set_sender(i, carry);
        if old == new {
            break;
        }
        carry = old;
    }
}

/// Notes everybody a sent message went to.
pub fn note_recipients(table: &mut Table<Vec<u8>>, message: &[u8]) {
    let (header, _) = split_header(message);
    let fields = fields(header);
    let to = fields.iter().filter(|f| ["to", "cc", "bcc"].iter().any(|n| f.name.eq_ignore_ascii_case(n.as_bytes())));
    for address in to.flat_map(|f| f.value.split(|&c| c == b',')).take(RECIPIENTS_MAX) {
        let (_, address) = mailbox(address);
        if address.contains('@') {
            note(table, &address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recipients_become_known() {
        let mut t = Table::empty();
        note_recipients(&mut t, b"To: Ann <ANN@x.example>, bob@y.example\nCc: c@z.example\n\nTo: not@this.example\n");
        for known in ["ann@x.example", "bob@y.example", "C@z.example"] {
            assert!(is_known(&t, known), "{known}");
        }
        assert!(!is_known(&t, "not@this.example") && !is_known(&t, ""));
    }
}
