//! Temporary directories, fake servers, dialogue player for tests.
