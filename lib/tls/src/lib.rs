//! Wrapper of OpenSSL for listen, tlsd and remote.
