//! Queue entry format, states, journal, client of enqueue.
