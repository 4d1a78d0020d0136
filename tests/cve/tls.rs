//! Classes 5, 7: STARTTLS, with this test as the TLS process behind the UCSPI-TLS descriptors.

use crate::smtpfake::instance::Instance;
use penny_sys::process::Program;
use penny_testkit::program;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

struct Session {
    plain: BufReader<UnixStream>,
    control: UnixStream,
    inner: BufReader<UnixStream>,
    pid: i32,
}

/// smtpd on a socket pair, with control and data descriptors 3, 4, 5.
fn start(instance: &Instance) -> Session {
    let pair = || {
        let (a, b) = UnixStream::pair().unwrap();
        a.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        (a, b)
    };
    let ((plain, plain_far), (control, control_far), (inner, inner_far)) = (pair(), pair(), pair());
    let stderr = std::io::stderr().as_fd().try_clone_to_owned().unwrap();
    let mut program = Program::new(program!("smtpd")).arg("-c").arg(instance.place.config());
    for (name, value) in [
        ("TCPREMOTEIP", "192.0.2.7"),
        ("SSLCTLFD", "3"),
        ("SSLREADFD", "4"),
        ("SSLWRITEFD", "5"),
        ("PATH", "/usr/bin:/bin"),
    ] {
        program = program.env(name, value);
    }
    let (far, inner_fd) = (plain_far.as_fd(), inner_far.as_fd());
    program.descriptors = vec![far, far, stderr.as_fd(), control_far.as_fd(), inner_fd, inner_fd];
    program.become_id = penny_sys::ids::is_root().then(|| (penny_sys::ids::Id { uid: 64_990, gid: 64_990 }, vec![]));
    let pid = program.start().unwrap();
    Session { plain: BufReader::new(plain), control, inner: BufReader::new(inner), pid }
}

impl Session {
    /// Sends text and reads to the last line of the reply.
    fn ask(stream: &mut BufReader<UnixStream>, text: &str) -> String {
        stream.get_mut().write_all(text.as_bytes()).unwrap();
        Self::reply(stream)
    }

    fn reply(stream: &mut BufReader<UnixStream>) -> String {
        let mut all = String::new();
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).unwrap() == 0 {
                return all + "EOF";
            }
            all.push_str(&line);
            if line.as_bytes().get(3) == Some(&b' ') {
                return all;
            }
        }
    }

    fn handshake(&mut self) {
        let mut yes = [0];
        self.control.read_exact(&mut yes).unwrap();
        assert_eq!(&yes, b"Y");
        self.control.write_all(b"SSL_PROTOCOL=TLSv1.3\0SSL_CIPHER=TLS_AES_256_GCM_SHA384\0\0").unwrap();
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.plain.get_ref().shutdown(std::net::Shutdown::Both);
        let _ = self.inner.get_ref().shutdown(std::net::Shutdown::Both);
        let _ = penny_sys::process::wait(self.pid);
    }
}

#[test]
fn c05_commands_behind_starttls_are_not_obeyed() {
    let instance = Instance::usual("");
    let mut session = start(&instance);
    assert!(Session::reply(&mut session.plain).starts_with("220 "));
    assert!(Session::ask(&mut session.plain, "EHLO x\r\n").contains("250-STARTTLS\r\n"));
    let answer = Session::ask(&mut session.plain, "STARTTLS\r\nRSET\r\nMAIL FROM:<evil@x.example>\r\n");
    assert!(answer.starts_with("554 "), "{answer}");
    assert_eq!(Session::reply(&mut session.plain), "EOF");
}

/// RFC 3207 4.2: what was said before TLS is forgotten.
#[test]
fn c07_nothing_is_kept_across_starttls() {
    let instance = Instance::usual("");
    let mut session = start(&instance);
    Session::reply(&mut session.plain);
    Session::ask(&mut session.plain, "EHLO plain.example\r\n");
    assert!(Session::ask(&mut session.plain, "MAIL FROM:<a@far.example>\r\n").starts_with("250"));
    assert!(Session::ask(&mut session.plain, "RCPT TO:<ann@here.example>\r\n").starts_with("250"));
    assert!(Session::ask(&mut session.plain, "STARTTLS\r\n").starts_with("220"));
    session.handshake();
    let inner = &mut session.inner;
    assert!(Session::ask(inner, "RCPT TO:<ann@here.example>\r\n").starts_with("503"));
    assert!(Session::ask(inner, "DATA\r\n").starts_with("503"));
    assert!(Session::ask(inner, "MAIL FROM:<a@far.example>\r\n").starts_with("503"));
    let offered = Session::ask(inner, "EHLO tls.example\r\n");
    assert!(offered.contains("250-REQUIRETLS\r\n") && !offered.contains("STARTTLS"), "{offered}");
    assert!(Session::ask(inner, "STARTTLS\r\n").starts_with("503"));
    assert!(Session::ask(inner, "MAIL FROM:<a@far.example> REQUIRETLS\r\n").starts_with("250"));
    assert!(Session::ask(inner, "RCPT TO:<ann@here.example>\r\n").starts_with("250"));
    assert!(Session::ask(inner, "DATA\r\n").starts_with("354"));
    assert!(Session::ask(inner, "A: b\r\n\r\nc\r\n.\r\n").starts_with("250"));
    let entry = instance.queued().remove(0);
    assert!(entry.contains("with ESMTPS (TLSv1.3 TLS_AES_256_GCM_SHA384)\n"), "{entry}");
    assert!(entry.contains("sender: <a@far.example> REQUIRETLS\n") && entry.contains("helo: tls.example\n"), "{entry}");
}
