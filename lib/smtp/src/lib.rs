//! SMTP and LMTP codec and reply parsing; pure.
