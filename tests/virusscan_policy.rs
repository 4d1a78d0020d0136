//! virusscan as a filter: each class of content and each kind of trouble, with each action.

use penny_testkit::{Output, Run, program};
use std::time::Duration;

const CLASSES: [&str; 10] =
    ["name", "extension", "executable", "script", "macro", "auto-macro", "link", "disk-image", "smuggling", "active"];
const TROUBLES: [&str; 6] = ["encrypted", "limit", "unsupported", "damaged", "partial", "ambiguous"];

/// One thing to judge: a class or kind, and a part of a message that is that. Others it may be are accepted in the tests.
type Case = (&'static str, Vec<u8>);

fn part(header: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    [header.as_bytes(), b"\n\n", body.as_ref()].concat()
}

fn named(name: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    part(&format!("Content-Type: application/octet-stream; name=\"{name}\""), body)
}

fn classes() -> Vec<Case> {
    let vba = |code: &str| [b"\x01", &chunk(&format!("Attribute VB_Name = \"x\"\r\n{code}\r\n"))[..]].concat();
    vec![
        ("name", named("invoice.pdf.exe", "harmless")),
        ("extension", named("run.exe", "harmless")),
        ("executable", named("a.bin", b"\x7fELF\x02\x01\x01 and so on")),
        ("script", named("a.bin", "@echo off\nformat c:\n")),
        ("macro", named("a.bin", vba("Sub x()"))),
        ("auto-macro", named("a.bin", vba("Sub AutoOpen()\r\nShell \"calc\"\r\nEnd Sub"))),
        ("link", named("a.bin", b"L\0\0\0\x01\x14\x02\0\0\0\0\0\xc0\0\0\0\0\0\0\x46 to something")),
        ("disk-image", named("a.bin", b"vhdxfile and so on")),
        ("smuggling", part("Content-Type: text/html", smuggling())),
        ("active", named("a.pdf", "%PDF-1.4\n1 0 obj\n<< /S /Launch /F (calc.exe) >>\nendobj\n")),
    ]
}

fn troubles() -> Vec<Case> {
    let zip = |method: u8, flags: u8, body: &[u8]| {
        let size = (body.len() as u32).to_le_bytes();
        let head =
            [&b"PK\x03\x04\x14\0"[..], &[flags, 0, method, 0], &[0; 8], &size, &size, &[1, 0, 0, 0], b"a"].concat();
        [head, body.to_vec()].concat()
    };
    vec![
        ("encrypted", named("a.zip", zip(8, 1, b"whatever is in there"))),
        ("limit", named("a.gz", zeros())),
        ("unsupported", named("a.zip", zip(97, 0, b"whatever is in there"))),
        ("damaged", named("a.gz", b"\x1f\x8b\x08\0\0\0\0\0\0\x03\xff\xff\xff\xff\xff\xff\xff")),
        ("partial", part("Content-Type: message/partial; id=1; number=1", "the first half")),
        (
            "ambiguous",
            part(
                "Content-Type: text/plain\nContent-Transfer-Encoding: base64\nContent-Transfer-Encoding: 7bit",
                "aGVsbG8gaGVsbG8gaGVsbG8gaGVsbG8=",
            ),
        ),
    ]
}

/// One uncompressed chunk of VBA source (MS-OVBA 2.4.1.1.5).
fn chunk(code: &str) -> Vec<u8> {
    let mut body = Vec::new();
    for eight in code.as_bytes().chunks(8) {
        body.push(0); // eight literals
        body.extend_from_slice(eight);
    }
    let head = 0xb000 | (body.len() as u16 - 1);
    [head.to_le_bytes().to_vec(), body].concat()
}

fn smuggling() -> String {
    let data = "VGhpcyBpcyBhIGZpbGUgdGhhdCBhIHNjcmlwdCBidWlsZHMgb2YgaXRzIG93biB0ZXh0";
    format!(
        "<html><script>var b = new Blob([atob(\"{data}\")]);\nvar a = document.createElement('a');\n\
         a.href = URL.createObjectURL(b); a.download = 'x.zip'; a.click();</script></html>"
    )
}

/// More than the ratio that is allowed.
fn zeros() -> Vec<u8> {
    use std::io::Write;
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gz.write_all(&vec![0; 12 << 20]).unwrap();
    gz.finish().unwrap()
}

fn message(part: &[u8]) -> Vec<u8> {
    let head = "From: a@example.org\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\
                Content-Type: text/plain\n\nthe text that is kept\n--b\n";
    [head.as_bytes(), part, b"\n--b--\n"].concat()
}

/// The filter with one action for `what`, all else accepted.
fn filter(what: &str, action: &str, message: &[u8]) -> Output {
    let others = CLASSES.iter().chain(&TROUBLES).map(|w| format!("{w}=accept,")).collect::<String>();
    Run::new(program!("virusscan"))
        .limit(Duration::from_secs(180))
        .env("PENNYPOST_FILTER", "1")
        .args(["--rewrite", "--policy", &format!("{others}{what}={action}")])
        .stdin(message)
        .run()
}

fn ends_with(out: &Output, message: &[u8]) -> bool {
    out.stdout.ends_with(message)
}

fn each_action((what, part): &Case) {
    let message = message(part);
    let run = |action: &str| filter(what, action, &message);
    let verdict = if CLASSES.contains(what) { "policy" } else { "unscannable" };
    let accepted = run("accept");
    accepted.expect_code(0).expect_out("X-Virus-Status: clean\n");
    assert!(ends_with(&accepted, &message), "{what}: {}", accepted.describe());
    let tagged = run("tag");
    tagged.expect_code(0).expect_out(what);
    assert!(ends_with(&tagged, &message), "{what}: {}", tagged.describe());
    let junk = run("junk");
    junk.expect_code(99).expect_out(&format!("X-Virus-Status: {verdict} {what} ("));
    assert!(ends_with(&junk, &message), "{what}: {}", junk.describe());
    let refused = run("reject");
    refused.expect_code(100);
    let last = refused.out().lines().last().unwrap_or_default().to_owned();
    assert!(last.starts_with("5.7.1 ") && last.contains(what), "{what}: {last}");
    let stripped = run("strip");
    if *what == "partial" {
        // where half a message ends nobody can say: it cannot be taken out
        stripped.expect_code(100);
        return;
    }
    stripped.expect_code(0).expect_out("the text that is kept").expect_out("was taken out");
    stripped.expect_out(&format!("X-Virus-Status: {verdict} {what} ("));
    assert!(ends_with(&stripped, b"\n--b--\n"), "{what}: {}", stripped.describe());
    let body = part.windows(2).position(|w| w == b"\n\n").map_or(0, |n| n + 2);
    let held = |whole: &[u8]| whole.windows(part.len() - body).any(|w| w == &part[body..]);
    assert!(held(&message) && !held(&stripped.stdout), "{what} is still there: {}", stripped.describe());
    // what is left raises nothing any more
    let rest = stripped.stdout;
    filter(what, "reject", &rest).expect_code(0);
}

#[test]
fn every_class_with_every_action() {
    let cases = classes();
    assert!(cases.iter().map(|c| c.0).eq(CLASSES));
    cases.iter().for_each(each_action);
}

#[test]
fn every_trouble_with_every_action() {
    let cases = troubles();
    assert!(cases.iter().map(|c| c.0).eq(TROUBLES));
    cases.iter().for_each(each_action);
}

/// A message of some MiB is mapped and passes through; it comes out as it was.
#[test]
fn a_large_message_comes_out_whole() {
    let line = "a line of text that is repeated until the message has a few MiB, number ";
    let text: String = (0..60_000).map(|n| format!("{line}{n}\n")).collect();
    let message = message(&part("Content-Type: text/plain", &text));
    assert!(message.len() > 4 << 20);
    let out = filter("name", "reject", &message);
    out.expect_code(0);
    assert!(ends_with(&out, &message));
    let bad = [&message[..message.len() - 6], b"--b\n", &named("run.exe", "harmless")[..], b"\n--b--\n"].concat();
    let out = filter("extension", "strip", &bad);
    out.expect_code(0).expect_out("was taken out");
    assert!(out.out().contains(&text) && !out.out().contains("run.exe\"") && !out.out().contains("\nharmless"));
}
