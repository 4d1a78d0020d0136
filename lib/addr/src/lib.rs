//! Mailbox, domain and path types (RFC 5321, 5322, 6531); pure.
