//! Signatures and seals through the whole way: queue, delivery, a Sieve redirect, queue again, `remote`, another host.
//!
//! A thousand mails of many shapes are signed (rsa-sha256 and ed25519-sha256), sealed with ARC and sent; at the other end
//! every one must be there once, octet for octet below the fields put on top, and verify. `PENNYPOST_CORPUS` names a folder
//! of `.eml` files to take instead; `PENNYPOST_MAILS` is another number.
#![cfg(feature = "tls")]

#[path = "support/queue.rs"]
mod support;

use penny_dns::Zone;
use penny_queue::Envelope;
use penny_testkit::{DnsServer, Sink, program};
use penny_verify::arc::{self, Sealer};
use penny_verify::crypto::SigningKey;
use penny_verify::dkim::canon::Canon;
use penny_verify::dkim::{self, Keys, Signer};
use penny_verify::message::Message;
use std::path::Path;
use support::{Post, recipient, sender};

const NOW: u64 = 1_700_000_000;

/// A sequence of numbers that is the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len() as u64) as usize]
    }
}

/// What careless hops change: blanks at line ends, folds, empty lines at the end, dots, `From `, long lines, raw octets.
const LINES: [&str; 16] = [
    "plain text",
    "",
    ".",
    "..",
    ".dot in front",
    "blanks behind   \t ",
    "\ttab  and   blanks",
    "From the beginning of an mbox",
    ">From quoted",
    "=3D quoted=20printable=",
    "gr\u{fc}\u{df}e \u{2603}",
    "-- ",
    "--boundary",
    "\u{c}form feed",
    "https://example.test/?a=b&c=%20",
    "X-Not: a field",
];
const SUBJECTS: [&str; 7] = [
    "hello",
    "",
    "=?utf-8?q?gr=C3=BC=C3=9Fe?=",
    "a\n  folded\n\tsubject",
    "blanks  inside   ",
    "raw \u{e9}",
    "  in front",
];
const EXTRA: [&str; 6] = [
    "",
    "X-Empty:\n",
    "Comments: one\nComments: two\n",
    "MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n",
    "References: <a@b.test>\n <c@d.test>\n\t<e@f.test>\n",
    "cC:a@b.test,\n c@d.test\nReply-To : x@y.test\n",
];

fn made(n: u64) -> Vec<u8> {
    let dice = &mut Dice(n);
    let mut text = format!(
        "From: \"J. Doe\" <joe@d.example>\nTo: joe@example.test\nSubject: {}\n{}Date: Mon, 1 Jan 2024 00:00:00 +0000\n\
         Message-ID: <{n}@d.example>\n\n",
        dice.pick(&SUBJECTS),
        dice.pick(&EXTRA)
    );
    for _ in 0..dice.below(12) {
        text += dice.pick(&LINES);
        text += "\n";
    }
    if dice.below(8) == 0 {
        text += &"long ".repeat(dice.below(190) as usize + 1);
        text += "\n";
    }
    let mut mail = text.into_bytes();
    if dice.below(8) == 0 {
        mail.extend((0..=255u8).filter(|b| ![0, b'\n', b'\r'].contains(b)));
        mail.push(b'\n');
    }
    mail.extend(std::iter::repeat_n(b'\n', dice.below(4) as usize));
    mail
}

/// Mails as the queue holds them: line feeds only, the last line ended; without the Return-Path of an earlier delivery,
/// which is taken away on the way (RFC 5321 4.4).
fn mails() -> Vec<Vec<u8>> {
    let count = std::env::var("PENNYPOST_MAILS").ok().and_then(|n| n.parse().ok()).unwrap_or(1000);
    let Some(corpus) = std::env::var_os("PENNYPOST_CORPUS") else { return (0..count as u64).map(made).collect() };
    let mut files = Vec::new();
    collect(Path::new(&corpus), &mut files);
    files.sort();
    let stored = |f: &std::path::PathBuf| {
        let mut mail: Vec<u8> = std::fs::read(f).unwrap().into_iter().filter(|b| ![0, b'\r'].contains(b)).collect();
        if mail.last() != Some(&b'\n') {
            mail.push(b'\n');
        }
        let old = Message::parse(&mail).all("Return-Path").map(|f| f.raw.to_vec()).collect::<Vec<_>>();
        for field in old {
            let at = mail.windows(field.len()).position(|w| w == field).unwrap();
            mail.drain(at..at + field.len() + 1); // with its line feed
        }
        mail
    };
    // a message with a line longer than SMTP allows is bounced, which is another test's matter
    let short = |m: &Vec<u8>| m.split(|b| *b == b'\n').all(|l| l.len() <= 998);
    files.iter().map(stored).filter(short).take(count).collect()
}

fn collect(dir: &Path, files: &mut Vec<std::path::PathBuf>) {
    for path in penny_testkit::tmp::list(dir) {
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|e| e == "eml") {
            files.push(path);
        }
    }
}

/// Keys of one site and the zone that publishes them.
struct Site {
    signers: Vec<Signer>,
    sealer: Sealer,
    zone: Zone,
}

impl Site {
    fn new() -> Site {
        let mut zone = Zone::new();
        let mut publish = |selector: &str, key: &SigningKey| {
            let record = format!("v=DKIM1; k={}; p={}", key.algorithm().key_word(), key.public_base64().unwrap());
            zone.txt(&format!("{selector}._domainkey.d.example"), &record);
        };
        let rsa = SigningKey::generate_rsa(2048).unwrap();
        let ed = SigningKey::generate_ed25519().unwrap();
        let seal = SigningKey::generate_rsa(2048).unwrap();
        for (selector, key) in [("rsa", &rsa), ("ed", &ed), ("seal", &seal)] {
            publish(selector, key);
        }
        let mut strict = Signer::new(ed, "d.example", "ed");
        strict.canon = Canon::pair("simple/simple").unwrap();
        let signers = vec![Signer::new(rsa, "d.example", "rsa"), strict];
        let sealer = Sealer {
            key: seal,
            domain: "d.example".into(),
            selector: "seal".into(),
            id: "mx.d.example".into(),
            headers: None,
        };
        Site { signers, sealer, zone }
    }

    /// A mail with two signatures and a seal on top.
    fn signed(&self, mail: &[u8]) -> Vec<u8> {
        let parsed = Message::parse(mail);
        let mut fields: Vec<String> = self.signers.iter().map(|s| s.sign(&parsed, NOW).unwrap()).collect();
        fields.push("Authentication-Results: mx.d.example; arc=none; spf=pass smtp.mailfrom=d.example".into());
        let signed = on_top(&fields, mail);
        let message = Message::parse(&signed);
        let results = self.sealer.own_results(&message.fields);
        let seal = self.sealer.seal(&message, &results, NOW, &|| None).unwrap().expect("sealed");
        on_top(&seal, &signed)
    }

    /// What is wrong with a mail that came out at the far end.
    fn wrong(&self, mail: &[u8]) -> Option<String> {
        let (message, keys) = (Message::parse(mail), Keys::new());
        let verdicts = dkim::verify(&message, &self.zone, &keys, NOW);
        let own: Vec<_> = verdicts.iter().filter(|v| v.domain == "d.example").collect();
        let arc = arc::verify(&message, &self.zone, &keys);
        let good = own.len() == 2 && own.iter().all(|v| v.outcome == dkim::Outcome::Pass);
        (!good || arc.outcome != arc::Outcome::Pass).then(|| format!("{own:?} {arc:?}"))
    }
}

fn on_top(fields: &[String], mail: &[u8]) -> Vec<u8> {
    let head: String = fields.iter().map(|f| format!("{f}\n")).collect();
    [head.replace("\r\n", "\n").as_bytes(), mail].concat()
}

fn wire(mail: &[u8]) -> Vec<u8> {
    mail.iter().flat_map(|&b| if b == b'\n' { &b"\r\n"[..] } else { std::slice::from_ref(&b) }.to_vec()).collect()
}

fn queue_all(post: &Post, mails: &[Vec<u8>]) {
    for mail in mails {
        let (sender, recipients) = (sender("joe@d.example", ""), vec![recipient("joe@example.test", "")]);
        post.commit(Envelope { sender, recipients, ..Envelope::default() }, mail);
    }
}

#[test]
fn a_thousand_mails_arrive_with_their_signatures_whole() {
    let sink = Sink::start();
    let post = Post::new("retry_min = \"2s\"\nretry_max = \"2s\"", "");
    post.table("routes", &format!("far.test smtp:[127.0.0.1]:{} tls=none\n", sink.port()));
    std::fs::write(post.home("joe").join(".dovecot.sieve"), "redirect \"away@far.test\";\n").unwrap();
    post.own();
    let post = post.up();

    let site = Site::new();
    let sent: Vec<Vec<u8>> = mails().iter().map(|m| site.signed(m)).collect();
    queue_all(&post, &sent);

    sink.wait(sent.len());
    post.wait_empty();

    let mut missing: std::collections::HashSet<Vec<u8>> = sent.iter().map(|m| wire(m)).collect();
    let distinct = missing.len();
    let mails = sink.mails();
    for mail in &mails {
        let seal = mail.data.windows(9).position(|w| w == b"ARC-Seal:").expect("a seal");
        missing.remove(&mail.data[seal..]);
        let wrong = site.wrong(&mail.data);
        assert!(wrong.is_none(), "{}\n{}", wrong.unwrap_or_default(), mail.text());
    }
    assert!(missing.is_empty(), "{} of {distinct} came changed", missing.len());
    assert_eq!(mails.len(), sent.len(), "each once");
    assert!(mails.iter().all(|m| m.text().starts_with("Received:") || m.text().starts_with("Delivered-To:")));
}

/// The daily job hands its mail to the queue, as the id of the filters.
#[test]
fn reports_leave_through_the_queue() {
    let ip = "192.0.2.1";
    let dns = DnsServer::new(&format!(
        "d.example TXT v=spf1 ip4:{ip} -all\n_dmarc.d.example TXT v=DMARC1; p=none; rua=mailto:r@far.test\n\
         d.example._report._dmarc.far.test TXT v=DMARC1"
    ));
    let sink = Sink::start();
    let post = Post::new("", "[mailauth]\nreports = \"REPORTS\"");
    let config = post.dir.join("p.toml");
    let reports = post.dir.join("reports");
    std::fs::create_dir(&reports).unwrap();
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("REPORTS", &reports.display().to_string())).unwrap();
    post.table("routes", &format!("far.test smtp:[127.0.0.1]:{} tls=none\n", sink.port()));
    post.own();
    let post = post.up();

    let filter = post.run(&program!("mailauth")).env("PENNYPOST_FILTER", "1").env("PENNYPOST_RESOLVER", dns.at());
    let mail = "From: a@d.example\nSubject: x\n\nx\n";
    let judge = filter.env("REMOTE_IP", ip).env("SENDER", "a@d.example").args(["--time", &NOW.to_string()]).stdin(mail);
    judge.run().expect_code(0);
    let tomorrow = (NOW + 86_400).to_string();
    let job = post.run(&program!("mailauth")).args(["--send-reports", "--resolver", &dns.at(), "--time", &tomorrow]);
    job.run().expect_code(0);

    let mail = sink.wait(1).remove(0);
    assert_eq!(mail.rcpts, ["RCPT TO:<r@far.test>"]);
    assert!(mail.text().contains("Subject: Report Domain: d.example"), "{}", mail.text());
}

#[test]
fn the_check_sees_a_changed_octet() {
    let site = Site::new();
    let mail = wire(&site.signed(&made(1)));
    assert_eq!(site.wrong(&mail), None);
    let mut changed = mail.clone();
    changed.extend_from_slice(b"x\r\n");
    assert!(site.wrong(&changed).is_some());
    let text = String::from_utf8(mail).unwrap().replacen("Date: Mon", "Date: Tue", 1);
    assert!(site.wrong(text.as_bytes()).is_some());
}
