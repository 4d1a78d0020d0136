//! Deterministic messages: the same index and size give the same bytes.
use std::fmt::Write;

const WORDS: &[&str] = &[
    "account", "after", "agenda", "answer", "archive", "article", "balance", "before", "branch", "budget", "build",
    "calendar", "change", "client", "column", "commit", "compare", "contract", "copy", "customer", "daily", "data",
    "deadline", "delivery", "design", "detail", "draft", "early", "editor", "error", "estimate", "evening", "every",
    "example", "family", "figure", "filter", "folder", "forward", "garden", "group", "history", "holiday", "improve",
    "index", "invoice", "journey", "kernel", "kitchen", "language", "ledger", "letter", "library", "machine",
    "manager", "market", "meeting", "memory", "message", "minute", "module", "monday", "morning", "network", "notice",
    "number", "office", "order", "package", "paper", "parser", "patch", "payment", "people", "picture", "planning",
    "please", "policy", "printer", "process", "project", "quarter", "question", "queue", "railway", "reader",
    "receipt", "record", "release", "reply", "report", "review", "river", "sample", "schedule", "school", "search",
    "server", "service", "signal", "simple", "socket", "source", "spring", "status", "storage", "summer", "switch",
    "system", "table", "target", "thanks", "ticket", "today", "travel", "update", "value", "vendor", "version",
    "weekend", "window", "winter", "writer", "yearly", "zone",
];
const MON: &[&str] = &["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
pub const B64: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

pub struct Rng(u64);
impl Rng {
    pub fn new(seed: u64) -> Rng {
        Rng(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0xD1B5_4A32_D192_ED03)
    }
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
    fn word(&mut self) -> &'static str {
        WORDS[(self.next() >> 20) as usize % WORDS.len()]
    }
}

/// Day `d` since 1970-01-01 as (year, month 1.., day).
pub fn civil(d: i64) -> (i64, usize, i64) {
    let z = d + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let m = if mp < 10 { mp + 3 } else { mp - 9 };
    (yoe + era * 400 + i64::from(m <= 2), m as usize, doy - (153 * mp + 2) / 5 + 1)
}

/// The time stamp of message `i` of `of`: spread evenly over the two years 2023 and 2024.
pub fn stamp(i: usize, of: usize) -> i64 {
    1_672_531_200 + (i as i64 * 63_158_400) / of.max(1) as i64
}

pub fn imap_date(t: i64) -> String {
    let (y, m, d) = civil(t.div_euclid(86_400));
    format!("{d}-{}-{y}", MON[m - 1])
}

fn rfc_date(t: i64) -> String {
    let days = t.div_euclid(86_400);
    let (y, m, d) = civil(days);
    let s = t.rem_euclid(86_400);
    let wd = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"][days.rem_euclid(7) as usize];
    format!("{wd}, {d} {} {y} {:02}:{:02}:{:02} +0000", MON[m - 1], s / 3600, s / 60 % 60, s % 60)
}

/// Plain ASCII lines of at most 76 characters, about `n` bytes in all.
fn prose(out: &mut String, r: &mut Rng, n: usize, mut needle: Option<&str>) {
    let start = out.len();
    let mut col = 0;
    let mut put = |out: &mut String, w: &str| {
        if col + w.len() + 1 > 74 {
            out.push_str("\r\n");
            col = 0;
        }
        out.push_str(w);
        out.push(' ');
        col += w.len() + 1;
    };
    while out.len() - start + 12 < n {
        let mut w = r.word();
        if out.len() - start > n / 2
            && let Some(x) = needle.take()
        {
            w = WORDS[0];
            put(out, x);
        }
        put(out, w);
    }
    out.push_str("\r\n");
}

/// Message `i` of `of`, about `size` bytes with CRLF.  One in 100 has the word
/// "xyzzysubject" in its subject and another one in 100 "xyzzybody" in the middle
/// of its text; five neighbours make a thread; one in four is
/// multipart/alternative, one in eight has a base64 attachment.
pub fn message(i: usize, of: usize, size: usize, tag: &str) -> String {
    let mut r = Rng::new(i as u64 + 1);
    let t = stamp(i, of);
    let mut m = String::with_capacity(size + 256);
    let _ = write!(
        m,
        "Return-Path: <sender{0}@remote.test>\r\n\
         Received: from mx{1}.remote.test (mx{1}.remote.test [192.0.2.{1}])\r\n\tby mx.example.test with ESMTPS id {2:016x}\r\n\tfor <user1@example.test>; {3}\r\n\
         Received: from [198.51.100.7] (helo=client.remote.test)\r\n\tby mx{1}.remote.test with ESMTPSA id {4:016x}; {3}\r\n",
        i % 97,
        i % 200 + 1,
        r.next(),
        rfc_date(t),
        r.next()
    );
    m.push_str(&headers_and_body(i, of, size.saturating_sub(m.len()), tag, &mut r));
    m
}

/// The same without trace headers: what a client submits.
pub fn submitted(i: usize, of: usize, size: usize, tag: &str) -> String {
    let mut r = Rng::new(i as u64 + 1);
    headers_and_body(i, of, size, tag, &mut r)
}

fn headers_and_body(i: usize, of: usize, size: usize, tag: &str, r: &mut Rng) -> String {
    let mut m = String::with_capacity(size + 128);
    let t = stamp(i, of);
    let first = i - i % 5;
    let subject = if i % 100 == 7 {
        format!("{} xyzzysubject {}", r.word(), r.word())
    } else {
        format!("{} {} {} {}", r.word(), r.word(), r.word(), first)
    };
    let _ = write!(
        m,
        "Date: {}\r\nFrom: \"{} {}\" <sender{}@remote.test>\r\nTo: First User <user1@example.test>\r\nSubject: {}{}\r\nMessage-ID: <{tag}.{i}@remote.test>\r\n",
        rfc_date(t),
        r.word(),
        r.word(),
        i % 97,
        if i.is_multiple_of(5) { "" } else { "Re: " },
        subject
    );
    if !i.is_multiple_of(5) {
        let _ = write!(m, "In-Reply-To: <{tag}.{}@remote.test>\r\nReferences:", i - 1);
        for k in first..i {
            let _ = write!(m, " <{tag}.{k}@remote.test>\r\n");
        }
    }
    m.push_str("User-Agent: bench/1.0\r\nMIME-Version: 1.0\r\n");
    let needle = if i % 100 == 42 { Some("xyzzybody") } else { None };
    let left = size.saturating_sub(m.len() + 120).max(64);
    if i % 8 == 3 && size > 2000 {
        let _ = write!(
            m,
            "Content-Type: multipart/mixed; boundary=\"=_b{i}\"\r\n\r\n--=_b{i}\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n"
        );
        let text = (left / 4).min(2000);
        prose(&mut m, r, text, needle);
        let _ = write!(
            m,
            "--=_b{i}\r\nContent-Type: application/octet-stream; name=\"f{i}.bin\"\r\nContent-Disposition: attachment; filename=\"f{i}.bin\"\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        );
        let stop = m.len() + left.saturating_sub(text + 330).max(78);
        while m.len() + 78 <= stop {
            for _ in 0..76 {
                m.push(B64[(r.next() >> 11) as usize % 64] as char);
            }
            m.push_str("\r\n");
        }
        let _ = write!(m, "--=_b{i}--\r\n");
    } else if i % 4 == 1 && size > 1500 {
        let _ = write!(
            m,
            "Content-Type: multipart/alternative; boundary=\"=_b{i}\"\r\n\r\n--=_b{i}\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
        );
        prose(&mut m, r, left.saturating_sub(220) / 2, needle);
        let _ = write!(m, "--=_b{i}\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<html><body><p>\r\n");
        prose(&mut m, r, left.saturating_sub(220) / 2, None);
        let _ = write!(m, "</p></body></html>\r\n--=_b{i}--\r\n");
    } else {
        m.push_str("Content-Type: text/plain; charset=us-ascii\r\n\r\n");
        prose(&mut m, r, left + 60, needle);
    }
    m
}
