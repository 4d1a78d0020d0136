//! virusscan, black box: the command line suites drive, the filter contract, every sample of tests/data/scan.

use penny_testkit::skip::skip;
use penny_testkit::{Run, TempDir, program};
use std::path::{Path, PathBuf};

fn virusscan() -> Run {
    Run::new(program!("virusscan")).limit(std::time::Duration::from_secs(300))
}

/// EICAR, assembled so that this file is not a find.
fn eicar() -> Vec<u8> {
    [r"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-STANDARD", "-ANTIVIRUS-TEST-FILE!$H+H*"].concat().into_bytes()
}

/// A value of a JSON line: enough of a reader for our own output.
fn field(line: &str, key: &str) -> String {
    let at = line.find(&format!("\"{key}\":\"")).unwrap_or_else(|| panic!("no {key} in {line}")) + key.len() + 4;
    line[at..].chars().take_while(|c| *c != '"').collect()
}

fn mail(body: &str) -> String {
    format!("From: a@example.org\nTo: b@example.org\nSubject: s\n\n{body}\n")
}

fn write(dir: &Path, name: &str, data: impl AsRef<[u8]>) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, data).unwrap();
    path
}

fn compiled(dir: &Path, files: &[(&str, &str)]) -> PathBuf {
    let out = dir.join("test.db");
    let mut run = virusscan().args(["--no-builtin", "--compile"]).arg(&out);
    for (name, text) in files {
        run = run.arg(write(dir, name, text));
    }
    run.run().expect_code(0);
    out
}

#[test]
fn exit_codes_and_json_by_hand() {
    let dir = TempDir::new();
    let clean = write(dir.path(), "clean.eml", mail("hello"));
    let found = write(dir.path(), "found.eml", [mail("").into_bytes(), eicar()].concat());
    let named = write(dir.path(), "named.eml", "Content-Type: x/y; name=\"run.exe\"\n\nharmless\n");
    let half = write(dir.path(), "half.eml", "Content-Type: message/partial; id=1; number=1\n\nx\n");
    let none = dir.path().join("none");
    let run = |files: &[&PathBuf]| virusscan().arg("--json").args(files).run();
    run(&[&clean]).expect_code(0);
    run(&[&clean, &none]).expect_code(2);
    run(&[&none, &half]).expect_code(3);
    run(&[&half, &named]).expect_code(4);
    let out = run(&[&clean, &named, &half, &none, &found]);
    out.expect_code(1);
    let verdicts: Vec<String> = out.out().lines().map(|l| field(l, "verdict")).collect();
    assert_eq!(verdicts, ["clean", "policy", "unscannable", "error", "found"]);
    let last = out.out().lines().last().unwrap().to_owned();
    assert_eq!(field(&last, "name"), "Eicar-Test");
    assert_eq!(field(&last, "file"), found.to_string_lossy());
    virusscan().args(["--json", "--no-policy"]).arg(&named).run().expect_code(0);
}

#[test]
fn one_message_on_standard_input() {
    virusscan().stdin(mail("hello")).run().expect_code(0).expect_out("-: clean");
    let out = virusscan().arg("--json").stdin([mail("x").into_bytes(), eicar()].concat()).run();
    out.expect_code(1);
    assert_eq!(field(&out.out(), "file"), "-");
}

#[test]
fn wrong_options() {
    virusscan().arg("--nonsense").run().expect_code(2).expect_err("unknown option");
    virusscan().args(["--db", "/nonexistent"]).stdin("x").run().expect_code(2).expect_err("/nonexistent");
    virusscan().args(["--policy", "macro=eat"]).run().expect_code(2).expect_err("eat");
    let dir = TempDir::new();
    let text = write(dir.path(), "x.db", "not a database");
    virusscan().arg("--db").arg(text).stdin("x").run().expect_code(2).expect_err("--compile");
}

#[test]
fn compiling_counts_every_line() {
    let dir = TempDir::new();
    let ndb = write(dir.path(), "a.ndb", "A:0:*:4142434445\nB:0:*:41\n# no\nC:0:*:4142434446\n");
    let ign = write(dir.path(), "a.ign2", "C\n");
    let out = dir.path().join("out.db");
    let run = virusscan().arg("--compile").arg(&out).arg(&ndb).arg(&ign).run();
    run.expect_code(0).expect_out("a.ndb:2: B: skipped").expect_out("1 taken, 1 ignored by .ign2, 1 skipped");
    virusscan().arg("--info").arg(&out).run().expect_code(0).expect_out("taken ndb 1");
    let run = |text: &str| virusscan().arg("--db").arg(&out).stdin(mail(text)).run();
    run("xxABCDExx").expect_code(1).expect_out("found A");
    run("xxABCDFxx").expect_code(0);
    run(&String::from_utf8(eicar()).unwrap()).expect_code(1).expect_out("Eicar-Test");
}

#[test]
fn allow_list_and_container_rules() {
    let dir = TempDir::new();
    let zip = stored_zip("dir/tool.scr", b"ABCDE inside");
    let cdb = "Name.Scr:CL_TYPE_ZIP:*:\\.scr$:*:*:0:1:*:*\n";
    let db = compiled(dir.path(), &[("a.ndb", "A:0:*:4142434445\n"), ("c.cdb", cdb)]);
    let file = write(dir.path(), "x.zip", &zip);
    let out = virusscan().args(["--json", "--all", "--no-policy", "--db"]).arg(&db).arg(&file).run();
    out.expect_code(1).expect_out("Name.Scr").expect_out("\"name\":\"A\"");
    // SHA-256 of the member as --tree tells it
    let tree =
        virusscan().args(["--tree", "--no-policy", "--db"]).arg(&db).arg(write(dir.path(), "m", b"ABCDE inside")).run();
    let fp = format!("{}:12:Known\n", field(&tree.out(), "sha256"));
    let db = compiled(dir.path(), &[("a.ndb", "A:0:*:4142434445\n"), ("f.sfp", &fp)]);
    virusscan().arg("--db").arg(&db).arg(dir.path().join("m")).run().expect_code(0);
    virusscan().arg("--db").arg(&db).arg(write(dir.path(), "n", b"ABCDE elsewhere")).run().expect_code(1);
}

/// A zip archive with one stored member, without checksums.
fn stored_zip(name: &str, data: &[u8]) -> Vec<u8> {
    let sizes = [(data.len() as u32).to_le_bytes(), (data.len() as u32).to_le_bytes()].concat();
    let len = (name.len() as u16).to_le_bytes();
    let mut local = b"PK\x03\x04\x14\0\0\0\0\0\0\0\0\0\0\0\0\0".to_vec();
    local.extend(&sizes);
    local.extend([&len[..], &[0, 0], name.as_bytes(), data].concat());
    let mut central = b"PK\x01\x02\x14\0\x14\0\0\0\0\0\0\0\0\0\0\0\0\0".to_vec();
    central.extend(&sizes);
    central.extend([&len[..], &[0; 16], name.as_bytes()].concat());
    let mut end = b"PK\x05\x06\0\0\0\0\x01\0\x01\0".to_vec();
    end.extend((central.len() as u32).to_le_bytes());
    end.extend((local.len() as u32).to_le_bytes());
    end.extend([0, 0]);
    [local, central, end].concat()
}

#[test]
fn the_filter_contract() {
    let filter = || virusscan().env("PENNYPOST_FILTER", "1");
    filter().stdin(mail("hello")).run().expect_code(0).expect_out("X-Virus-Status: clean\n");
    let out = filter().stdin([mail("").into_bytes(), eicar()].concat()).run();
    out.expect_code(100);
    assert!(
        out.out().lines().last().unwrap().starts_with("5.7.1 ") && out.out().contains("Eicar-Test"),
        "{}",
        out.out()
    );
    let exe = "Content-Type: x/y; name=\"run.exe\"\n\nharmless\n";
    filter().stdin(exe).run().expect_code(100).expect_out("5.7.1 content of this kind");
    filter().args(["--policy", "extension=junk"]).stdin(exe).run().expect_code(99).expect_out("X-Virus-Status");
    filter().args(["--policy", "extension=tag"]).stdin(exe).run().expect_code(0).expect_out("tags=extension");
    filter().args(["--db", "/nonexistent"]).stdin(exe).run().expect_code(111);
    filter().arg("--nonsense").stdin(exe).run().expect_code(111);
}

#[test]
fn the_configuration_lies_below_the_options() {
    let dir = TempDir::new();
    let q = dir.join("q");
    std::fs::create_dir(&q).unwrap();
    let config = |text: &str| dir.write("p.toml", format!("[virusscan]\n{text}\n"));
    let exe = "Content-Type: x/y; name=\"run.exe\"\n\nharmless\n";
    let by_hand = |file: &Path| virusscan().arg("-c").arg(file);
    let filter = |file: &Path| virusscan().env("PENNYPOST_FILTER", "1").env("PENNYPOST_CONFIG", file);
    let tag = config("policy = [\"extension=tag\"]");
    by_hand(&tag).stdin(exe).run().expect_code(0);
    by_hand(&tag).args(["--policy", "extension=reject"]).stdin(exe).run().expect_code(4);
    virusscan().stdin(exe).run().expect_code(4);
    filter(&tag).stdin(exe).run().expect_code(0).expect_out("tags=extension");
    filter(&config("max_depth = 0")).stdin(mail("x")).run().expect_code(100).expect_out("limit");
    filter(&config("db = \"/nonexistent\"")).stdin(mail("x")).run().expect_code(111);
    filter(&config("policy = [\"extension=eat\"]")).stdin(mail("x")).run().expect_code(111);
    filter(&config("colour = 1")).stdin(mail("x")).run().expect_code(111);
    let keeping = config(&format!("quarantine = {:?}", q.display().to_string()));
    filter(&keeping).stdin([mail("").into_bytes(), eicar()].concat()).run().expect_code(100);
    assert_eq!(by_hand(&keeping).arg("--list").run().out().lines().count(), 1);
    let check = |file: &Path| Run::new(program!("pennypost")).arg("check").arg("-c").arg(file).run();
    let bad = config("policy = [\"extension=eat\"]");
    check(&bad).expect_code(78).expect_out("virusscan.policy: `eat` is not");
    let all = Run::new(program!("pennypost")).args(["check", "--all", "--no-dns", "-c"]).arg(&bad).run();
    all.expect_code(2).expect_out("virusscan.policy: `eat` is not");
}

#[test]
fn strip_takes_the_part_out() {
    let m = "From: a\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain\n\nkept text\n--b\n\
             Content-Type: x/y; name=\"run.exe\"\nContent-Transfer-Encoding: base64\n\naGFybWxlc3MgYnV0IG5hbWVk\n--b--\n";
    let run =
        virusscan().env("PENNYPOST_FILTER", "1").args(["--rewrite", "--policy", "extension=strip"]).stdin(m).run();
    run.expect_code(0)
        .expect_out("kept text")
        .expect_out("was taken out")
        .expect_out("X-Virus-Status: policy extension");
    assert!(!run.out().contains("aGFybWxlc3Mg") && run.out().ends_with("\n--b--\n"), "{}", run.out());
}

#[test]
fn the_quarantine() {
    let dir = TempDir::new();
    let q = dir.path().join("q");
    std::fs::create_dir(&q).unwrap();
    let message = [mail("kept").into_bytes(), eicar()].concat();
    let run = virusscan()
        .env("PENNYPOST_FILTER", "1")
        .env("SENDER", "a@example.org")
        .env("RECIPIENTS", "b@example.org\nc@example.org")
        .arg("--quarantine")
        .arg(&q)
        .stdin(&message)
        .run();
    run.expect_code(100).expect_out("Eicar-Test");
    virusscan().env("PENNYPOST_FILTER", "1").arg("--quarantine").arg(&q).stdin(mail("x")).run().expect_code(0);
    let list = virusscan().arg("--quarantine").arg(&q).arg("--list").run();
    list.expect_code(0).expect_out("from=a@example.org to=b@example.org,c@example.org");
    assert_eq!(list.out().lines().count(), 1);
    let id = list.out().split(' ').next().unwrap().to_owned();
    let released = virusscan().arg("--quarantine").arg(&q).args(["--release", &id]).run();
    released.expect_code(0);
    assert_eq!(released.stdout, message);
    let bad = virusscan().arg("--quarantine").arg(&q).args(["--release", "../q/x"]).run();
    bad.expect_code(2);
    let script =
        write(dir.path(), "sendmail", "#!/bin/sh\nprintf '%s ' \"$@\" > \"$(dirname \"$0\")/args\"\ncat > /dev/null\n");
    std::process::Command::new("chmod").arg("755").arg(&script).status().unwrap();
    let sent =
        virusscan().env("SENDMAIL", &script).arg("--quarantine").arg(&q).args(["--release", &id, "--send"]).run();
    sent.expect_code(0);
    let args = std::fs::read_to_string(dir.path().join("args")).unwrap();
    assert_eq!(args, "-f a@example.org -- b@example.org c@example.org ");
    assert_eq!(std::fs::read_dir(&q).unwrap().count(), 0);
}

#[test]
fn the_clamd_protocol_on_a_pipe() {
    let stream = |data: &[u8]| {
        let mut s = b"zINSTREAM\0".to_vec();
        for piece in data.chunks(50) {
            s.extend((piece.len() as u32).to_be_bytes());
            s.extend(piece);
        }
        s.extend([0; 4]);
        s
    };
    let ask = |input: Vec<u8>| virusscan().arg("--clamd-listener").stdin(input).run().expect_code(0).out();
    assert_eq!(ask(b"zPING\0".to_vec()), "PONG\0");
    assert_eq!(ask(b"nPING\n".to_vec()), "PONG\n");
    assert_eq!(ask(stream(&eicar())), "stream: Eicar-Test FOUND\0");
    assert_eq!(ask(stream(mail("hi").as_bytes())), "stream: OK\0");
    let half = b"Content-Type: message/partial\n\nx\n";
    assert_eq!(ask(stream(half)), "stream: Heuristics.Unscannable.partial FOUND\0");
    let session = [b"zIDSESSION\0zPING\0".to_vec(), stream(&eicar()), b"zEND\0".to_vec()].concat();
    assert_eq!(ask(session), "1: PONG\x002: stream: Eicar-Test FOUND\0");
    assert!(ask(b"zSCAN /etc/passwd\0".to_vec()).contains("ERROR"));
    let dir = TempDir::new();
    let file = write(dir.path(), "a.eml", [mail("").into_bytes(), eicar()].concat());
    let scan = format!("zSCAN {}\0", file.display());
    let out = virusscan().args(["--clamd-listener", "--paths"]).stdin(scan).run().expect_code(0).out();
    assert_eq!(out, format!("{}: Eicar-Test FOUND\0", file.display()));
}

#[test]
fn a_confined_process_opens_nothing() {
    let out = std::process::Command::new("strace")
        .args(["-f", "-e", "trace=openat,socket,execve,seccomp,prctl"])
        .arg(program!("virusscan"))
        .arg("--json")
        .stdin(std::process::Stdio::null())
        .output();
    let Ok(out) = out else {
        skip("a_confined_process_opens_nothing", "strace is not installed");
        return;
    };
    let trace = String::from_utf8_lossy(&out.stderr).into_owned();
    let behind = trace.split("PR_SET_SECCOMP").nth(1).unwrap_or_else(|| panic!("never confined: {trace}"));
    assert!(!behind.contains("openat") && !behind.contains("socket("), "{behind}");
}

/// The samples, made once.
fn samples(dir: &Path) -> Option<Vec<(String, String)>> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/scan/samples.py");
    let made = std::process::Command::new("python3").arg(script).arg(dir).output();
    let Ok(made) = made else {
        skip("every_sample", "python3 is not installed");
        return None;
    };
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    for line in String::from_utf8_lossy(&made.stdout).lines().filter(|l| l.starts_with("skipped")) {
        skip("every_sample", line);
    }
    let manifest = std::fs::read_to_string(dir.join("MANIFEST")).unwrap();
    Some(manifest.lines().filter_map(|l| l.split_once(' ')).map(|(a, b)| (a.to_owned(), b.to_owned())).collect())
}

fn verdicts(run: Run, dir: &Path, names: &[(String, String)]) -> Vec<String> {
    let out = run.arg("--json").args(names.iter().map(|(n, _)| dir.join(n))).run();
    assert!(!out.timed_out && out.signal.is_none(), "{}", out.describe());
    let verdicts: Vec<String> = out.out().lines().map(|l| field(l, "verdict")).collect();
    assert_eq!(verdicts.len(), names.len(), "{}", out.describe());
    verdicts
}

#[test]
fn every_sample() {
    let dir = TempDir::new();
    let Some(names) = samples(dir.path()) else { return };
    let db = compiled(dir.path(), &[("e.hdb", "44d88612fea8a8f36de82e1278abb02f:68:Md5.Eicar\n")]);
    let by_hash = verdicts(virusscan().arg("--no-policy").arg("--db").arg(db), dir.path(), &names);
    let by_body = verdicts(virusscan().arg("--no-policy"), dir.path(), &names);
    let by_policy = verdicts(virusscan(), dir.path(), &names);
    let mut wrong = Vec::new();
    for (n, (name, kind)) in names.iter().enumerate() {
        let (hash, body, policy) = (by_hash[n].as_str(), by_body[n].as_str(), by_policy[n].as_str());
        let right = match kind.as_str() {
            "exact" => hash == "found" && body == "found",
            "body" => body == "found",
            "unscannable" => hash == "unscannable" && policy != "clean",
            "exact-or-unscannable" => matches!(hash, "found" | "unscannable"),
            "name" => policy == "policy",
            "clean" => policy == "clean",
            other => panic!("unknown kind {other}"),
        };
        if !right {
            wrong.push(format!("{name} {kind}: hash {hash}, body {body}, policy {policy}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {} samples:\n{}", wrong.len(), names.len(), wrong.join("\n"));
    assert!(names.len() > 200);
}

/// Ordinary mail raises no alarm; the corpus is not part of the tree.
#[test]
fn no_false_alarms() {
    let Some(corpus) = std::env::var_os("PENNYPOST_CORPUS").map(PathBuf::from) else {
        skip("no_false_alarms", "PENNYPOST_CORPUS names no folder of mail");
        return;
    };
    let mut files = Vec::new();
    let mut folders = vec![corpus];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    let out = virusscan().arg("-q").args(&files).run();
    assert!(out.out().is_empty() && out.code == Some(0), "{}", out.describe());
}

/// Every version of RAR, made here and attached to a mail.
#[test]
fn compressed_rar() {
    use rars::{ArchiveVersion, Builder};
    let dir = TempDir::new();
    let packed = [eicar(), b" and more text around it, text around it, text around it".to_vec()].concat();
    for version in ArchiveVersion::ALL {
        for solid in [false, true] {
            let mut builder = Builder::new(version).solid(solid);
            builder.add_bytes(b"first.txt".to_vec(), b"harmless, harmless, harmless".repeat(9), None, None).unwrap();
            builder.add_bytes(b"second.txt".to_vec(), packed.clone(), None, None).unwrap();
            let archive = builder.to_bytes().unwrap();
            assert!(!archive.windows(30).any(|w| w == &eicar()[..30]), "{version:?} is not compressed");
            let path = write(dir.path(), "a.rar", &archive);
            let out = virusscan().arg("--json").arg(&path).run();
            let out = out.expect_code(1).out();
            assert_eq!(field(&out, "name"), "Eicar-Test", "{version:?} {solid}");
            assert!(field(&out, "reason").contains("second.txt"), "{version:?} {solid}: {out}");
        }
    }
    let mut builder = Builder::new(ArchiveVersion::Rar50);
    builder.add_bytes(b"a.txt".to_vec(), b"harmless, harmless, harmless".repeat(9), None, None).unwrap();
    let archive = builder.to_bytes().unwrap();
    virusscan().arg(write(dir.path(), "good.rar", &archive)).run().expect_code(0);
    let cut = write(dir.path(), "cut.rar", &archive[..archive.len() - 12]);
    virusscan().arg("--json").arg(cut).run().expect_code(3).expect_out("damaged");
}

/// Archives that WinRAR made, of both generations: what two other unpackers get out of them comes out here.
#[test]
fn rar_made_by_winrar() {
    let data = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/rar"));
    let expected = std::fs::read_to_string(data.join("EXPECTED")).unwrap();
    for line in expected.lines() {
        let mut words = line.split(' ');
        let (file, verdict) = (words.next().unwrap(), words.next().unwrap());
        let out = virusscan().args(["--tree", "--no-policy"]).arg(data.join(file)).run();
        let text = out.expect_code(if verdict == "clean" { 0 } else { 3 }).out();
        assert!(verdict == "clean" || field(&text, "name") == verdict, "{text}");
        let missing: Vec<_> = words.filter(|sum| !text.contains(sum)).collect();
        assert!(missing.is_empty(), "{missing:?} not in {text}");
    }
    assert!(expected.lines().count() > 30);
}

#[test]
#[cfg(feature = "yara")]
fn yara_rules_find_in_archives_too() {
    let dir = TempDir::new();
    let good =
        "rule hidden { meta: a = 1 strings: $a = \"hidden words\" condition: $a }\nrule noisy { condition: true }\n";
    let files = [("good.yar", good), ("bad.yara", "rule broken { condition: $x }\n"), ("local.ign2", "noisy\n")];
    let out = dir.path().join("test.db");
    let paths: Vec<PathBuf> = files.iter().map(|(name, text)| write(dir.path(), name, text)).collect();
    let made = virusscan().arg("--no-builtin").arg("--compile").arg(&out).args(&paths).run();
    made.expect_code(0).expect_out("taken .yar: 2").expect_out("bad.yara:1: ").expect_out("do not compile");
    let scan = |mail: String| virusscan().arg("--db").arg(&out).arg("--json").stdin(mail).run();
    scan(mail("some hidden words here")).expect_code(1).expect_out("YARA.hidden");
    scan(mail("nothing")).expect_code(0);
    use std::io::Write;
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gz.write_all(&b"hidden words in a packed file, and more hidden words. ".repeat(20)).unwrap();
    let file = write(dir.path(), "x.gz", gz.finish().unwrap());
    virusscan().arg("--db").arg(&out).arg("--json").arg(file).run().expect_code(1).expect_out("YARA.hidden");
}
