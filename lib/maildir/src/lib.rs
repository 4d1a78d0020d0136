//! Maildir++ store: delivery, UID list, flags, index, quota.
