//! dkimsign as a program: options, table, filter contract, keys, and both ways with other people's implementations.

use penny_testkit::dns::DnsServer;
use penny_testkit::{Output, Run, TempDir, have, program, skip};
use std::path::{Path, PathBuf};

const PYTHON: &str = "/usr/bin/python3"; // Debian's, which has Debian's modules
const MAIL: &str = "Received: from x\r\nFrom: Joe <joe@d.example>\r\nTo: a@b.example\r\nSubject: =?utf-8?q?h=C3=A4?=\r\n  folded\t text \r\n\
    Date: Mon, 1 Jan 2024 00:00:00 +0000\r\nMessage-ID: <1@d.example>\r\n\r\nHello  there \r\n\r\nbye\r\n\r\n\r\n";
const NOW: &str = "1700000000";

/// A key in a directory, and the zone that publishes it.
struct Site {
    dir: TempDir,
    key: PathBuf,
    record: String,
}

impl Site {
    fn new(kind: &str) -> Self {
        let dir = TempDir::new();
        let key = dir.join("key.pem");
        let out = dkimsign()
            .arg("--generate")
            .arg(kind)
            .arg("--key")
            .arg(&key)
            .args(["--selector", "s1", "--domain", "d.example"])
            .run();
        out.expect_code(0).expect_out("s1._domainkey.d.example. IN TXT");
        // what the zone file line says, its strings joined
        let record = out.out().split('"').skip(1).step_by(2).collect();
        Self { dir, key, record }
    }

    fn server(&self) -> DnsServer {
        DnsServer::new(&format!("s1._domainkey.d.example TXT {}", self.record))
    }

    fn sign(&self) -> Run {
        dkimsign().arg("--key").arg(&self.key).args(["--selector", "s1", "--domain", "d.example", "--time", NOW])
    }
}

fn dkimsign() -> Run {
    Run::new(program!("dkimsign"))
}

fn signed(field: &Output, mail: &str) -> String {
    field.expect_code(0);
    format!("{}{mail}", field.out())
}

/// The results of mailauth: `dkim` outcomes and the `arc` outcome.
fn verdict(server: &DnsServer, mail: &str) -> (Vec<String>, String) {
    let out = Run::new(program!("mailauth"))
        .args(["-c", "/dev/null", "--json", "--resolver", &server.at(), "--ip", "192.0.2.1", "--time", NOW])
        .stdin(mail)
        .run();
    out.expect_code(0);
    let out = out.out();
    let results = |text: &str| -> Vec<String> {
        let parts = text.split("\"result\":\"").skip(1);
        parts.map(|r| r.split('"').next().unwrap_or_default().to_owned()).collect()
    };
    let dkim = out.split("\"dkim\":[").nth(1).unwrap().split("\"dmarc\"").next().unwrap();
    let arc = out.split("\"arc\":").nth(1).unwrap();
    (results(dkim), results(arc).remove(0))
}

fn dkim(server: &DnsServer, mail: &str) -> String {
    verdict(server, mail).0.join(",")
}

#[test]
fn signs_what_mailauth_verifies() {
    for kind in ["rsa", "ed25519"] {
        let site = Site::new(kind);
        let server = site.server();
        for canon in ["relaxed/relaxed", "simple/simple", "relaxed/simple", "simple/relaxed"] {
            let mail = signed(&site.sign().args(["--canon", canon]).stdin(MAIL).run(), MAIL);
            assert_eq!(dkim(&server, &mail), "pass", "{kind} {canon}");
            assert_eq!(dkim(&server, &mail.replace("bye", "Bye")), "fail");
        }
    }
}

#[test]
fn headers_by_hand_are_taken_as_given() {
    let site = Site::new("ed25519");
    let out = site.sign().args(["--headers", "From:Subject:From:X-None"]).stdin(MAIL).run();
    out.expect_out("h=from:subject:from:x-none;").expect_out("t=1700000000");
    assert_eq!(dkim(&site.server(), &signed(&out, MAIL)), "pass");
    site.sign().args(["--headers", "Subject"]).stdin(MAIL).run().expect_code(65).expect_err("From must be signed");
}

#[test]
fn line_ends_follow_the_message() {
    let site = Site::new("ed25519");
    let lf = MAIL.replace("\r\n", "\n");
    let out = site.sign().stdin(&lf).run();
    assert!(!out.out().contains('\r'));
    // signed as stored, verified as sent
    assert_eq!(dkim(&site.server(), &signed(&out, &lf).replace('\n', "\r\n")), "pass");
    let out = site.sign().stdin(MAIL).run();
    assert_eq!(out.out().matches('\n').count(), out.out().matches("\r\n").count());
}

#[test]
fn misuse() {
    let site = Site::new("ed25519");
    dkimsign().arg("--key").arg(&site.key).stdin(MAIL).run().expect_code(64).expect_err("--domain is missing");
    dkimsign().arg("--nonsense").run().expect_code(64);
    site.sign().args(["--canon", "odd"]).stdin(MAIL).run().expect_code(64);
    site.sign().arg("--arc").stdin(MAIL).run().expect_code(64);
    let junk = site.dir.write("junk.pem", "no key");
    dkimsign()
        .arg("--key")
        .arg(junk)
        .args(["--selector", "s", "--domain", "d.example"])
        .stdin(MAIL)
        .run()
        .expect_code(78);
    // a key is never overwritten
    dkimsign()
        .args(["--generate", "rsa", "--selector", "s1", "--domain", "d.example", "--key"])
        .arg(&site.key)
        .run()
        .expect_code(75);
}

#[test]
fn keys_are_private_files() {
    use std::os::unix::fs::PermissionsExt;
    let site = Site::new("rsa:1024");
    assert_eq!(std::fs::metadata(&site.key).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_key_made_by_root_belongs_to_the_directorys_owner() {
    use std::os::unix::fs::{MetadataExt, chown};
    let dir = TempDir::new();
    if std::fs::metadata(dir.path()).unwrap().uid() != 0 {
        return skip("dkimsign::a_key_made_by_root_belongs_to_the_directorys_owner", "not root");
    }
    chown(dir.path(), Some(54_321), Some(54_321)).unwrap();
    let key = dir.join("key.pem");
    let make = dkimsign().args(["--generate", "ed25519", "--selector", "s", "--domain", "d.example"]);
    make.arg("--key").arg(&key).run().expect_code(0);
    let made = std::fs::metadata(&key).unwrap();
    assert_eq!((made.uid(), made.gid(), made.mode() & 0o777), (54_321, 54_321, 0o600));
}

// ---- table and filter --------------------------------------------------------------------------------------------

fn filter(dir: &TempDir, table: &str, extra: &str, mail: &str) -> Output {
    let table = dir.write("dkim", table);
    let config = format!("hostname = \"mx.example\"\n[dkimsign]\ntable = {:?}\n{extra}", table.display().to_string());
    let config = dir.write("pennypost.toml", config);
    dkimsign().arg("-c").arg(config).env("PENNYPOST_FILTER", "1").stdin(mail.replace("\r\n", "\n")).run()
}

#[test]
fn several_selectors_sign_one_message() {
    let (rsa, ed) = (Site::new("rsa"), Site::new("ed25519"));
    let table = format!("d.example s1 {}\nd.example s2 {} x=3600\n", rsa.key.display(), ed.key.display());
    let out = filter(&rsa.dir, &table, "", MAIL);
    out.expect_code(0);
    let zone = format!("s1._domainkey.d.example TXT {}\ns2._domainkey.d.example TXT {}", rsa.record, ed.record);
    let mail = signed(&out, &MAIL.replace("\r\n", "\n"));
    let server = DnsServer::new(&zone);
    let run = Run::new(program!("mailauth")).args([
        "-c",
        "/dev/null",
        "--json",
        "--resolver",
        &server.at(),
        "--ip",
        "192.0.2.1",
    ]);
    assert_eq!(run.stdin(mail).run().out().matches("\"result\":\"pass\",\"domain\":\"d.example\"").count(), 2);
}

#[test]
fn foreign_authors_are_not_signed() {
    let site = Site::new("ed25519");
    let table = format!("d.example s1 {}\n", site.key.display());
    for mail in
        [MAIL.replace("joe@d.example", "joe@e.example"), MAIL.replace("joe@d.example>", "joe@d.example>, x@e.example")]
    {
        assert_eq!(filter(&site.dir, &table, "", &mail).expect_code(0).out(), "");
    }
}

#[test]
fn trouble_with_keys_defers() {
    let site = Site::new("ed25519");
    filter(&site.dir, "d.example s1 /nonexistent/key\n", "", MAIL).expect_code(75).expect_err("ev=failed");
    filter(&site.dir, "d.example s1\n", "", MAIL).expect_code(75).expect_err("dkim:1");
}

#[test]
fn the_filter_seals_what_is_passed_on() {
    let site = Site::new("ed25519");
    let table = format!("d.example s1 {}\n", site.key.display());
    let mail =
        format!("Authentication-Results: mx.example; spf=pass\r\n{}", MAIL.replace("joe@d.example", "joe@e.example"));
    let out = filter(&site.dir, &table, "arc_domain = \"d.example\"\n", &mail);
    assert_eq!(verdict(&site.server(), &signed(&out, &mail.replace("\r\n", "\n"))).1, "pass");
}

/// At the door the results are those that earlier filters printed, never the message's own.
#[test]
fn at_the_door_results_come_from_earlier_filters() {
    let site = Site::new("ed25519");
    let table = site.dir.write("dkim", format!("d.example s1 {}\n", site.key.display()));
    let config = format!(
        "hostname = \"mx.example\"\n[dkimsign]\narc_domain = \"d.example\"\ntable = {:?}\n",
        table.display().to_string()
    );
    let config = site.dir.write("pennypost.toml", config);
    let mail = format!("Authentication-Results: mx.example; dmarc=pass; arc=none\n{}", MAIL.replace("\r\n", "\n"));
    let at_the_door = |fields: &str| {
        let run = dkimsign().arg("-c").arg(&config).env("PENNYPOST_FILTER", "1").env("SERVICE", "mx");
        run.env("FIELDS", fields).stdin(&mail).run().expect_code(0).out()
    };
    assert_eq!(at_the_door(""), "", "no seal on what a stranger wrote, and no signature");
    let sealed = at_the_door("Authentication-Results: mx.example; dmarc=fail; arc=none\n");
    assert!(sealed.contains("dmarc=fail") && !sealed.contains("dmarc=pass"), "{sealed}");
}

#[test]
fn keys_are_compared_with_the_dns() {
    let site = Site::new("rsa");
    let table = site.dir.write("dkim", format!("d.example s1 {}\n", site.key.display()));
    let check = |server: &DnsServer| {
        dkimsign().args(["-c", "/dev/null", "--check", "--resolver", &server.at(), "--table"]).arg(&table).run()
    };
    check(&site.server()).expect_code(0).expect_out("s1._domainkey.d.example: ok");
    check(&DnsServer::new("")).expect_code(65).expect_out("no key");
    let other = Site::new("rsa");
    check(&other.server()).expect_code(65).expect_out("another key is published");
    check(&DnsServer::new("s1._domainkey.d.example SERVFAIL")).expect_code(65).expect_out("server failure");
}

// ---- ARC ---------------------------------------------------------------------------------------------------------

fn seal(site: &Site, mail: &str) -> Output {
    site.sign().args(["--arc", "--authserv-id", "lists.example"]).stdin(mail).run()
}

#[test]
fn seals_state_what_our_own_results_say() {
    let site = Site::new("rsa");
    let server = site.server();
    let first = format!(
        "Authentication-Results: lists.example; arc=none; spf=pass smtp.mailfrom=d.example\r\nAuthentication-Results: evil.example; arc=pass\r\n{MAIL}"
    );
    let out = seal(&site, &first);
    let names: Vec<String> = out
        .out()
        .lines()
        .filter(|l| !l.starts_with([' ', '\t']))
        .map(|l| l.split(':').next().unwrap().to_owned())
        .collect();
    assert_eq!(names, ["ARC-Seal", "ARC-Message-Signature", "ARC-Authentication-Results"]);
    let one = signed(&out, &first);
    assert_eq!(verdict(&server, &one).1, "pass");
    let two = signed(
        &seal(
            &site,
            &one.replace("lists.example; arc=none;", "lists.example; arc=pass;").replacen(
                "i=1; lists.example; arc=pass;",
                "i=1; lists.example; arc=none;",
                1,
            ),
        ),
        &one,
    );
    assert_eq!(verdict(&server, &two).1, "pass", "{two}");
    assert!(two.contains("cv=pass"));
}

#[test]
fn without_results_of_ours_nothing_is_sealed() {
    let site = Site::new("ed25519");
    let out = seal(&site, MAIL);
    assert_eq!((out.code, out.out().as_str()), (Some(0), ""));
    out.expect_err("not-sealed");
}

// ---- interop -----------------------------------------------------------------------------------------------------

/// Runs Python with the `dkim` module; `dns` answers from our record.
fn python(test: &str, site: &Site, script: &str, mail: &Path) -> Option<Output> {
    if !have(test, "python3") || Run::new(PYTHON).args(["-c", "import dkim"]).run().code != Some(0) {
        skip(test, "python3-dkim is not installed");
        return None;
    }
    let head = format!(
        "import dkim,sys\nmail=open({:?},'rb').read()\nrecord={:?}.encode()\n\
         dns=lambda name,timeout=5: record if name.rstrip(b'.')==b's1._domainkey.d.example' else None\n",
        mail.display().to_string(),
        site.record
    );
    Some(Run::new(PYTHON).args(["-c", &format!("{head}{script}")]).run())
}

fn private_key_line(site: &Site) -> String {
    // dkimpy reads RSA keys in PEM, ed25519 as the bare seed in base64
    format!("key=open({:?},'rb').read()\n", site.key.display().to_string())
}

#[test]
fn dkimpy_verifies_ours() {
    for kind in ["rsa", "ed25519"] {
        let site = Site::new(kind);
        for canon in ["relaxed/relaxed", "simple/simple"] {
            let mail = signed(&site.sign().args(["--canon", canon]).stdin(MAIL).run(), MAIL);
            let file = site.dir.write("mail", &mail);
            let test = "dkimsign::dkimpy_verifies_ours";
            if kind == "ed25519" && Run::new(PYTHON).args(["-c", "import nacl"]).run().code != Some(0) {
                skip(test, "python3-nacl is not installed");
                continue;
            }
            let Some(out) = python(test, &site, "print(dkim.verify(mail,dnsfunc=dns))", &file) else { return };
            assert_eq!(out.out().trim(), "True", "{kind} {canon}: {}", out.describe());
        }
    }
}

#[test]
fn we_verify_dkimpy() {
    let site = Site::new("rsa");
    let file = site.dir.write("mail", MAIL);
    for canon in ["b'relaxed',b'relaxed'", "b'simple',b'simple'"] {
        let script = format!(
            "{}sys.stdout.buffer.write(dkim.sign(mail,b's1',b'd.example',key,canonicalize=({canon})))",
            private_key_line(&site)
        );
        let Some(out) = python("dkimsign::we_verify_dkimpy", &site, &script, &file) else { return };
        assert_eq!(dkim(&site.server(), &signed(&out, MAIL)), "pass", "{canon}");
    }
}

#[test]
fn arc_both_ways_with_dkimpy() {
    const TEST: &str = "dkimsign::arc_both_ways_with_dkimpy";
    let site = Site::new("rsa");
    let mail = format!("Authentication-Results: lists.example; spf=pass smtp.mailfrom=d.example\r\n{MAIL}");
    let one = signed(&seal(&site, &mail), &mail);
    let file = site.dir.write("mail", &one);
    let Some(out) = python(TEST, &site, "print(dkim.arc_verify(mail,dnsfunc=dns)[0])", &file) else { return };
    assert!(out.out().contains("pass"), "{}", out.describe());
    if Run::new(PYTHON).args(["-c", "import authres"]).run().code != Some(0) {
        return skip(TEST, "python3-authres is not installed");
    }
    // theirs on top of ours
    let hop = format!("Authentication-Results: mx2.example; arc=pass\r\n{one}");
    let file = site.dir.write("mail", &hop);
    let script = format!(
        "{}sys.stdout.buffer.write(b''.join(dkim.arc_sign(mail,b's1',b'd.example',key,b'mx2.example')))",
        private_key_line(&site)
    );
    let Some(out) = python(TEST, &site, &script, &file) else { return };
    assert_eq!(verdict(&site.server(), &signed(&out, &hop)).1, "pass", "{}", out.describe());
}

/// The standard form of the sealers' test suite: the same key, time and message give the same fields as dkimpy's, for a
/// first seal, a second one, and one over a broken chain.
#[test]
fn seals_are_those_of_dkimpy() {
    const TEST: &str = "dkimsign::seals_are_those_of_dkimpy";
    if Run::new(PYTHON).args(["-c", "import authres"]).run().code != Some(0) {
        return skip(TEST, "python3-authres is not installed");
    }
    let site = Site::new("rsa");
    let squeeze = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
    let hop = |state: &str, mail: &str| {
        format!("Authentication-Results: lists.example; arc={state}; spf=pass;\r\n dkim=fail (a; b)\r\n{mail}")
    };
    let first = hop("none", MAIL);
    let one =
        signed(&seal(&site, &first), &first).replace("Authentication-Results: lists.example; arc=none", "X-Old: x");
    let one = one.replacen("ARC-X-Old: x", "ARC-Authentication-Results: lists.example; arc=none", 1);
    for mail in [first, hop("pass", &one), hop("fail", &one)] {
        let names = "from:to:subject:date:arc-authentication-results";
        let ours = site.sign().args(["--arc", "--authserv-id", "lists.example", "--headers", names]).stdin(&mail).run();
        let file = site.dir.write("mail", &mail);
        let script = format!(
            "{}names=[n.encode() for n in '{names}'.split(':')]\nsys.stdout.buffer.write(b''.join(dkim.arc_sign(mail,b's1',b'd.example',key,b'lists.example',include_headers=names,timestamp={NOW},standardize=True)))",
            private_key_line(&site)
        );
        let Some(theirs) = python(TEST, &site, &script, &file) else { return };
        assert_eq!(squeeze(&ours.out()), squeeze(&theirs.out()), "{}", theirs.err());
    }
}

/// opendkim in its test mode over one message.
fn opendkim(test: &str, site: &Site, conf: &str, mail: &str) -> Option<Output> {
    if !have(test, "opendkim") {
        return None;
    }
    let socket = site.dir.join("sock");
    let conf = site.dir.write("opendkim.conf", format!("{conf}\nSocket local:{}\n", socket.display()));
    let file = site.dir.write("mail", mail);
    let user = Run::new("/usr/bin/id").arg("-un").run().out();
    Some(
        Run::new("/usr/sbin/opendkim")
            .arg("-x")
            .arg(conf)
            .args(["-v", "-v", "-t"])
            .arg(file)
            .args(["-u", user.trim()])
            .run(),
    )
}

#[test]
fn opendkim_verifies_ours() {
    let site = Site::new("rsa");
    let keys = site.dir.write("keys", format!("s1._domainkey.d.example {}\n", site.record));
    let conf = format!("Mode v\nTestPublicKeys {}", keys.display());
    for canon in ["relaxed/relaxed", "simple/simple", "relaxed/simple"] {
        let mail = signed(&site.sign().args(["--canon", canon]).stdin(MAIL).run(), MAIL);
        let Some(out) = opendkim("dkimsign::opendkim_verifies_ours", &site, &conf, &mail) else { return };
        assert!(out.out().contains("dkim=pass"), "{canon}: {}", out.describe());
    }
}

#[test]
fn we_verify_opendkim() {
    let site = Site::new("rsa");
    for canon in ["relaxed/relaxed", "simple/simple"] {
        let conf = format!(
            "Mode s\nDomain d.example\nSelector s1\nKeyFile {}\nSignatureAlgorithm rsa-sha256\nCanonicalization {canon}\n\
             InternalHosts 0.0.0.0/0\nRequireSafeKeys no",
            site.key.display()
        );
        let Some(out) = opendkim("dkimsign::we_verify_opendkim", &site, &conf, MAIL) else { return };
        // it shows what it would insert: hname='DKIM-Signature' hvalue='...'
        let text = out.out();
        let value = text.split("hvalue='").nth(1).and_then(|v| v.split('\'').next()).unwrap_or_default();
        let mail = format!("DKIM-Signature: {}\r\n{MAIL}", value.replace('\n', "\r\n"));
        assert_eq!(dkim(&site.server(), &mail), "pass", "{canon}: {}", out.describe());
    }
}

/// A thousand real messages: signed as the queue stores them, verified as the wire carries them.
#[test]
fn a_corpus_signs_and_verifies() {
    const TEST: &str = "dkimsign::a_corpus_signs_and_verifies";
    let Some(corpus) = std::env::var_os("PENNYPOST_CORPUS") else {
        return skip(TEST, "PENNYPOST_CORPUS names no folder of messages");
    };
    let mut files = Vec::new();
    collect(Path::new(&corpus), &mut files);
    files.sort();
    let site = Site::new("rsa");
    let server = site.server();
    let mut bad = Vec::new();
    let mut done = 0;
    for file in files.iter().take(1000) {
        let Ok(bytes) = std::fs::read(file) else { continue };
        let out = site.sign().stdin(&bytes).run();
        let whole = [out.stdout.clone(), bytes.clone()].concat();
        // lone CR and LF as a relay would pass them: every LF becomes CRLF
        let wire: Vec<u8> = whole.iter().flat_map(|&b| if b == b'\n' { b"\r\n".to_vec() } else { vec![b] }).collect();
        let args = ["-c", "/dev/null", "--json", "--resolver", &server.at(), "--ip", "192.0.2.1", "--time", NOW];
        let got = Run::new(program!("mailauth")).args(args).stdin(&wire).run().out();
        done += 1;
        if out.code != Some(0) || !got.contains("\"result\":\"pass\",\"domain\":\"d.example\",\"selector\":\"s1\"") {
            bad.push(file.clone());
        }
    }
    assert!(bad.is_empty() && done > 0, "{} of {done} fail: {bad:?}", bad.len());
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|e| e == "eml") {
            files.push(path);
        }
    }
}
