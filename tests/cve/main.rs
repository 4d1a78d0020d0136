//! The vulnerability classes mail servers have had, each against the real programs. README.md is the table.

#[path = "../smtpfake/mod.rs"]
mod smtpfake;

mod auth;
mod content;
mod envelope;
mod local;
mod memory;
mod network;
mod order;
mod tls;

use smtpfake::instance::{Instance, codes};

const GREETING: &str = "EHLO client.example\r\n";
const ENVELOPE: &str = "EHLO client.example\r\nMAIL FROM:<a@far.example>\r\nRCPT TO:<ann@here.example>\r\n";

/// The reply codes of a session of a stranger.
fn play(instance: &Instance, input: &[u8]) -> String {
    let output = instance.stranger("mx").stdin(input).run();
    output.expect_code(0);
    codes(&output)
}

/// The code of the reply to one line after EHLO.
fn one(instance: &Instance, line: &[u8]) -> String {
    let input = [GREETING.as_bytes(), line, b"\r\nQUIT\r\n"].concat();
    play(instance, &input).split(' ').nth(2).unwrap_or("-").to_owned()
}
