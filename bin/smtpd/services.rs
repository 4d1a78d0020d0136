//! The connections smtpd holds after it has confined itself.

use penny_base::services::{Lookup, Spawn};
use penny_base::{Config, Failure};
use penny_queue::client::Enqueue;

/// Open connections.
pub struct Services {
    /// Tables, counters.
    pub lookup: Lookup,
    /// Filters, checkauth, deliver.
    pub spawn: Spawn,
    /// The queue.
    pub enqueue: Enqueue,
}

impl Services {
    /// Opens all of them.
    pub fn connect(config: &Config) -> Result<Services, Failure> {
        let mut spawn = Spawn::connect(config).map_err(|e| Failure::io("spawn", &e))?;
        let lookup = Lookup::connect(config, Some(&mut spawn)).map_err(|e| Failure::io("lookup", &e))?;
        let enqueue = Enqueue::connect(config, Some(&mut spawn)).map_err(|e| Failure::io("enqueue", &e))?;
        Ok(Services { lookup, spawn, enqueue })
    }
}
