//! What milter tests share.

use super::instance::Instance;

/// A whole conversation.
pub fn message(sender: &str) -> String {
    format!(
        "EHLO client.example\r\nMAIL FROM:<{sender}@far.example> BODY=8BITMIME\r\nRCPT TO:<ann@here.example>\r\n\
         DATA\r\nSubject: hi\r\nFrom: a@far.example\r\n\r\nbody\r\n..\r\n.\r\nQUIT\r\n"
    )
}

/// An instance that asks a milter.
pub fn hooked(socket: &str) -> Instance {
    Instance::usual(&format!("[smtpd]\nmilters = [\"{socket}\"]\nresolve_clients = false\n"))
}

/// A port of loopback, as `smtpd.milters` has it.
pub fn inet(port: u16) -> String {
    format!("inet:127.0.0.1:{port}")
}
