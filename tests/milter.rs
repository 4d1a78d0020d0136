//! Milters: the filter program and the hooks of smtpd, against a scripted milter. Real ones: milter_daemons.rs.

mod smtpfake;

use penny_testkit::{Run, program};
use smtpfake::instance::{Instance, codes};
use smtpfake::milter::{hooked, inet, message};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What a scripted milter saw: command letter and data.
type Seen = Arc<Mutex<Vec<(u8, Vec<u8>)>>>;

/// A milter that answers by the sender's local part and keeps what it is shown.
fn scripted() -> (u16, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let seen: Seen = Arc::default();
    let kept = Arc::clone(&seen);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let kept = Arc::clone(&kept);
            std::thread::spawn(move || serve(stream, &kept));
        }
    });
    (port, seen)
}

fn packet(command: u8, data: &[u8]) -> Vec<u8> {
    penny_smtp::milter::encode(command, data)
}

fn serve(mut stream: TcpStream, seen: &Seen) {
    let mut sender = String::new();
    let mut head = [0; 4];
    while stream.read_exact(&mut head).is_ok() {
        let mut body = vec![0; u32::from_be_bytes(head) as usize];
        stream.read_exact(&mut body).unwrap();
        let (command, data) = (body[0], body[1..].to_vec());
        seen.lock().unwrap().push((command, data.clone()));
        if command == b'M' {
            let path = String::from_utf8_lossy(&data).trim_start_matches('<').to_owned();
            sender = path.split('@').next().unwrap_or_default().to_owned();
        }
        let answer = match (command, sender.as_str()) {
            (b'O', _) => packet(b'O', &[6u32, 0x3f, 0].map(u32::to_be_bytes).concat()),
            (b'D' | b'A' | b'Q' | b'K', _) => continue,
            (b'C', _) if data.starts_with(b"banned.") => packet(b'r', b""),
            (b'M', "reject") => packet(b'r', b""),
            (b'R', "defer") => packet(b't', b""),
            (b'E', "code") => packet(b'y', b"554 5.7.9 by content\0"),
            (b'M', "accept") => packet(b'a', b""),
            (b'E', "discard") => packet(b'd', b""),
            (b'E', "change") => [
                packet(b'h', b"X-End\0last\0"),
                packet(b'i', b"\0\0\0\0X-Top\0first\r\n\tfolded\0"),
                packet(b'm', b"\0\0\0\x01Subject\0changed\0"),
                packet(b'b', b"new body\r\n"),
                packet(b'b', b".\r\n"),
                packet(b'c', b""),
            ]
            .concat(),
            (b'E', "rename") => [packet(b'e', b"<other@far.example>\0"), packet(b'c', b"")].concat(),
            (b'E', "hold") => [packet(b'q', b"look at it\0"), packet(b'c', b"")].concat(),
            (b'E', "reroute") => {
                [packet(b'-', b"<ann@here.example>\0"), packet(b'+', b"<bob@here.example>\0"), packet(b'c', b"")]
                    .concat()
            }
            (b'E', "fields") => [packet(b'h', b"X-A\0b\0"), packet(b'c', b"")].concat(),
            (b'E', "die") => return,
            _ => packet(b'c', b""),
        };
        if stream.write_all(&answer).is_err() {
            return;
        }
    }
}

#[test]
fn hooks_in_the_session() {
    let (port, seen) = scripted();
    let instance = hooked(&inet(port));
    let run = |sender: &str| instance.stranger("mx").stdin(message(sender)).run();
    for (sender, expected) in [
        ("fine", "220 250 250 250 354 250 221"),
        ("reject", "220 250 550 503 503 500 500 500 500 500 500 221"),
        ("defer", "220 250 250 451 554 500 500 500 500 500 500 221"),
        ("code", "220 250 250 250 354 554 221"),
        ("die", "220 250 250 250 354 451 221"),
        ("discard", "220 250 250 250 354 250 221"),
        ("accept", "220 250 250 250 354 250 221"),
    ] {
        let output = run(sender);
        assert_eq!(codes(&output), expected, "{sender}: {}", output.describe());
    }
    assert!(run("code").out().contains("554 5.7.9 by content"));
    let log = seen.lock().unwrap().clone();
    let has = |command: u8, data: &[u8]| log.iter().any(|(c, d)| *c == command && d == data);
    assert!(has(b'C', b"[192.0.2.7]\x004\x10\x92192.0.2.7\0"), "{log:?}");
    assert!(has(b'H', b"client.example\0") && has(b'M', b"<fine@far.example>\0BODY=8BITMIME\0"));
    assert!(has(b'R', b"<ann@here.example>\0") && has(b'L', b"Subject\0hi\0") && has(b'B', b"body\r\n.\r\n"));
    assert_eq!(instance.queued().len(), 2); // fine and accept
}

#[test]
fn changes_are_made() {
    let (port, _) = scripted();
    let instance = hooked(&inet(port));
    let entry = |sender: &str| {
        let output = instance.stranger("mx").stdin(message(sender)).run();
        assert_eq!(codes(&output), "220 250 250 250 354 250 221", "{sender}: {}", output.describe());
        instance.queued().into_iter().find(|e| e.contains(&format!("<{sender}@far"))).unwrap()
    };
    let changed = entry("change");
    let expected = "\nX-Top: first\n\tfolded\nSubject: changed\nFrom: a@far.example\nX-End: last\n\nnew body\n.\n";
    assert!(changed.ends_with(expected), "{changed}");
    assert!(entry("hold").contains("\nhold: milter: look at it\n"));
    let output = instance.stranger("mx").stdin(message("rename")).run();
    assert_eq!(codes(&output), "220 250 250 250 354 250 221", "{}", output.describe());
    assert!(instance.queued().iter().any(|e| e.contains("sender: <other@far.example> BODY=8BITMIME\n")));
    let moved = entry("reroute");
    assert!(moved.contains("recipient: <bob@here.example>\n") && !moved.contains("recipient: <ann@"), "{moved}");
}

#[test]
fn several_messages_and_resets_on_one_connection() {
    let (port, seen) = scripted();
    let instance = hooked(&inet(port));
    let one = message("fine").replace("EHLO client.example\r\n", "").replace("QUIT\r\n", "");
    let reset = "MAIL FROM:<fine@far.example>\r\nRSET\r\n";
    let input =
        format!("EHLO client.example\r\n{one}{reset}{}{one}QUIT\r\n", message("accept").replace("QUIT\r\n", ""));
    let output = instance.stranger("mx").stdin(input).run();
    assert!(
        codes(&output).ends_with("354 250 250 250 354 250 221") || instance.queued().len() == 3,
        "{}",
        output.describe()
    );
    let letters: String = seen.lock().unwrap().iter().map(|(c, _)| *c as char).filter(|c| *c != 'D').collect();
    assert!(letters.starts_with("OCHMRTLLNBEMA"), "{letters}");
}

/// After XCLIENT a milter sees the client that was named, as a new connection on the same stream.
#[test]
fn xclient_is_a_new_connection_for_milters() {
    let (port, seen) = scripted();
    let instance = Instance::usual(&format!(
        "[smtpd]\nmilters = [\"inet:127.0.0.1:{port}\"]\nresolve_clients = false\nxclient_hosts = [\"192.0.2.7\"]\n"
    ));
    let x = "EHLO front.example\r\nXCLIENT NAME=spike.far.example ADDR=IPV6:2001:db8::9 PORT=99\r\n";
    let output = instance.stranger("mx").stdin(format!("{x}{}", message("fine"))).run();
    assert_eq!(codes(&output), "220 250 220 250 250 250 354 250 221", "{}", output.describe());
    let log = seen.lock().unwrap().clone();
    let letters: String = log.iter().map(|(c, _)| *c as char).filter(|c| *c != 'D').collect();
    assert!(letters.starts_with("OCHKCHMRT"), "{letters}");
    let connects: Vec<&[u8]> = log.iter().filter(|(c, _)| *c == b'C').map(|(_, d)| d.as_slice()).collect();
    assert_eq!(
        connects,
        [b"[192.0.2.7]\x004\x10\x92192.0.2.7\0".as_slice(), b"spike.far.example\x006\x00cIPv6:2001:db8::9\0"]
    );
    let macros: Vec<String> =
        log.iter().filter(|(c, _)| *c == b'D').map(|(_, d)| String::from_utf8_lossy(d).into_owned()).collect();
    assert!(macros.iter().any(|m| m.contains("{client_addr}\x002001:db8::9\0")), "{macros:?}");
    // a client that the milter refuses has no session, however it came
    let banned = x.replace("spike.far", "banned.far");
    let output = instance.stranger("mx").stdin(format!("{banned}{}", message("fine"))).run();
    assert_eq!(codes(&output), "220 250 554", "{}", output.describe());
}

#[test]
fn a_milter_that_is_not_there_defers() {
    let instance = hooked(&inet(1));
    assert_eq!(codes(&instance.stranger("mx").stdin(message("fine")).run()).split(' ').next(), Some("421"));
}

#[test]
fn the_filter_program_follows_the_contract() {
    let (port, _) = scripted();
    let run = |sender: &str, whole: bool| {
        let run =
            Run::new(program!("milter")).env("PENNYPOST_FILTER", "1").env("SENDER", format!("{sender}@far.example"));
        let run = if whole { run.arg("-w") } else { run };
        run.env("RECIPIENTS", "ann@here.example\nbob@here.example")
            .env("REMOTE_IP", "192.0.2.7")
            .arg(format!("inet:127.0.0.1:{port}"))
            .stdin("Subject: hi\n\nbody\n")
            .run()
    };
    for (sender, whole, code, out) in [
        ("fine", false, 0, ""),
        ("fine", true, 0, "Subject: hi\n\nbody\n"),
        ("fields", false, 0, "X-A: b\n"),
        ("reject", false, 100, "5.7.1 refused by policy\n"),
        ("code", false, 100, "5.7.9 by content\n"),
        ("defer", false, 75, ""),
        ("hold", false, 99, ""),
        ("die", false, 75, ""),
        ("change", false, 75, ""),
        ("change", true, 0, "X-Top: first\n\tfolded\nSubject: changed\nX-End: last\n\nnew body\n.\n"),
    ] {
        let output = run(sender, whole);
        assert_eq!((output.code, output.out().as_str()), (Some(code), out), "{sender}: {}", output.describe());
    }
    let absent = Run::new(program!("milter")).arg("inet:127.0.0.1:1").stdin("A: b\n\nc\n").run();
    absent.expect_code(75);
    Run::new(program!("milter")).run().expect_code(64);
}
