//! What inetd does to a program: descriptors 0, 1 and 2 are all the connection.

#[path = "support/admin.rs"]
mod admin;

use admin::{Admin, programs};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

/// A log line on descriptor 2 would be read by the client, and inside TLS it breaks the connection.
#[test]
fn no_log_line_reaches_the_client() {
    // as root each role needs an id; numbers need no accounts
    let roles = ["tls", "lookup", "queue", "net", "mail", "out", "filter", "sign", "auth"];
    let ids: String = roles.iter().zip(64_401..).map(|(role, id)| format!("{role} = \"{id}\"\n")).collect();
    let place = Admin::new("hostname = \"mx.example.test\"", &format!("[ids]\n{ids}"));
    let all = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(place.dir.path(), all).expect("chmod");
    place.dir.write("etc/users", "ann@example.test:{PLAIN}x\n");
    for dir in ["run", "queue", "state/lookup"] {
        std::fs::create_dir_all(place.dir.join(dir)).expect("a directory");
    }
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let mut client = TcpStream::connect(listener.local_addr().expect("an address")).expect("connected");
    client.set_read_timeout(Some(penny_testkit::PATIENCE)).expect("a time limit");
    let (socket, _) = listener.accept().expect("accepted");
    let stdio = || Stdio::from(OwnedFd::from(socket.try_clone().expect("a copy")));
    let mut command = Command::new(programs().join("smtpd"));
    command.arg("-c").arg(place.config()).args(["-r", "mx"]);
    let mut child = command.stdin(stdio()).stdout(stdio()).stderr(stdio()).spawn().expect("smtpd runs");
    drop((command, socket));
    client
        .write_all(b"HELO client.test\r\nMAIL FROM:<a@far.test>\r\nRCPT TO:<nobody@example.test>\r\nQUIT\r\n")
        .expect("sent");
    let lines: Vec<String> = BufReader::new(client).lines().map_while(Result::ok).collect();
    child.wait().expect("it ends");
    assert!(lines.len() >= 4 && lines.iter().all(|l| l.as_bytes().iter().take(3).all(u8::is_ascii_digit)), "{lines:?}");
    assert!(lines.iter().any(|l| l.starts_with("550 5.1.1")), "a refusal, which is logged: {lines:?}");
}
