//! The connections smtpd holds after it has confined itself.

use crate::dns::Dns;
use crate::door::PolicyServer;
use crate::milter::Milter;
use penny_base::services::{Lookup, Spawn};
use penny_base::{Config, Failure};
use penny_queue::client::Enqueue;
use penny_smtp::server::Role;

/// Open connections.
pub struct Services {
    /// Tables, counters.
    pub lookup: Lookup,
    /// Filters, checkauth, deliver.
    pub spawn: Spawn,
    /// The queue.
    pub enqueue: Enqueue,
    /// Resolvers, where something needs them.
    pub dns: Option<Dns>,
    /// Policy servers.
    pub policy: Vec<PolicyServer>,
    /// Milters.
    pub milters: Vec<Milter>,
}

impl Services {
    /// Opens the others.
    pub fn connect(config: &Config, role: Role, mut spawn: Spawn) -> Result<Services, Failure> {
        let lookup = Lookup::connect(config, Some(&mut spawn)).map_err(|e| Failure::io("lookup", &e))?;
        let enqueue = Enqueue::connect(config, Some(&mut spawn)).map_err(|e| Failure::io("enqueue", &e))?;
        let s = &config.smtpd;
        let asks = s.resolve_clients || s.need_client_name || s.check_sender_domain || !s.dnsbl.is_empty();
        let dns = (role == Role::Mx && asks).then(|| Dns::open(&config.remote.resolver));
        Ok(Services {
            lookup,
            spawn,
            enqueue,
            dns,
            policy: PolicyServer::connect_all(config),
            milters: Milter::connect_all(config, role),
        })
    }
}
