//! Milters of others, unmodified, as hooks of smtpd: OpenDKIM, OpenDMARC, rspamd, clamav-milter.

mod smtpfake;

use penny_testkit::skip::skip;
use penny_testkit::{Daemon, Output, Run, TempDir, free_port, have, one_process_each, program, wait_for_port};
use smtpfake::instance::{Instance, codes, own};
use smtpfake::milter::{hooked, inet, message};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Command, Stdio};

#[test]
fn opendkim_signs_unmodified() {
    if !have("opendkim_signs_unmodified", "opendkim") || !have("opendkim_signs_unmodified", "openssl") {
        return;
    }
    let dir = TempDir::new();
    let port = free_port();
    let key = dir.path().join("key.pem");
    let made = Command::new("openssl").args(["genrsa", "-out"]).arg(&key).arg("2048").stderr(Stdio::null()).status();
    assert!(made.unwrap().success());
    let config = dir.path().join("opendkim.conf");
    let text = format!(
        "Domain far.example\nSelector s\nKeyFile {}\nSocket inet:{port}@127.0.0.1\nMode s\nInternalHosts 192.0.2.7\n\
         Canonicalization relaxed/simple\nRequireSafeKeys no\nBackground no\nSyslog no\n",
        key.display()
    );
    std::fs::write(&config, text).unwrap();
    let _daemon = Daemon::start(Command::new("opendkim").arg("-f").arg("-x").arg(&config));
    wait_for_port(port);
    let instance = hooked(&inet(port));
    let output = instance.stranger("mx").stdin(message("a")).run();
    assert_eq!(codes(&output), "220 250 250 250 354 250 221", "{}", output.describe());
    let entry = instance.queued().remove(0);
    assert!(entry.contains("\nDKIM-Signature: v=1; a=rsa-sha256; c=relaxed/simple; d=far.example;"), "{entry}");
    // the same through the filter program
    let output = Run::new(program!("milter"))
        .env("SENDER", "a@far.example")
        .env("REMOTE_IP", "192.0.2.7")
        .env("REMOTE_NAME", "client.example")
        .env("RECIPIENTS", "ann@here.example")
        .arg(format!("inet:127.0.0.1:{port}"))
        .stdin("From: a@far.example\nSubject: hi\n\nbody\n")
        .run();
    output.expect_code(0).expect_out("DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/simple; d=far.example;");
}

/// rspamd's proxy worker as a milter at `port`, with `more` as its rules instead of its own.
fn rspamd(dir: &TempDir, port: u16, more: &str) -> Daemon {
    let root = dir.path().display().to_string();
    dir.write("tld", "com\norg\nexample\n");
    let config = format!(
        "options {{ pidfile = \"{root}/pid\"; control_socket = \"{root}/c.sock mode=0600\"; filters = \"\"; url_tld = \"{root}/tld\";\n\
         dns {{ nameserver = [\"127.0.0.1:1\"]; timeout = 1s; }} }}\n\
         logging {{ type = \"file\"; filename = \"{root}/log\"; level = \"info\"; }}\n\
         worker \"rspamd_proxy\" {{ bind_socket = \"127.0.0.1:{port}\"; milter = yes; timeout = 60s; count = 1;\n\
         upstream \"local\" {{ default = yes; self_scan = yes; }} }}\n\
         actions {{ reject = 15; add_header = 6; greylist = 4; }}\n{more}"
    );
    let mut command = Command::new("rspamd");
    command.args(["-f", "-i", "-c"]).arg(dir.write("r.conf", config));
    if penny_sys::ids::is_root() {
        command.args(["-u", "root", "-g", "root"]);
    }
    let daemon = Daemon::start(&mut command);
    wait_for_port(port);
    daemon
}

/// With two rules of this test.
#[test]
fn rspamd_judges_unmodified() {
    if !have("rspamd_judges_unmodified", "rspamd") {
        return;
    }
    let dir = TempDir::new();
    let port = free_port();
    let rule = |name: &str, score: u32, word: &str| {
        format!(
            "rspamd_config:register_symbol({{ name = '{name}', score = {score}.0, group = 'x', callback = function(task)\n\
             local s = task:get_header('Subject'); if s and s:find('{word}') then return true end end }})\n"
        )
    };
    let rules = dir.write("r.lua", rule("BAD", 20, "spammy") + &rule("DOUBT", 7, "doubtful"));
    let _daemon = rspamd(&dir, port, &format!("lua = \"{}\";\n", rules.display()));
    let instance = hooked(&inet(port));
    let run = |subject: &str| {
        let output =
            instance.stranger("mx").stdin(message("a").replace("Subject: hi", &format!("Subject: {subject}"))).run();
        (codes(&output), output)
    };
    let (got, output) = run("spammy");
    assert_eq!(got, "220 250 250 250 354 554 221", "{}", output.describe());
    let (got, output) = run("doubtful");
    assert_eq!(got, "220 250 250 250 354 250 221", "{}", output.describe());
    assert!(instance.queued()[0].contains("\nX-Spam: Yes\n"), "{:?}", instance.queued());
    assert_eq!(run("plain").0, "220 250 250 250 354 250 221");
    assert!(instance.queued().iter().any(|e| e.contains("Subject: plain\n") && !e.contains("X-Spam: Yes")));
}

/// One message with further fields.
fn send(instance: &Instance, fields: &str, body: &str) -> (String, Output) {
    let text = message("a").replace("Subject: hi\r\n", &format!("Subject: hi\r\n{fields}")).replace("body\r\n", body);
    let output = instance.stranger("mx").stdin(text).run();
    (codes(&output), output)
}

/// OpenDMARC judges by the results in the header and by its own DNS data.
#[test]
fn opendmarc_judges_unmodified() {
    if !have("opendmarc_judges_unmodified", "opendmarc") {
        return;
    }
    let dir = TempDir::new();
    let place = |name: &str| dir.join(name).display().to_string();
    dir.write("dns", "_dmarc.far.example v=DMARC1; p=reject\n");
    dir.write(
        "conf",
        format!(
            "AuthservID mx.here.example\nTrustedAuthservIDs mx.here.example\nRejectFailures true\nSyslog false\n\
             TestDNSData {}\nUMask 000\nIgnoreHosts /dev/null\nBackground false\n",
            place("dns")
        ),
    );
    own(dir.path());
    let socket = dir.join("socket");
    let mut command = Command::new("opendmarc");
    command.args(["-f", "-c", &place("conf"), "-p", &format!("local:{}", socket.display())]);
    let mut daemon = Daemon::start(&mut command);
    daemon.answers(&socket);
    let instance = hooked(&format!("unix:{}", socket.display()));
    let (got, output) = send(&instance, "", "body\r\n");
    assert_eq!(got, "220 250 250 250 354 550 221", "{}", output.describe());
    output.expect_out("550 5.7.1 rejected by DMARC policy for far.example");
    let pass = "Authentication-Results: mx.here.example; dkim=pass header.d=far.example\r\n";
    let (got, output) = send(&instance, pass, "body\r\n");
    assert_eq!(got, "220 250 250 250 354 250 221", "{}", output.describe());
    let entry = instance.queued().remove(0);
    assert!(entry.contains("\nAuthentication-Results: mx.here.example; dmarc=pass"), "{entry}");
}

/// A signature of a database of clamd.
const INFECTED: &str = "PENNYPOST-IS-INFECTED";

fn signature() -> String {
    let hex: String = INFECTED.bytes().map(|b| format!("{b:02x}")).collect();
    format!("Test.Penny:0:*:{hex}\n")
}

/// clamav-milter in front of whatever answers as clamd at `dir`/clamd, and what smtpd then says.
fn clamav_milter_judges(dir: &TempDir) {
    let milter = dir.join("milter");
    let conf = dir.write(
        "milter.conf",
        format!(
            "MilterSocket unix:{}\nMilterSocketMode 666\nClamdSocket unix:{}\nForeground yes\nOnInfected Reject\n\
             RejectMsg infected by %v\nAddHeader Replace\n",
            milter.display(),
            dir.join("clamd").display()
        ),
    );
    let mut daemon = Daemon::start(Command::new("clamav-milter").arg("-c").arg(conf));
    daemon.answers(&milter);
    let instance = hooked(&format!("unix:{}", milter.display()));
    let (got, output) = send(&instance, "", "PENNYPOST-IS-INFECTED\r\n");
    assert_eq!(got, "220 250 250 250 354 550 221", "{}", output.describe());
    output.expect_out("550 5.7.1 infected by Test.Penny");
    let (got, output) = send(&instance, "X-Virus-Status: Forged\r\n", "healthy\r\n");
    assert_eq!(got, "220 250 250 250 354 250 221", "{}", output.describe());
    let entry = instance.queued().remove(0);
    assert!(entry.contains("\nX-Virus-Status: Clean\n") && !entry.contains("Forged"), "{entry}");
}

/// clamav-milter and clamd with one signature of this test.
#[test]
fn clamav_milter_judges_unmodified() {
    let name = "clamav_milter_judges_unmodified";
    if !have(name, "clamav-milter") || !have(name, "clamd") {
        return;
    }
    let dir = TempDir::new();
    let place = |name: &str| dir.join(name).display().to_string();
    dir.write("db/test.ndb", signature());
    let clamd = dir.join("clamd");
    dir.write(
        "clamd.conf",
        format!(
            "LocalSocket {}\nLocalSocketMode 666\nDatabaseDirectory {}\nForeground yes\n",
            clamd.display(),
            place("db")
        ),
    );
    own(dir.path());
    let mut scanner = Daemon::start(Command::new("clamd").args(["-c", &place("clamd.conf")]));
    scanner.answers(&clamd);
    clamav_milter_judges(&dir);
}

/// What answers as clamd at `dir`/clamd while `client` works is virusscan, a process a connection.
fn virusscan_as_clamd<T>(dir: &TempDir, client: impl FnOnce() -> T) -> T {
    let db = dir.join("virus.db");
    let compile = Run::new(program!("virusscan")).args(["-q", "--compile"]).arg(&db);
    compile.arg(dir.write("test.ndb", signature())).run().expect_code(0);
    own(dir.path());
    let socket = dir.join("clamd");
    let listener = UnixListener::bind(&socket).unwrap();
    let command = move || {
        let mut command = Command::new(program!("virusscan"));
        command.arg("--clamd-listener").arg("--db").arg(&db).env_remove("PENNYPOST_FILTER");
        command
    };
    one_process_each(listener, command, || drop(UnixStream::connect(&socket)), client)
}

#[test]
fn clamav_milter_takes_virusscan_for_clamd() {
    if !have("clamav_milter_takes_virusscan_for_clamd", "clamav-milter") {
        return;
    }
    let dir = TempDir::new();
    virusscan_as_clamd(&dir, || clamav_milter_judges(&dir));
}

/// The antivirus module of rspamd with ours as its clamav.
#[test]
fn rspamd_takes_virusscan_for_clamd() {
    const MODULE: &str = "/usr/share/rspamd/plugins/antivirus.lua";
    const TEST: &str = "rspamd_takes_virusscan_for_clamd";
    if !have(TEST, "rspamd") {
        return;
    }
    if !std::path::Path::new(MODULE).exists() {
        return skip(TEST, "this rspamd has no antivirus module where Debian's has it");
    }
    let dir = TempDir::new();
    let port = free_port();
    let clamd = dir.join("clamd");
    let module = format!(
        "modules {{ path = \"{MODULE}\"; }}\nantivirus {{ penny {{ type = \"clamav\"; servers = \"{}\"; symbol = \"VIRUS\"; \
         action = \"reject\"; scan_mime_parts = false; message = \"infected by ${{VIRUS}}\"; }} }}\n",
        clamd.display()
    );
    virusscan_as_clamd(&dir, || {
        let _daemon = rspamd(&dir, port, &module);
        let instance = hooked(&inet(port));
        let (got, output) = send(&instance, "", "PENNYPOST-IS-INFECTED\r\n");
        assert_eq!(got, "220 250 250 250 354 554 221", "{}", output.describe());
        output.expect_out("infected by Test.Penny");
        let (got, output) = send(&instance, "", "healthy\r\n");
        assert_eq!(got, "220 250 250 250 354 250 221", "{}", output.describe());
    });
}
