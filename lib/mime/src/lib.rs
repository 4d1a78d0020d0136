//! Message and header parsing and building (RFC 5322, 2045-2047, 2231); pure.
