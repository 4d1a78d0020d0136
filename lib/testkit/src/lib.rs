//! What black-box tests share: temporary directories, a program finder, running with a time limit, dialogues, fake servers.
//!
//! Invariants  1. every wait has a limit: a hanging program fails a test, it never hangs it
//!             2. nothing uses a fixed port or a fixed path   3. what a value starts, dropping the value ends
//! Failures    a helper that cannot do its work panics: in a test that is the report
//! Trust       a dev-dependency only; no program links it

pub mod daemon;
pub mod dialog;
pub mod dns;
pub mod net;
pub mod program;
pub mod run;
pub mod sink;
pub mod skip;
pub mod terminal;
pub mod tmp;
pub mod wait;

pub use daemon::{Daemon, one_process_each};
pub use dialog::{Dialog, Player};
pub use dns::DnsServer;
pub use net::{Client, free_base, free_port, wait_for_port, wait_for_socket};
pub use program::find;
pub use run::{Output, Run};
pub use sink::{Mail, Sink};
pub use skip::{have, skip};
pub use terminal::Terminal;
pub use tmp::TempDir;
pub use wait::{PATIENCE, until};
