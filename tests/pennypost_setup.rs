//! pennypost setup and dns: from nothing to a server that runs, and the records it asks for.

use penny_testkit::{Client, DnsServer, Output, Run, TempDir, Terminal, program, programs};
use penny_testkit::{until, wait_for_port, wait_for_socket};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The usual ports, moved out of the way by an offset.
const OFFSETS: [u16; 7] = [25, 143, 465, 587, 993, 995, 4190];

struct Place {
    dir: TempDir,
    offset: u16,
}

impl Place {
    fn new() -> Place {
        let dir = TempDir::new();
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).expect("chmod");
        Place { dir, offset: penny_testkit::free_base(&OFFSETS) }
    }

    fn root(&self) -> PathBuf {
        self.dir.join("srv")
    }

    fn setup(&self, more: &str) -> Output {
        let offset = self.offset.to_string();
        let run = Run::new(program!("pennypost")).args(["setup", "example.test", "--hostname", "mx.example.test"]);
        let run = run.arg("--root").arg(self.root()).args(["--listen", "127.0.0.1", "--port-offset", &offset]);
        let run = run.args(["--ip", "192.0.2.1", "--ip", "2001:db8::1", "--ids", "64301"]);
        let run = if more.contains("--start") { run } else { run.args(["--start", "none"]) };
        run.args(more.split_whitespace()).limit(std::time::Duration::from_secs(120)).run()
    }

    fn pennypost(&self, line: &str) -> Output {
        let run = Run::new(program!("pennypost")).arg("-c").arg(self.root().join("etc/pennypost.toml"));
        run.args(line.split_whitespace()).limit(std::time::Duration::from_secs(120)).run()
    }
}

/// Path, owner, mode and contents of everything below a directory.
fn snapshot(top: &Path) -> Vec<(PathBuf, u32, Vec<u8>)> {
    let mut out = Vec::new();
    for path in penny_testkit::tmp::list(top) {
        let mode = std::fs::metadata(&path).map_or(0, |m| m.permissions().mode());
        out.push((path.clone(), mode, std::fs::read(&path).unwrap_or_default()));
        if path.is_dir() {
            out.extend(snapshot(&path));
        }
    }
    out
}

#[test]
fn a_dry_run_touches_nothing() {
    let place = Place::new();
    place.setup("--dry-run").expect_code(0).expect_out("would make").expect_out("nothing was changed");
    assert!(!place.root().exists());
}

#[test]
fn a_filter_that_is_not_there_is_told_before_anything_is_made() {
    let place = Place::new();
    place.setup("--filters mailauth,dkimsing").expect_code(64).expect_err("no filter dkimsing: mailauth,");
    assert!(!place.root().exists());
}

/// A configuration with a mistake would be kept by the next run.
#[test]
fn a_mistake_on_the_command_line_is_told_before_anything_is_made() {
    let place = Place::new();
    let other = place.dir.path().join("other.pem");
    std::fs::write(&other, "no certificate").expect("written");
    let here = other.display();
    for (domain, more, code, why) in [
        ("ann@example.test", String::new(), 64, "is no domain"),
        ("../etc", String::new(), 64, "is no domain"),
        ("example.test", "--hostname mx..example".into(), 64, "is no domain"),
        ("example.test", "--postmaster a:b".into(), 64, "is no login"),
        ("example.test", "--smarthost relay.test".into(), 64, "HOST:PORT"),
        ("example.test", "--certificate /nowhere.pem --key /nowhere.key".into(), 78, "/nowhere.pem: No such file"),
        ("example.test", format!("--certificate {here} --key {here}"), 78, "no certificate in it"),
    ] {
        let run = Run::new(program!("pennypost")).args(["setup", domain, "--start", "none", "--ids", "64301"]);
        let run = run.arg("--root").arg(place.root()).args(more.split_whitespace());
        run.run().expect_code(code).expect_err(why);
        assert!(!place.root().exists(), "{domain} {more}");
    }
}

/// `pennypost setup` at a terminal, everything below a directory.
fn at_a_terminal(place: &Place, more: &[&str]) -> Terminal {
    let mut command = Command::new(program!("pennypost"));
    command.args(["setup", "--root"]).arg(place.root()).args(["--listen", "127.0.0.1", "--ip", "192.0.2.1"]);
    command.args(["--port-offset", &place.offset.to_string(), "--ids", "64301", "--start", "none"]);
    Terminal::start(command.args(more))
}

#[test]
fn at_a_terminal_it_asks() {
    let place = Place::new();
    let mut t = at_a_terminal(&place, &["--selector", "s1"]);
    t.expect("Domain of the mail addresses [").enter("no domain").expect("is no domain");
    t.expect("addresses [").enter("example.test");
    t.expect("Name of this host in the DNS [mx.example.test]: ").enter("");
    t.expect("First user, who reads mail for the postmaster [postmaster]: ").enter("ann");
    t.expect("New password of ann@example.test: ").enter("secret").expect("Once more: ").enter("other");
    t.expect("not the same");
    t.expect("New password of ann@example.test: ").enter("secret").expect("Once more: ").enter("secret");
    t.expect("Certificate chain, a PEM file [self-signed for now]: ")
        .enter("/no/such")
        .expect("there is no file /no/such");
    t.expect("now]: ").enter("");
    t.expect("Filters (or none) [mailauth,virusscan,spamcheck,dkimsign]: ")
        .enter("dkimsing")
        .expect("no filter dkimsing");
    t.expect("dkimsign]: ").enter("mailauth, dkimsign");
    t.expect("HOST:PORT (or none) [none]: ").enter("relay").expect("HOST:PORT, for instance");
    t.expect("[none]: ").enter("[relay.test]:587");
    t.expect("Make the server of example.test now [yes]: ");
    assert!(!place.root().exists(), "nothing is made before the last answer");
    t.enter("").expect("Publish these records");
    let (code, shown) = t.finish();
    assert_eq!(code, Some(0), "{shown}");
    assert!(!shown.contains("secret") && !shown.contains("logs in with the password"), "{shown}");
    let read = |name: &str| std::fs::read_to_string(place.root().join("etc").join(name)).expect(name);
    let config = read("pennypost.toml");
    assert!(config.contains("hostname = \"mx.example.test\"") && config.contains("name = \"dkimsign\""), "{config}");
    assert!(!config.contains("virusscan"), "{config}");
    assert_eq!(read("routes"), "* smtp:[relay.test]:587\n");
    assert!(read("users").starts_with("ann@example.test:{ARGON2ID}"), "{}", read("users"));
    assert!(read("aliases").contains("postmaster: ann@example.test\n"));
    place.setup("--postmaster ann --selector s1").expect_code(0).expect_out("kept  user ann@example.test");
}

#[test]
fn who_gives_up_has_made_nothing() {
    let place = Place::new();
    let mut t = at_a_terminal(&place, &["--postmaster", "ann", "--filters", "none", "--smarthost", "relay.test:25"]);
    t.expect("addresses [").enter("example.test");
    // what a flag says is not asked
    t.expect("DNS [").enter("mx.example.test").expect("New password of ann@").enter("").expect("Once more").enter("");
    t.expect("Certificate chain").end();
    let (code, shown) = t.finish();
    assert_eq!(code, Some(75), "{shown}");
    assert!(shown.contains("nothing was made") && !place.root().exists(), "{shown}");
    let piped = Run::new(program!("pennypost")).args(["setup", "--root"]).arg(place.root()).run();
    piped.expect_code(64).expect_err("pennypost setup DOMAIN");
}

#[test]
fn a_flag_that_says_none_is_not_asked_again() {
    let place = Place::new();
    let mut t = at_a_terminal(&place, &["--postmaster", "ann", "--filters", "none", "--smarthost", "none"]);
    t.expect("addresses [").enter("example.test").expect("DNS [").enter("mx.example.test");
    t.expect("New password of ann@").enter("").expect("Once more").enter("").expect("Certificate chain").enter("");
    t.expect("Make the server of example.test now [yes]: ").end();
    let (_, shown) = t.finish();
    assert!(!shown.contains("(or none)"), "{shown}");
}

#[test]
fn a_second_run_changes_nothing() {
    let place = Place::new();
    let first = place.setup("--filters dkimsign");
    first.expect_code(0).expect_out("made").expect_out("logs in with the password");
    let before = snapshot(&place.root());
    let again = place.setup("--filters dkimsign");
    again.expect_code(0).expect_out("kept");
    let made: Vec<String> = again.out().lines().filter(|l| l.starts_with("made")).map(str::to_string).collect();
    assert_eq!(made, ["made  checked form of the configuration"]);
    assert!(!again.out().contains("logs in with"));
    let without = |s: Vec<(PathBuf, u32, Vec<u8>)>| -> Vec<_> {
        s.into_iter().filter(|f| !f.0.ends_with("pennypost.toml.checked")).collect()
    };
    assert_eq!(without(snapshot(&place.root())), without(before));
    place.pennypost("check").expect_code(0);
}

#[test]
fn secrets_are_not_for_everybody() {
    let place = Place::new();
    place.setup("").expect_code(0);
    for (path, mode, _) in snapshot(&place.root().join("etc")) {
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let secret = name.ends_with(".key") || name == "users" || path.to_string_lossy().contains("dkim.d");
        assert!(!secret || mode & 0o007 == 0, "{} has mode {mode:o}", path.display());
    }
}

#[test]
fn what_leaves_is_signed_and_sealed() {
    let place = Place::new();
    place.setup("--filters mailauth,dkimsign --selector s1").expect_code(0);
    let etc = |name: &str| std::fs::read_to_string(place.root().join("etc").join(name)).expect("the file");
    let config = etc("pennypost.toml");
    assert!(config.contains("arc_domain = \"example.test\""), "{config}");
    assert!(config.contains("services = [\"submission\", \"forward\", \"own\"]\nsign = true"), "{config}");
    // reports are from a name below the domain
    let table = etc("dkim");
    let patterns: Vec<&str> = table.lines().filter_map(|l| l.split(' ').next()).collect();
    assert_eq!(patterns, ["example.test", ".example.test", "example.test", ".example.test"], "{table}");
    let zone = place.pennypost("dns example.test --ip 192.0.2.1").expect_code(0).out();
    assert_eq!(zone.matches("s1._domainkey.example.test.").count(), 1, "{zone}");
    place.pennypost("check").expect_code(0);
}

#[test]
fn a_configuration_of_ones_own_is_kept() {
    let place = Place::new();
    place.setup("").expect_code(0);
    let file = place.root().join("etc/pennypost.toml");
    let text = std::fs::read_to_string(&file).expect("the file").replace("hostname = ", "# mine\nhostname = ");
    std::fs::write(&file, &text).expect("written");
    place.setup("--selector s1").expect_code(0);
    assert_eq!(std::fs::read_to_string(&file).expect("the file"), text);
}

#[test]
fn the_records_and_what_is_published() {
    let place = Place::new();
    place.setup("--filters dkimsign").expect_code(0);
    let zone = place.pennypost("dns example.test --ip 192.0.2.1");
    for text in [
        "example.test. 3600 IN MX 10 mx.example.test.",
        "mx.example.test. 3600 IN A 192.0.2.1",
        "\"v=spf1 mx -all\"",
        "_domainkey.example.test. 3600 IN TXT ( \"v=DKIM1; k=rsa; p=",
        "\"v=DKIM1; k=ed25519; p=",
        "_dmarc.example.test. 3600 IN TXT \"v=DMARC1; p=quarantine;",
        "_mta-sts.example.test. 3600 IN TXT \"v=STSv1; id=",
        "_smtp._tls.example.test. 3600 IN TXT \"v=TLSRPTv1;",
        "._tcp.mx.example.test. 3600 IN TLSA 3 1 1 ",
        "_pop3._tcp.example.test. 3600 IN SRV 0 0 0 .",
        "; 1.2.0.192.in-addr.arpa. IN PTR mx.example.test.",
    ] {
        zone.expect_out(text);
    }
    let imaps = format!("_imaps._tcp.example.test. 3600 IN SRV 0 1 {} mx.example.test.", place.offset + 993);
    zone.expect_out(&imaps);
    place.pennypost("dns example.test --table --ip 192.0.2.1").expect_out("where mail goes");

    // everything published, from the JSON form
    let json = place.pennypost("dns example.test --json --ip 192.0.2.1").out();
    let mut lines: Vec<String> = json.lines().map(zone_line).collect();
    lines.push("1.2.0.192.in-addr.arpa PTR mx.example.test".into());
    let dns = DnsServer::new(&lines.join("\n"));
    let check = |dns: &DnsServer| {
        let resolver = dns.address().to_string();
        place.pennypost(&format!("dns example.test --check --ip 192.0.2.1 --resolver {resolver}"))
    };
    let out = check(&dns);
    out.expect_code(0);
    assert!(out.out().lines().skip(1).all(|l| l.starts_with("ok ")), "{}", out.out());

    // one key missing, another host in the MX, no reverse name
    let broken: Vec<String> = lines
        .iter()
        .filter(|l| !l.contains("ed25519") && !l.contains("PTR"))
        .map(|l| l.replace("MX 10 mx.example.test", "MX 10 old.example.test"))
        .collect();
    let out = check(&DnsServer::new(&broken.join("\n")));
    out.expect_code(65).expect_out("differs  example.test").expect_out("published: 10 old.example.test.");
    out.expect_out("missing  pp").expect_out("missing  1.2.0.192.in-addr.arpa");
}

/// `NAME TYPE VALUE` of a JSON line; no value here holds an escaped quote.
fn zone_line(json: &str) -> String {
    let field = |key: &str| {
        let start = json.find(&format!("\"{key}\":\"")).expect("the key") + key.len() + 4;
        json[start..].split('"').next().expect("a value").to_string()
    };
    format!("{} {} {}", field("name"), field("type"), field("value"))
}

#[test]
fn files_for_clients_are_well_formed() {
    let place = Place::new();
    place.setup("").expect_code(0);
    let www = place.root().join("state/www/example.test");
    let read = |name: &str| std::fs::read_to_string(www.join(name)).expect(name);
    let auto = read(".well-known/autoconfig/mail/config-v1.1.xml");
    assert!(auto.contains(&format!("<port>{}</port>\n      <socketType>SSL", place.offset + 993)), "{auto}");
    assert!(read("autodiscover/autodiscover.xml").contains("<Type>SMTP</Type>"));
    assert!(read("example.test.mobileconfig").contains("<key>IncomingMailServerHostName</key>"));
    assert!(read(".well-known/mta-sts.txt").contains("mode: testing\r\nmx: mx.example.test\r\n"));
    if !penny_testkit::have("files_for_clients_are_well_formed", "python3") {
        return;
    }
    let script = "import sys,xml.dom.minidom,plistlib\n[xml.dom.minidom.parse(f) for f in sys.argv[1:]]\n\
                  print(plistlib.load(open(sys.argv[3],'rb'))['PayloadContent'][0]['OutgoingMailServerHostName'])";
    let out = Run::new("python3").args(["-c", script]).dir(&www);
    let out = out.args(["mail/config-v1.1.xml", "autodiscover/autodiscover.xml", "example.test.mobileconfig"]).run();
    out.expect_code(0).expect_out("mx.example.test");
}

#[test]
fn inetd_lines_are_added_once() {
    let place = Place::new();
    let file = place.dir.write("inetd.conf", "# mine\npop3 stream tcp nowait root /usr/sbin/other other\n");
    let run = || place.setup(&format!("--start inetd --inetd-conf {}", file.display()));
    run().expect_code(0).expect_out("pop3 is taken by another line; left alone");
    let text = std::fs::read_to_string(&file).expect("the file");
    assert!(text.starts_with("# mine\npop3 stream tcp nowait root /usr/sbin/other other\nsmtp "), "{text}");
    assert_eq!(text.lines().filter(|l| l.contains("tlsd")).count(), 7);
    run().expect_code(0).expect_out("kept");
    assert_eq!(std::fs::read_to_string(&file).expect("the file"), text);
}

/// The services as setup's own words start them, with their log; killed when dropped.
struct Services(Vec<Child>, PathBuf);

impl Drop for Services {
    fn drop(&mut self) {
        for child in self.0.iter_mut().rev() {
            let pid = nix::unistd::Pid::from_raw(child.id() as i32);
            let _ = nix::sys::signal::killpg(pid, nix::sys::signal::Signal::SIGTERM);
            let _ = child.wait();
        }
        if std::thread::panicking() {
            let _ = std::io::stderr().write_all(&std::fs::read(&self.1).unwrap_or_default());
        }
    }
}

fn start(told: &str, root: &Path) -> Services {
    use std::os::unix::process::CommandExt;
    let mut services = Services(Vec::new(), root.join("../log"));
    let lines = told.lines().skip_while(|l| !l.starts_with("start these")).skip(1).take(5);
    for line in lines {
        let command = line.split("      (").next().unwrap_or(line);
        let log = std::fs::OpenOptions::new().create(true).append(true).open(&services.1).expect("a log");
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", &format!("exec {command}")]).process_group(0).stdin(Stdio::null());
        services.0.push(shell.stdout(log.try_clone().expect("a log")).stderr(log).spawn().expect("a service"));
        let socket = ["spawn", "lookup", "enqueue", "qrun"].iter().find(|s| command.contains(&format!("/{s} -c")));
        if let Some(socket) = socket {
            wait_for_socket(root.join("run").join(socket).join("socket"));
        }
    }
    services
}

#[test]
fn what_setup_made_sends_and_receives() {
    let place = Place::new();
    let told = place.setup("--filters dkimsign --postmaster ann").expect_code(0).out();
    let password = told.lines().find_map(|l| l.split_once("logs in with the password ")).expect("a password").1;
    let _services = start(&told, &place.root());
    let port = |p: u16| place.offset + p;
    wait_for_port(port(25));
    let mut smtp = Client::connect(("127.0.0.1", port(25)));
    smtp.read_line();
    for (command, reply) in [
        ("HELO client.test", "250 "),
        ("MAIL FROM:<>", "250 "),
        ("RCPT TO:<postmaster@example.test>", "250 "),
        ("DATA", "354 "),
        ("Subject: first\r\n\r\nhello\r\n.", "250 "),
    ] {
        smtp.ask(command, reply);
    }
    let new = place.root().join("mail/example.test/ann/Maildir/new");
    until("delivery", || new.read_dir().is_ok_and(|d| d.count() > 0));
    let mut imap = Client::connect(("127.0.0.1", port(143)));
    imap.read_line();
    imap.ask(&format!("a LOGIN ann@example.test {password}"), "a OK");
    imap.line("b EXAMINE INBOX");
    let lines: Vec<String> = std::iter::from_fn(|| imap.read_line().filter(|l| !l.starts_with("b "))).collect();
    assert!(lines.contains(&"* 1 EXISTS".to_string()), "{lines:?}");
}

#[test]
fn a_renewed_certificate_is_taken_over() {
    if !penny_testkit::have("a_renewed_certificate_is_taken_over", "openssl") {
        return;
    }
    let place = Place::new();
    place.setup("").expect_code(0);
    let etc = place.root().join("etc");
    let other = Place::new();
    other.setup("").expect_code(0);
    let renewed = place.dir.join("live");
    std::fs::create_dir(&renewed).expect("a directory");
    let copy = |from: &Path, name: &str| {
        std::fs::copy(from, renewed.join(name)).expect("copied");
    };
    copy(&other.root().join("etc/tls.pem"), "fullchain.pem");
    copy(&etc.join("tls.key"), "privkey.pem");
    let hook = |root: &Path| {
        let path = format!("{}:/usr/bin:/bin", programs!().display());
        let run = Run::new(concat!(env!("CARGO_MANIFEST_DIR"), "/etc/acme/deploy-hook")).env("PATH", path);
        let run = run.env("RENEWED_LINEAGE", &renewed).env("PENNYPOST_CONFIG", root.join("etc/pennypost.toml"));
        run.env("RELOAD", format!("touch {}", place.dir.join("reloaded").display())).run()
    };
    hook(&place.root()).expect_code(1).expect_err("is not the key of");
    assert!(!place.dir.join("reloaded").exists());
    copy(&other.root().join("etc/tls.key"), "privkey.pem");
    hook(&place.root()).expect_code(0);
    let read = |p: PathBuf| std::fs::read(p).expect("a file");
    assert_eq!(read(etc.join("tls.pem")), read(renewed.join("fullchain.pem")));
    assert_eq!(std::fs::metadata(etc.join("tls.key")).expect("the key").permissions().mode() & 0o777, 0o600);
    assert!(place.dir.join("reloaded").exists());
}
