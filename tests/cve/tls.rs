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
    start_role(instance, "mx")
}

fn start_role(instance: &Instance, role: &str) -> Session {
    let pair = || {
        let (a, b) = UnixStream::pair().unwrap();
        a.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
        (a, b)
    };
    let ((plain, plain_far), (control, control_far), (inner, inner_far)) = (pair(), pair(), pair());
    let stderr = std::io::stderr().as_fd().try_clone_to_owned().unwrap();
    let mut program = Program::new(program!("smtpd")).arg("-c").arg(instance.place.config()).arg("-r").arg(role);
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
        let exporter = "ab".repeat(32);
        let facts = format!("SSL_PROTOCOL=TLSv1.3\0SSL_CIPHER=TLS_AES_256_GCM_SHA384\0SSL_EXPORTER={exporter}\0\0");
        self.control.write_all(facts.as_bytes()).unwrap();
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

/// SCRAM-SHA-256 and -PLUS to the end; another channel's binding, and -PLUS stripped on the way, fail (class 21).
#[test]
fn c21_scram_with_and_without_channel_binding() {
    use penny_sasl::{base64_decode, base64_encode, scram_client_final};
    let instance = Instance::usual("[auth]\nmechanisms = [\"SCRAM-SHA-256\", \"SCRAM-SHA-256-PLUS\"]\n");
    let login = |mechanism: &str, header: &str, binding: &[u8]| {
        let mut session = start_role(&instance, "submission");
        Session::reply(&mut session.plain);
        assert!(!Session::ask(&mut session.plain, "EHLO x\r\n").contains("AUTH"));
        Session::ask(&mut session.plain, "STARTTLS\r\n");
        session.handshake();
        let inner = &mut session.inner;
        assert!(Session::ask(inner, "EHLO x\r\n").contains("250-AUTH SCRAM-SHA-256 SCRAM-SHA-256-PLUS\r\n"));
        let first = format!("{header},,n=ann@here.example,r=clientnonce");
        let answer = Session::ask(inner, &format!("AUTH {mechanism} {}\r\n", base64_encode(first.as_bytes())));
        let Some(challenge) = answer.trim_end().strip_prefix("334 ") else { return answer };
        let server = String::from_utf8(base64_decode(challenge).unwrap()).unwrap();
        let last = scram_client_final(b"secret", &first, binding, &server).unwrap();
        let answer = Session::ask(inner, &format!("{}\r\n", base64_encode(last.as_bytes())));
        if !answer.starts_with("334 ") {
            return answer;
        }
        Session::ask(inner, "\r\n")
    };
    let exporter = [0xab; 32];
    assert!(login("SCRAM-SHA-256", "n", b"").starts_with("235 "));
    assert!(login("SCRAM-SHA-256-PLUS", "p=tls-exporter", &exporter).starts_with("235 "));
    assert!(login("SCRAM-SHA-256-PLUS", "p=tls-exporter", &[0; 32]).starts_with("535 "));
    assert!(login("SCRAM-SHA-256", "y", b"").starts_with("535 "));
    assert!(login("SCRAM-SHA-256-PLUS", "n", b"").starts_with("535 "));
}
