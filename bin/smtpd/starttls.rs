//! STARTTLS by the UCSPI-TLS descriptors.
//!
//! Standards   RFC 3207; invariants: 4 (nothing said before TLS is believed after it), CVE-2011-0411 (no octet that came
//!             in the clear is read as a command inside TLS)

use crate::conn::Conn;
use crate::session::{Client, Session};
use penny_base::log;
use penny_smtp::server::Reply;

impl Session {
    /// Switches, or says why not.
    pub fn start_tls(&mut self) -> std::io::Result<()> {
        if !self.conn.pending().is_empty() {
            let reply = Reply::new(554, "5.5.1", "commands after STARTTLS in one write");
            self.log_refusal("starttls-pipelined", &reply);
            self.machine.close(&reply);
            return Ok(());
        }
        let Some(starttls) = self.starttls.take() else {
            self.answer(Reply::new(454, "4.7.0", "TLS is not available"));
            return Ok(());
        };
        self.answer(Reply::new(220, "2.0.0", "ready to start TLS"));
        self.flush()?;
        match starttls.start() {
            Ok(tls) => self.tls_is_on(tls),
            Err(e) => {
                log::info("tls-failed", None, &[("ip", &self.peer.ip), ("why", &e)]);
                Err(e)
            }
        }
    }

    fn tls_is_on(&mut self, tls: penny_base::ucspi::Tls) -> std::io::Result<()> {
        self.conn = Conn::open(self.config.smtpd.timeout.duration())?;
        self.peer.tls = Some(tls);
        let name = std::mem::take(&mut self.client.name);
        self.client = Client { name, ..Client::default() };
        self.checkauth = None;
        self.forget_mail();
        self.machine.tls_started();
        Ok(())
    }
}
