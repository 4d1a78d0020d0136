//! The opening, and HELO, EHLO, LHLO.
//!
//! Standards   RFC 5321 3.1, 4.1.1.1

use crate::milter::at_opening;
use crate::session::Session;
use penny_smtp::server::{HelloVerb, Reply, Role};
use penny_tables::cidr::in_any;
use std::os::fd::AsFd;

impl Session {
    /// The first reply.
    pub fn greet(&mut self) -> std::io::Result<()> {
        if self.speaks_too_early()? {
            let reply = Reply::new(554, "5.5.1", "you spoke before the greeting");
            self.log_refusal("pregreet", &reply);
            self.machine.greet(&reply);
            return self.flush().map(|_| ());
        }
        self.begin_background();
        let refused = self.milters_connect();
        if let Some(reply) = &refused {
            self.log_refusal("milter-connect", reply);
        }
        let refused = refused.map(at_opening);
        self.machine.greet(&refused.unwrap_or_else(|| Reply::plain(220, self.banner())));
        self.flush().map(|_| ())
    }

    /// The text of the opening reply.
    pub fn banner(&self) -> String {
        let protocol = if self.role == Role::Lmtp { "LMTP" } else { "ESMTP" };
        format!("{} {protocol} pennypost", self.hostname)
    }

    /// A client of the network that has octets under way before the greeting is no mail server (RFC 5321 3.1); local and
    /// trusted clients may.
    fn speaks_too_early(&self) -> std::io::Result<bool> {
        let piped = penny_sys::net::tcp_addresses(std::io::stdin().as_fd()).is_none();
        let trusted = piped || in_any(&self.peer.ip, &self.config.smtpd.relay_clients);
        if self.role != Role::Mx || trusted {
            Ok(false)
        } else {
            self.conn.speaks_within(self.config.smtpd.greet_delay.duration())
        }
    }

    /// HELO, EHLO, LHLO: a greeting gives up a transaction.
    pub fn hello(&mut self, verb: HelloVerb, name: String) {
        self.forget_mail();
        self.client.helo = name;
        self.client.extended = verb != HelloVerb::Helo;
        if let Some(reply) = self.milters_helo() {
            return self.refuse("milter-helo", reply);
        }
        self.refresh_offer();
        let greeting = format!("greets {}", self.client_text());
        self.machine.accept_hello(&greeting);
    }

    /// The client as it is shown to itself.
    fn client_text(&self) -> String {
        format!("[{}]", self.peer.ip)
    }
}
