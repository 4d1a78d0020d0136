//! Blocking stub resolver with time limits.
