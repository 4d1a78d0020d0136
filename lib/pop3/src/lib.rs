//! POP3 codec; pure.
