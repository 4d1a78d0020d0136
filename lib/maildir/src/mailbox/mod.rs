//! One mailbox: messages with UIDs, flags, keywords and modification sequences, in step with the disk.
//!
//! Standards   RFC 9051 and 3501 (UIDs, flags), 7162 (modseq), 4315 (UIDPLUS); Dovecot's files on disk
//! Invariants  1. no UID, UIDNEXT or UIDVALIDITY is returned before its uidlist line is on stable storage
//!             2. a UID never names two messages; modseqs never fall, not even when the index is lost
//!             3. a message is reported expunged only after its file was missing twice, under the lock
//!
//! A session keeps its own sequence numbers (`SeqMap`) and calls `refresh` where the protocol lets it report changes.
//! Every method that changes something first takes in what others did; that is reported by the next `refresh`, while
//! what the method itself did is in its return value only.

mod types;

pub use types::{Appended, Changes, Copied, FlagOp, FlagSet, Guid, Keywords, Message, Mode, Status, Stored, Vanished};
