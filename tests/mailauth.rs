//! mailauth as a program: the public suites through its command line and a real DNS server, the filter contract, interop.

#[path = "../lib/verify/tests/support/suite.rs"]
mod suite;
#[path = "../lib/verify/tests/support/yaml.rs"]
mod yaml;

use penny_dns::{Data, Name, Zone};
use penny_testkit::dns::{DnsServer, Quirks};
use penny_testkit::{Output, Run, TempDir, have, program, skip};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use yaml::{Yaml, documents};

const IP: &str = "192.0.2.1";
const MAIL: &str = "From: Joe <joe@d.example>\r\nTo: a@b.example\r\nSubject: hi\r\n\r\nHello\r\n";

fn mailauth(server: &DnsServer) -> Run {
    // an empty configuration of its own: the host's must not change a test
    Run::new(program!("mailauth")).args(["-c", "/dev/null", "--resolver", &server.at(), "--authserv-id", "mx.example"])
}

fn check(server: &DnsServer, from: &str, mail: impl AsRef<[u8]>) -> Output {
    mailauth(server).args(["--json", "--ip", IP, "--helo", "h.example", "--from", from]).stdin(mail).run()
}

/// The part of one method in the JSON.
fn part(out: &str, method: &str) -> String {
    let start = out.find(&format!("\"{method}\":")).unwrap_or_else(|| panic!("no {method} in {out}"));
    let rest = &out[start..];
    let end = rest.find(['}', ']']).map_or(rest.len(), |e| e + 1);
    rest[..end].to_owned()
}

fn field(out: &str, method: &str, key: &str) -> String {
    let part = part(out, method);
    let start = part.find(&format!("\"{key}\":\"")).unwrap_or_else(|| panic!("no {key} in {part}")) + key.len() + 4;
    part[start..].split('"').next().unwrap_or_default().to_owned()
}

// ---- the SPF suites ----------------------------------------------------------------------------------------------

/// One test of a suite with the server that holds its zone.
struct Case<'a> {
    name: &'a str,
    test: &'a Yaml,
    server: &'a DnsServer,
}

fn spf_complaint(case: &Case<'_>) -> Option<String> {
    let get = |key: &str| case.test.get(key).map(Yaml::text).unwrap_or_default().to_owned();
    let (ip, helo, from) = (get("host"), get("helo"), get("mailfrom"));
    let run = mailauth(case.server).args(["--json", "--spf-only", "--ip", &ip, "--helo", &helo, "--from", &from]).run();
    if run.code != Some(0) {
        return Some(format!("{}: {}", case.name, run.describe()));
    }
    let got = field(&run.out(), "spf", "result");
    let wanted = suite::wanted(case.name, case.test);
    if !wanted.contains(&got.as_str()) {
        return Some(format!("{}: {got}, wanted {wanted:?}: {}", case.name, run.out()));
    }
    let explanation = case.test.get("explanation").map(Yaml::text).filter(|e| *e != "DEFAULT")?;
    let got = field(&run.out(), "spf", "explanation");
    (got != explanation).then(|| format!("{}: explanation {got:?}, wanted {explanation:?}", case.name))
}

fn spf_suite(file: &str, count: usize) {
    let scenarios = suite::load(env!("CARGO_MANIFEST_DIR"), file);
    let servers: Vec<DnsServer> =
        scenarios.iter().map(|s| DnsServer::start(suite::zone(s), Quirks::default())).collect();
    let cases: Vec<Case<'_>> = scenarios
        .iter()
        .zip(&servers)
        .flat_map(|(s, server)| {
            let tests = s.get("tests").map(Yaml::entries).unwrap_or_default();
            tests.iter().map(move |(name, test)| Case { name, test, server })
        })
        .collect();
    assert_eq!(cases.len(), count);
    let complaints = Mutex::new(Vec::new());
    let next = AtomicUsize::new(0);
    // several at once: names that never answer cost their time-outs
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    complaints.lock().unwrap().extend(spf_complaint(case));
                }
            });
        }
    });
    let complaints = complaints.into_inner().unwrap();
    assert!(complaints.is_empty(), "{} fail:\n{}", complaints.len(), complaints.join("\n"));
}

#[test]
fn rfc_7208_suite_through_the_network() {
    spf_suite("rfc7208-tests.yml", 203);
}

#[test]
fn blitiri_suite_through_the_network() {
    spf_suite("blitirispf-tests.yml", 21);
}

// ---- the ARC suite -----------------------------------------------------------------------------------------------

#[test]
fn arc_suite_through_the_network() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/arc/arc-draft-validation-tests.yml");
    let mut complaints = Vec::new();
    let mut names = std::collections::BTreeSet::new();
    for scenario in documents(&std::fs::read_to_string(path).unwrap()) {
        let mut zone = Zone::new();
        for (name, value) in scenario.get("txt-records").map(Yaml::entries).unwrap_or_default() {
            let text: String = value.text().lines().map(str::trim).collect();
            zone.add(&Name::parse(name).unwrap(), Data::Txt(text.into_bytes()));
        }
        let server = DnsServer::start(zone, Quirks::default());
        for (name, test) in scenario.get("tests").map(Yaml::entries).unwrap_or_default() {
            names.insert(name.clone());
            let mail = test.get("message").map(Yaml::text).unwrap_or_default();
            let got = field(&check(&server, "a@d.example", mail).out(), "arc", "result");
            let wanted = test.get("cv").map(|c| c.text().trim().to_ascii_lowercase()).unwrap_or_default();
            let wanted = if wanted.is_empty() { "fail".to_owned() } else { wanted };
            if got != wanted {
                complaints.push(format!("{name}: {got}, wanted {wanted}"));
            }
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    assert_eq!(names.len(), 171);
}

// ---- one message -------------------------------------------------------------------------------------------------

fn zone() -> String {
    format!("d.example TXT v=spf1 ip4:{IP} -all\n_dmarc.d.example TXT v=DMARC1; p=reject\nd.example A {IP}\n")
}

#[test]
fn json_has_the_agreed_form() {
    let server = DnsServer::new(&zone());
    let out = check(&server, "joe@d.example", MAIL);
    out.expect_code(0);
    assert!(
        out.out().starts_with("{\"spf\":{\"result\":\"pass\",\"domain\":\"d.example\",\"explanation\":\"\""),
        "{}",
        out.out()
    );
    assert!(
        out.out().contains("\"dkim\":[],\"dmarc\":{\"result\":\"pass\",\"policy\":\"reject\",\"domain\":\"d.example\"")
    );
    assert!(out.out().contains("\"arc\":{\"result\":\"none\",\"instance\":0"), "{}", out.out());
    assert_eq!(out.out().lines().count(), 1);
}

#[test]
fn hostile_text_stays_inside_json_strings() {
    let server = DnsServer::new("");
    let mail = "DKIM-Signature: v=1; d=\"},{; s=\u{1}\"\\\r\nFrom: \"\\\"x\" <a@d.example>\r\n\r\n";
    let out = check(&server, "\"a\\\"b\"@d.example", mail);
    let python = Run::new("python3").args(["-c", "import json,sys; json.load(sys.stdin)"]).stdin(out.stdout).run();
    python.expect_code(0);
}

#[test]
fn misuse() {
    let server = DnsServer::new("");
    mailauth(&server).arg("--json").stdin(MAIL).run().expect_code(64).expect_err("--ip is missing");
    mailauth(&server).args(["--ip", "nonsense"]).run().expect_code(64);
    mailauth(&server).arg("--frobnicate").run().expect_code(64);
    mailauth(&server).args(["--ip", IP, "--resolver", "localhost"]).run().expect_code(64);
    mailauth(&server).arg("--help").run().expect_code(0).expect_out("--spf-only");
}

#[test]
fn the_field_for_people_and_pipes() {
    let server = DnsServer::new(&zone());
    let out = mailauth(&server).args(["--ip", IP, "--from", "joe@d.example"]).stdin(MAIL).run();
    out.expect_code(0).expect_out("Authentication-Results: mx.example;\r\n\tspf=pass").expect_out("dmarc=pass");
    let mail = format!("Authentication-Results: mx.example; dkim=pass\r\n{MAIL}");
    let out = mailauth(&server).args(["--rewrite", "--ip", IP, "--from", "joe@d.example"]).stdin(&mail).run();
    assert!(out.out().ends_with(MAIL) && !out.out().contains("dkim=pass"), "{}", out.out());
}

// ---- the filter contract -----------------------------------------------------------------------------------------

fn filter(server: &DnsServer, config: &str, env: &[(&str, &str)], mail: &str) -> Output {
    let dir = TempDir::new();
    let config = dir.write("pennypost.toml", config);
    let mut run = Run::new(program!("mailauth")).arg("-c").arg(config).env("PENNYPOST_FILTER", "1");
    run =
        run.env("PENNYPOST_RESOLVER", server.at()).env("REMOTE_IP", IP).env("HELO", "h.example").env("QUEUE_ID", "q1");
    for (name, value) in env {
        run = run.env(name, value);
    }
    run.stdin(mail.replace("\r\n", "\n")).run()
}

const ID: &str = "hostname = \"mx.example\"\n";

#[test]
fn a_passing_message_gets_the_field() {
    let server = DnsServer::new(&zone());
    let out = filter(&server, ID, &[("SENDER", "joe@d.example")], MAIL);
    out.expect_code(0).expect_out("Authentication-Results: mx.example;\n\tspf=pass");
    out.expect_err("q=q1").expect_err("decision=accept");
}

#[test]
fn policies_reject_junk_and_accept() {
    let zone = |p: &str| format!("_dmarc.d.example TXT v=DMARC1; p={p}\n");
    let run = |p: &str, config: &str| {
        filter(&DnsServer::new(&zone(p)), &format!("{ID}{config}"), &[("SENDER", "eve@e.example")], MAIL)
    };
    let out = run("reject", "");
    out.expect_code(100);
    assert_eq!(out.out().lines().last(), Some("5.7.1 Rejected by the DMARC policy of d.example"));
    run("reject; t=y", "").expect_code(99).expect_out("dmarc=fail");
    run("quarantine", "").expect_code(99).expect_out("dmarc=fail");
    run("none", "").expect_code(0).expect_out("dmarc=fail");
    run("reject", "[mailauth]\ndmarc = \"quarantine\"\n").expect_code(99);
    run("reject", "[mailauth]\ndmarc = \"none\"\n").expect_code(0);
    run("reject", "[mailauth]\nexcept = [\"d.example\"]\n").expect_code(0).expect_err("decision=local_policy");
}

#[test]
fn spf_failures_are_refused_only_when_told() {
    let server = DnsServer::new("d.example TXT v=spf1 -all exp=why.d.example\nwhy.d.example TXT %{i} may not");
    let env = [("SENDER", "joe@d.example")];
    filter(&server, ID, &env, MAIL).expect_code(0).expect_out("spf=fail");
    let out = filter(&server, &format!("{ID}[mailauth]\nspf_reject = true\n"), &env, MAIL);
    out.expect_code(100).expect_out("5.7.23 SPF: 192.0.2.1 may not");
}

#[test]
fn a_failing_dns_defers_and_never_rejects() {
    let server = DnsServer::new("_dmarc.d.example SERVFAIL");
    let env = [("SENDER", "joe@e.example")];
    let out = filter(&server, ID, &env, MAIL);
    out.expect_code(75);
    filter(&server, &format!("{ID}[mailauth]\ndefer = false\n"), &env, MAIL)
        .expect_code(0)
        .expect_out("dmarc=temperror");
    // nobody answers there
    let at = format!("127.0.0.1:{}", penny_testkit::free_port());
    let out = Run::new(program!("mailauth"))
        .args(["-c", "/dev/null", "--json", "--resolver", &at, "--ip", IP, "--from", "a@d.example"])
        .stdin(MAIL)
        .run();
    assert_eq!(field(&out.out(), "spf", "result"), "temperror");
    assert_eq!(field(&out.out(), "dmarc", "result"), "temperror");
}

#[test]
fn mistakes_of_ours_defer() {
    let server = DnsServer::new("");
    filter(&server, "[mailauth]\nnonsense = 1\n", &[], MAIL).expect_code(75).expect_err("nonsense");
}

#[test]
fn submitted_mail_is_not_judged() {
    let server = DnsServer::new("_dmarc.d.example TXT v=DMARC1; p=reject");
    let out = filter(&server, ID, &[("SENDER", "joe@d.example"), ("AUTH_USER", "joe")], MAIL);
    out.expect_code(0).expect_out("auth=pass\n\t smtp.auth=joe");
    assert!(server.queries().is_empty());
}

#[test]
fn two_authors_are_refused_with_the_stricter_policy() {
    let server = DnsServer::new(
        "_dmarc.d.example TXT v=DMARC1; p=reject\nevil.example TXT v=spf1 +all\n_dmarc.evil.example TXT v=DMARC1; p=none",
    );
    let mail = format!("From: eve@evil.example\r\n{MAIL}");
    filter(&server, ID, &[("SENDER", "eve@evil.example")], &mail).expect_code(100);
}

/// The whole budget is kept though every name hangs.
#[test]
fn dns_time_is_bounded() {
    let names = ["d.example", "_dmarc.d.example", "_dmarc.example", "default._bimi.d.example"];
    let zone: String = names.iter().map(|n| format!("{n} TIMEOUT\n")).collect();
    let server = DnsServer::new(&zone);
    let begin = std::time::Instant::now();
    filter(&server, &format!("{ID}[mailauth]\ndns_time = \"1s\"\n"), &[("SENDER", "a@d.example")], MAIL)
        .expect_code(75);
    // the first name takes it all, so no other is asked for
    let asked = server.queries();
    assert!(asked.iter().all(|query| query == "udp d.example TXT"), "{asked:?}");
    assert!(begin.elapsed().as_secs() < 60);
}

// ---- interop -----------------------------------------------------------------------------------------------------

/// Debian's python3-spf must say the same about the same zone (its answers come from a table, not the network).
#[test]
fn python_spf_agrees() {
    const TEST: &str = "mailauth::python_spf_agrees";
    const PYTHON: &str = "/usr/bin/python3";
    if !have(TEST, "python3") || Run::new(PYTHON).args(["-c", "import spf"]).run().code != Some(0) {
        return skip(TEST, "python3-spf is not installed");
    }
    let records = [
        "v=spf1 ip4:192.0.2.0/24 -all",
        "v=spf1 a ~all",
        "v=spf1 mx ?all",
        "v=spf1 include:i.example -all",
        "v=spf1 a:b..c -all",
        "v=spf1 exists:%{ir}.x.example -all",
    ];
    for record in records {
        let zone =
            format!("d.example TXT {record}\ni.example TXT v=spf1 ip4:{IP} -all\n1.2.0.192.x.example A 127.0.0.2\n");
        let ours = field(&check(&DnsServer::new(&zone), "joe@d.example", MAIL).out(), "spf", "result");
        let script = format!(
            "import spf\nzone={{('d.example','TXT'):[(b'{record}',)],('i.example','TXT'):[(b'v=spf1 ip4:{IP} -all',)],('1.2.0.192.x.example','A'):['127.0.0.2']}}\n\
             spf.DNSLookup=lambda name,qtype,*a,**k:[((name,qtype),v) for v in zone.get((name.lower(),qtype),[])]\n\
             print(spf.check2(i='{IP}',s='joe@d.example',h='h.example')[0])"
        );
        let theirs = Run::new(PYTHON).args(["-c", &script]).run();
        assert_eq!(theirs.out().trim(), ours, "{record}: {}", theirs.describe());
    }
}

/// libopendmarc (RFC 7489) must decide alike where both standards say the same.
#[test]
fn opendmarc_agrees() {
    const TEST: &str = "mailauth::opendmarc_agrees";
    let root = env!("CARGO_MANIFEST_DIR");
    let dir = TempDir::new();
    let tool = dir.join("opendmarc");
    let cc = Run::new("cc").arg("-o").arg(&tool).arg(format!("{root}/tests/interop/opendmarc.c")).arg("-lopendmarc");
    if !have(TEST, "cc") || cc.run().code != Some(0) {
        return skip(TEST, "libopendmarc-dev is not installed");
    }
    let suffixes = format!("{root}/tests/data/psl/public_suffix_list.dat");
    // author, record at, record, domain that passes SPF; "-" is none
    for (from, at, record, spf) in [
        ("example.com", "example.com", "v=DMARC1; p=reject", "example.com"),
        ("example.com", "example.com", "v=DMARC1; p=reject", "mail.example.com"),
        ("mail.example.com", "example.com", "v=DMARC1; p=reject", "example.com"),
        // not asked: aspf=s with mail.example.com, which 1.4.2 passes against RFC 7489 3.1.2 ("exactly the same")
        ("example.com", "example.com", "v=DMARC1; p=reject; aspf=s", "example.com"),
        ("example.com", "example.com", "v=DMARC1; p=reject", "example.net"),
        ("example.com", "example.com", "v=DMARC1; p=quarantine", "-"),
        ("example.com", "example.com", "v=DMARC1; p=none", "-"),
        ("mail.example.com", "example.com", "v=DMARC1; p=none; sp=reject", "-"),
        ("mail.example.com", "example.com", "v=DMARC1; p=reject; sp=none", "-"),
        ("mail.example.com", "example.com", "v=DMARC1; p=quarantine", "example.org"),
        ("mail.example.com", "mail.example.com", "v=DMARC1; p=reject; sp=none", "-"),
    ] {
        // it takes an organization only when the record is not the author's own
        let organization = if from == at { "-" } else { at };
        let theirs = Run::new(&tool).args([suffixes.as_str(), from, record, at, organization, spf, "-"]).run();
        theirs.expect_code(0);
        let server = DnsServer::new(&format!("_dmarc.{at} TXT {record}\n{spf}. TXT v=spf1 +all\n{from} A {IP}"));
        let out = check(&server, &format!("x@{spf}"), MAIL.replace("d.example", from));
        let ours = match (field(&out.out(), "dmarc", "result").as_str(), field(&out.out(), "dmarc", "policy")) {
            ("fail", policy) => policy,
            (word, _) => word.to_owned(),
        };
        assert_eq!(ours, theirs.out().trim(), "{from} {at} {record} {spf}: {}", out.out());
    }
}

// ---- reports -----------------------------------------------------------------------------------------------------

const DAY: u64 = 1_700_000_000; // 2023-11-14

/// Two good messages and one bad one, then the daily job a day later.
fn reports(zone: &str, extra: &str) -> (TempDir, Output) {
    let server = DnsServer::new(zone);
    let dir = TempDir::new();
    let kept = dir.join("reports");
    std::fs::create_dir(&kept).unwrap();
    let config =
        dir.write("pennypost.toml", format!("{ID}[mailauth]\nreports = {:?}\n{extra}", kept.display().to_string()));
    for (n, from) in [(0, "joe@d.example"), (1, "joe@d.example"), (2, "eve@e.example")] {
        let run = Run::new(program!("mailauth")).arg("-c").arg(&config).args(["--time", &(DAY + n).to_string()]);
        let run = run.env("PENNYPOST_FILTER", "1").env("PENNYPOST_RESOLVER", server.at());
        run.env("REMOTE_IP", IP).env("SENDER", from).stdin(MAIL).run();
    }
    let out = dir.join("out");
    std::fs::create_dir(&out).unwrap();
    let job =
        Run::new(program!("mailauth")).arg("-c").arg(&config).args(["--send-reports", "--resolver", &server.at()]);
    let job = job.args(["--time", &(DAY + 86_400).to_string()]).arg("--into").arg(&out).run();
    (dir, job)
}

fn written(dir: &TempDir) -> Vec<std::path::PathBuf> {
    penny_testkit::tmp::list(dir.join("out"))
}

#[test]
fn a_day_becomes_one_report() {
    let zone = format!(
        "d.example TXT v=spf1 ip4:{IP} -all\n_dmarc.d.example TXT v=DMARC1; p=quarantine; rua=mailto:r@d.example"
    );
    let (dir, job) = reports(&zone, "");
    job.expect_code(0);
    let mails = written(&dir);
    assert_eq!(mails.len(), 1);
    let text = std::fs::read_to_string(&mails[0]).unwrap();
    assert!(
        text.contains("To: r@d.example\nSubject: Report Domain: d.example\n Submitter: mx.example\n Report-ID: <"),
        "{text}"
    );
    assert!(text.contains("filename=\"mx.example!d.example!1699920000!1700006399.xml.gz\""), "{text}");
    let shown = Run::new(program!("pennypost")).arg("report").arg(&mails[0]).run();
    shown.expect_code(0).expect_out("policy p=quarantine").expect_out("3 messages, 2 pass");
    shown.expect_out("2         192.0.2.1  d.example  pass        fail  pass");
    shown.expect_out("1         192.0.2.1  d.example  quarantine  fail  fail");
    assert!(!dir.join("reports/20231114").exists());
}

#[test]
fn other_mailboxes_must_agree() {
    let policy =
        format!("d.example TXT v=spf1 ip4:{IP} -all\n_dmarc.d.example TXT v=DMARC1; p=none; rua=mailto:r@r.example\n");
    let (dir, job) = reports(&policy, "");
    job.expect_code(0).expect_err("ev=report-not-wanted");
    assert!(written(&dir).is_empty());
    let (dir, job) = reports(&format!("{policy}d.example._report._dmarc.r.example TXT v=DMARC1"), "");
    job.expect_code(0);
    assert_eq!(written(&dir).len(), 1);
    // asked in vain: the day's results wait
    let (dir, job) = reports(&format!("{policy}d.example._report._dmarc.r.example SERVFAIL"), "");
    job.expect_code(75);
    assert!(written(&dir).is_empty() && dir.join("reports/20231114").exists());
}

#[test]
fn failure_reports_only_when_wanted() {
    let zone =
        format!("d.example TXT v=spf1 ip4:{IP} -all\n_dmarc.d.example TXT v=DMARC1; p=none; ruf=mailto:f@d.example");
    let (dir, _) = reports(&zone, "");
    assert!(written(&dir).is_empty());
    let (dir, job) = reports(&zone, "failure_reports = true\n");
    job.expect_code(0);
    let mails = written(&dir);
    assert_eq!(mails.len(), 1, "only the message that failed");
    let text = std::fs::read_to_string(&mails[0]).unwrap();
    for part in [
        "report-type=feedback-report",
        "Feedback-Type: auth-failure",
        "Auth-Failure: dmarc",
        "Reported-Domain: d.example",
        "Original-Mail-From: <eve@e.example>",
        "Subject: hi",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(!text.contains("Hello"), "bodies stay here");
}

#[test]
fn domains_that_did_not_ask_are_not_kept() {
    let (dir, job) = reports("_dmarc.d.example TXT v=DMARC1; p=none", "");
    job.expect_code(0);
    assert!(written(&dir).is_empty());
}

#[test]
fn pennypost_report_reads_mails_and_files() {
    let sample = |name: &str| format!("{}/tests/data/reports/{name}", env!("CARGO_MANIFEST_DIR"));
    for name in [
        "dmarc-feedback/100.eml",
        "dmarc-feedback/101.eml",
        "dmarc-feedback/102.eml",
        "dmarc-feedback/103.eml",
        "dmarc-feedback/104.eml",
    ] {
        Run::new(program!("pennypost"))
            .arg("report")
            .arg(sample(name))
            .run()
            .expect_code(0)
            .expect_out("DMARC report of");
    }
    for name in ["tlsrpt/rpt01.eml", "tlsrpt/rpt02.eml", "tlsrpt/rpt01.json"] {
        Run::new(program!("pennypost"))
            .arg("report")
            .arg(sample(name))
            .run()
            .expect_code(0)
            .expect_out("TLS report of");
    }
    Run::new(program!("pennypost"))
        .args(["report", "-"])
        .stdin("nothing")
        .run()
        .expect_code(65)
        .expect_err("no report");
}

#[test]
fn pennypost_dkim_makes_keys() {
    let dir = TempDir::new();
    let table = dir.join("dkim");
    let config = dir.write("pennypost.toml", format!("[dkimsign]\ntable = {:?}\n", table.display().to_string()));
    let run = |args: &[&str]| Run::new(program!("pennypost")).arg("-c").arg(&config).args(["dkim"]).args(args).run();
    let out = run(&["new", "d.example", "s1", "--kind", "ed25519"]);
    out.expect_code(0).expect_out("s1._domainkey.d.example. IN TXT \"v=DKIM1; k=ed25519; p=").expect_out("; line for ");
    assert!(dir.join("d.example.s1.pem").exists());
    assert_eq!(run(&["show", "d.example", "s1"]).out().lines().next(), out.out().lines().next());
    let record: String = out.out().split('"').nth(1).unwrap().to_owned();
    std::fs::write(&table, out.out().lines().last().unwrap().split(": ").nth(1).unwrap()).unwrap();
    let server = DnsServer::new(&format!("s1._domainkey.d.example TXT {record}"));
    run(&["check", "--resolver", &server.at()]).expect_code(0).expect_out("ok");
}
