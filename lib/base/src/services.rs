//! Clients of the resident services, opened before a program confines itself.
//!
//! Contracts   spawn(8), lookup(8); enqueue's client stands in penny-queue
//! Invariants  a program that has confined itself holds these connections and nothing else
//! Failures    a service that cannot be reached is a temporary failure

pub mod delivery;
pub mod door;
pub mod escape;
mod fallback;
pub mod login;
pub mod lookup;
pub mod spawn;
mod submit;

pub use delivery::{delivery, shared_delivery};
pub use door::{Door, Handed, Service, Terms, nothing_shared};
pub use fallback::{service_stream, spawn_or_restart};
pub use login::Login;
pub use lookup::Lookup;
pub use spawn::{Event, Request, Spawn};
pub use submit::submit;
