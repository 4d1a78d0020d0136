//! Classes 27, 28, 30: other protocols, slow and early clients, hostile DNS.

use crate::smtpfake::instance::{Instance, codes};
use crate::{ENVELOPE, play};
use penny_testkit::program;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

#[test]
fn c27_other_protocols_end_at_once() {
    let instance = Instance::usual("");
    let http = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\nEHLO x\r\nMAIL FROM:<a@b.example>\r\n";
    assert_eq!(play(&instance, http.as_bytes()), "220 521");
    let hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
    assert!(play(&instance, &[hello.as_slice(), &[0; 600], b"\r\n\r\n"].concat()).starts_with("220 500"));
}

/// A client that drips ends within the limit in every state.
#[test]
fn c28_slow_clients() {
    let instance = Instance::usual("[smtpd]\ntimeout = \"1s\"\n");
    for start in
        ["", "EH", "EHLO x\r\n", "EHLO x\r\nMAIL FROM:<a@b.example>\r\nRC", &format!("{ENVELOPE}DATA\r\nA: b\r\n")]
    {
        let mut started = instance.stranger("mx").spawn();
        let mut input = started.child.stdin.take().unwrap();
        let mut output = started.child.stdout.take().unwrap();
        let begin = Instant::now();
        input.write_all(start.as_bytes()).unwrap();
        let dripping = std::thread::spawn(move || {
            while begin.elapsed() < Duration::from_secs(300) && input.write_all(b"x").is_ok() {
                std::thread::sleep(Duration::from_millis(300));
            }
        });
        let mut text = String::new();
        output.read_to_string(&mut text).unwrap();
        assert!(text.ends_with("timed out\r\n") && text.contains("421 4.4.2"), "{start:?}: {text}");
        assert!(begin.elapsed() < Duration::from_secs(60), "{start:?} took {:?}", begin.elapsed());
        dripping.join().unwrap();
    }
}

/// Over TCP: who speaks before the greeting is refused.
#[test]
fn c28_early_clients() {
    let instance = Instance::usual("[smtpd]\nrelay_clients = []\ngreet_delay = \"1s\"\nresolve_clients = false\n");
    let talk = |early: bool| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
        let server: std::os::fd::OwnedFd = listener.accept().unwrap().0.into();
        if early {
            client.write_all(b"EHLO x\r\n").unwrap();
        }
        let mut command = Command::new(program!("smtpd"));
        command.arg("-c").arg(instance.place.config()).env_clear();
        command.stdin(Stdio::from(server.try_clone().unwrap())).stdout(Stdio::from(server));
        if penny_sys::ids::is_root() {
            use std::os::unix::process::CommandExt;
            command.gid(64_990).uid(64_990);
        }
        let mut child = command.spawn().unwrap();
        drop(command); // and with it our copies of the connection
        let mut line = [0; 100];
        let n = client.read(&mut line).unwrap();
        client.write_all(b"QUIT\r\n").unwrap();
        drop(client);
        child.wait().unwrap();
        String::from_utf8_lossy(&line[..n]).into_owned()
    };
    assert!(talk(true).starts_with("554 5.5.1 "));
    assert!(talk(false).starts_with("220 "));
}

/// A resolver that answers with rubbish, with another id, with names of any octets.
#[test]
fn c30_hostile_dns() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut buffer = [0; 1500];
        let mut turn = 0u8;
        while let Ok((n, from)) = socket.recv_from(&mut buffer) {
            turn = turn.wrapping_add(1);
            let query = &buffer[..n];
            let mut answer = query.to_vec();
            match turn % 5 {
                0 => answer = vec![turn; 700],
                1 => answer[0] ^= 0xff,
                2 => answer.truncate(5),
                3 => {
                    // a PTR whose name holds a line end, behind a compression loop
                    answer[2] |= 0x80;
                    answer[7] = 2;
                    let end = answer.len();
                    answer.truncate(end - 11);
                    answer.extend_from_slice(b"\xc0\x0c\x00\x0c\x00\x01\x00\x00\x00\x09\x00\x07\x04a\r\nb\xc0\x0c");
                    answer.extend_from_slice(b"\xc0\xff\x00\x0c\x00\x01\x00\x00\x00\x09\x00\x02\xc0\xff");
                    answer[11] = 0;
                }
                _ => answer = Vec::new(),
            }
            let _ = socket.send_to(&answer, from);
        }
    });
    let instance = Instance::usual(&format!(
        "[remote]\nresolver = \"{address}\"\n[smtpd]\ndnsbl = [\"bl.example\", \"wl.example\"]\ndns_timeout = \"1s\"\n"
    ));
    for _ in 0..6 {
        let input = format!("{ENVELOPE}DATA\r\nA: b\r\n\r\nc\r\n.\r\nQUIT\r\n");
        let output = instance.stranger("mx").stdin(input).run();
        assert_eq!(codes(&output), "220 250 250 250 354 250 221", "{}", output.describe());
    }
    assert!(instance.queued().iter().all(|e| e.contains("(unknown [192.0.2.7])")));
}
