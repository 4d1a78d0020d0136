//! IMAP codec: command grammar and response writing; pure.
