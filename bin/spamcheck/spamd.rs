//! `--spamd`: one connection of spamc(1) on stdin and stdout, so that set-ups made for SpamAssassin can switch.
//!
//! Standard    the spamd protocol 1.5 (`PROTOCOL` in SpamAssassin's spamd folder): CHECK SYMBOLS REPORT REPORT_IFSPAM PROCESS
//!             HEADERS TELL PING SKIP; Content-length, User, Message-class, Set, Remove, `Compress: zlib`
//! Points      the protocol's scores are points with 5 as the limit: 5 is our cut for spam, and a point is one in logits
//! Invariants  1. the message is bounded (64 MiB, unpacked too)   2. nothing is taught without `--allow-tell`
//! Failures    a request that cannot be read is answered with 76, trouble of ours with 75: spamc then passes the mail on
//! Trust       the caller may send any octets; who may connect is the socket's business. User only names a table

use crate::args::Options;
use crate::classify::Judge;
use crate::{learn, output, pass};
use flate2::read::ZlibDecoder;
use penny_spam::engine::Engine;
use penny_spam::model::Outcome;
use penny_spam::verdict::{Class, Verdict};
use penny_spam::view::is_own_field;
use std::io::{self, BufRead, Read, Write};

/// Largest message.
const MESSAGE_MAX: u64 = 64 << 20;
/// Longest header line, and all of them.
const HEADER_MAX: u64 = 16 << 10;
/// Points from which the protocol calls a message spam.
const LIMIT: f64 = 5.0;

/// EX_TEMPFAIL and EX_PROTOCOL, the codes of replies.
const TEMPORARY: u8 = 75;
const PROTOCOL: u8 = 76;

/// A request that was read.
#[derive(Debug, Default)]
struct Request {
    verb: String,
    /// The client sent no version newer than 1.1: no header fields in the reply.
    old: bool,
    length: Option<u64>,
    compressed: bool,
    user: Option<String>,
    class: Option<bool>,
    set: bool,
}

/// Serves the connection; the exit code says whether the request was understood.
pub fn run(o: &Options) -> anyhow::Result<u8> {
    let mut input = io::stdin().lock();
    let mut out = io::stdout().lock();
    let reply = match head(&mut input) {
        Ok(request) => answer(o, &request, &mut input),
        Err(text) => Err((PROTOCOL, text)),
    };
    let (reply, code) = match reply {
        Ok(reply) => (reply, 0),
        Err((code, text)) => (format!("SPAMD/1.0 {code} {}\r\n", output::one_line(&text)).into_bytes(), crate::ERROR),
    };
    // a client that has gone needs no answer
    let _ = out.write_all(&reply).and_then(|()| out.flush());
    Ok(code)
}

/// Reads the request line and the header fields behind it.
fn head(input: &mut impl BufRead) -> Result<Request, String> {
    let mut input = input.take(HEADER_MAX);
    let mut line = || -> Result<String, String> {
        let mut bytes = Vec::new();
        input.read_until(b'\n', &mut bytes).map_err(|e| e.to_string())?;
        let text = bytes.strip_suffix(b"\n").ok_or("Bad header line: (EOF)")?;
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        Ok(String::from_utf8_lossy(text).into_owned())
    };
    let first = line()?;
    let (verb, version) = first.split_once(' ').unwrap_or((&first, ""));
    let version = version.trim().strip_prefix("SPAMC/").ok_or(format!("Bad header line: {first}"))?;
    let mut request = Request { verb: verb.to_owned(), old: version < "1.2", ..Request::default() };
    if verb == "PING" {
        return Ok(request); // some clients send nothing behind it
    }
    loop {
        let text = line()?;
        if text.is_empty() {
            return Ok(request);
        }
        let (name, value) = text.split_once(':').ok_or(format!("Bad header line: {text}"))?;
        field(&mut request, &name.to_ascii_lowercase(), value.trim())?;
    }
}

fn field(request: &mut Request, name: &str, value: &str) -> Result<(), String> {
    let local = || value.split(',').any(|w| w.trim().eq_ignore_ascii_case("local"));
    match name {
        "content-length" => {
            let length = value.parse().map_err(|_| format!("Bad header line: (Content-Length contains {value})"))?;
            request.length = Some(length);
        }
        "compress" if value.eq_ignore_ascii_case("zlib") => request.compressed = true,
        "compress" => return Err(format!("Compress: {value} is not known")),
        "user" => request.user = Some(value.to_owned()),
        "message-class" => request.class = Some(value.eq_ignore_ascii_case("spam")),
        "set" => request.set = local(),
        _ => {} // Remove, which we cannot do, and fields of later versions
    }
    Ok(())
}

type Reply = Result<Vec<u8>, (u8, String)>;

fn answer(o: &Options, request: &Request, input: &mut impl Read) -> Reply {
    match request.verb.as_str() {
        "PING" => return Ok(b"SPAMD/1.5 0 PONG\r\n".to_vec()),
        "SKIP" => return Ok(Vec::new()),
        "CHECK" | "SYMBOLS" | "REPORT" | "REPORT_IFSPAM" | "PROCESS" | "HEADERS" | "TELL" => {}
        verb => return Err((PROTOCOL, format!("Bad header line: {verb}"))),
    }
    let message = message(request, input).map_err(|text| (PROTOCOL, text))?;
    let o = Options { user: request.user.clone(), ..o.clone() };
    match request.verb.as_str() {
        "TELL" => tell(&o, request, &message).map_err(|e| (TEMPORARY, format!("{e:#}"))),
        _ => judged(&o, request, &message),
    }
}

/// The message, unpacked when the client compressed it.
fn message(request: &Request, input: &mut impl Read) -> Result<Vec<u8>, String> {
    let length = request.length.unwrap_or(MESSAGE_MAX + 1);
    if request.length.is_some_and(|l| l > MESSAGE_MAX) {
        return Err("the message is too large".into());
    }
    let mut bytes = Vec::new();
    input.take(length).read_to_end(&mut bytes).map_err(|e| e.to_string())?;
    if request.length.is_some_and(|l| l != bytes.len() as u64) {
        return Err(format!("(Content-Length mismatch: Expected {length} bytes, got {} bytes)", bytes.len()));
    }
    if request.compressed {
        let mut plain = Vec::new();
        let unpacked = ZlibDecoder::new(bytes.as_slice()).take(MESSAGE_MAX + 1).read_to_end(&mut plain);
        unpacked.map_err(|e| format!("Compress: {e}"))?;
        bytes = plain;
    }
    if bytes.len() as u64 > MESSAGE_MAX { Err("the message is too large".into()) } else { Ok(bytes) }
}

fn judged(o: &Options, request: &Request, message: &[u8]) -> Reply {
    let mut judge = Judge::new(o);
    let verdict = judge.judge(message);
    let spam = verdict.class == Class::Spam;
    let points = points(&verdict, judge.spam_cut());
    let failed = |e: io::Error| (TEMPORARY, e.to_string());
    let body = match request.verb.as_str() {
        "SYMBOLS" => format!("{}\r\n", symbols(&verdict)).into_bytes(),
        "REPORT_IFSPAM" if !spam => Vec::new(),
        "REPORT" | "REPORT_IFSPAM" => output::explanation(&verdict, &judge.words(message)).into_bytes(),
        "PROCESS" | "HEADERS" => {
            let fields = fields(&verdict, points) + &output::field(&verdict, judge.trouble.as_deref());
            let whole = if request.verb == "HEADERS" { header_of(message) } else { message };
            pass::rewritten(whole, &fields, is_foreign).map_err(failed)?
        }
        _ => Vec::new(),
    };
    let word = if spam { "True" } else { "False" };
    Ok(framed(request, &format!("Spam: {word} ; {points:.1} / {LIMIT:.1}\r\n"), &body))
}

/// A reply with its header fields, which the oldest clients don't want.
fn framed(request: &Request, fields: &str, body: &[u8]) -> Vec<u8> {
    let head = match request.old {
        true => "SPAMD/1.0 0 EX_OK\r\n".to_owned(),
        false => format!("SPAMD/1.1 0 EX_OK\r\nContent-length: {}\r\n{fields}\r\n", body.len()),
    };
    [head.as_bytes(), body].concat()
}

/// The verdict on the protocol's scale. What we call spam has at least the limit, all else is below it.
fn points(verdict: &Verdict, cut: f64) -> f64 {
    let logit = |p: f64| {
        let p = p.clamp(1e-9, 1.0 - 1e-9);
        (p / (1.0 - p)).ln()
    };
    let points = LIMIT + logit(verdict.score) - logit(cut);
    if verdict.class == Class::Spam { points.max(LIMIT) } else { points.min(LIMIT - 0.1) }
}

fn symbols(verdict: &Verdict) -> String {
    let names = verdict.hits.iter().map(|h| output::one_line(&h.name).replace([',', ' '], "_").to_uppercase());
    names.collect::<Vec<_>>().join(",")
}

/// The fields that SpamAssassin's users filter by.
fn fields(verdict: &Verdict, points: f64) -> String {
    let (flag, word) = if verdict.class == Class::Spam { ("X-Spam-Flag: YES\n", "Yes") } else { ("", "No") };
    let stars = "*".repeat(points.clamp(0.0, 50.0) as usize);
    let level = if stars.is_empty() { String::new() } else { format!("X-Spam-Level: {stars}\n") };
    let tests = symbols(verdict).replace(',', ",\n\t");
    let tests = if tests.is_empty() { "none".to_owned() } else { tests };
    format!("{flag}{level}X-Spam-Status: {word}, score={points:.1} required={LIMIT:.1}\n\ttests={tests}\n")
}

fn is_foreign(name: &[u8]) -> bool {
    is_own_field(name) || name.get(..7).is_some_and(|n| n.eq_ignore_ascii_case(b"X-Spam-"))
}

/// A message's header with the empty line behind it.
fn header_of(message: &[u8]) -> &[u8] {
    let mut at = 0;
    for line in message.split_inclusive(|&c| c == b'\n') {
        at += line.len();
        if matches!(line, b"\n" | b"\r\n") {
            break;
        }
    }
    message.get(..at).unwrap_or(message)
}

fn tell(o: &Options, request: &Request, message: &[u8]) -> anyhow::Result<Vec<u8>> {
    anyhow::ensure!(o.allow_tell, "TELL commands are not enabled, set the --allow-tell switch");
    // there is no forgetting: a wrong lesson is put right by the right one
    let Some(spam) = request.class.filter(|_| request.set) else {
        return Ok(framed(request, "", b""));
    };
    let mut writer = learn::writer(o)?;
    let outcome = Engine::default().learn(message, &mut writer.table, spam);
    writer.commit()?;
    let fields = match outcome {
        Outcome::Again => "",
        Outcome::New => "DidSet: local\r\n",
        Outcome::Corrected => "DidSet: local\r\nDidRemove: local\r\n",
    };
    Ok(framed(request, fields, b""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use penny_spam::verdict::{Cuts, judge};

    #[test]
    fn requests() {
        let text = "TELL SPAMC/1.5\r\nUser: joe\r\nContent-length: 7\r\nMessage-class: spam\r\nSet: local,remote\r\n\r\nmessage";
        let r = head(&mut text.as_bytes()).unwrap();
        assert_eq!((r.verb.as_str(), r.length, r.class, r.set), ("TELL", Some(7), Some(true), true));
        for bad in [
            "",
            "CHECK",
            "CHECK HTTP/1.1\r\n\r\n",
            "CHECK SPAMC/1.2\r\nContent-length: x\r\n\r\n",
            "CHECK SPAMC/1.2\r\nA: b\r\n",
        ] {
            assert!(head(&mut bad.as_bytes()).is_err(), "{bad:?}");
        }
        let long = format!("CHECK SPAMC/1.2\r\nA: {}\r\n\r\n", "x".repeat(1 << 20));
        assert!(head(&mut long.as_bytes()).is_err());
    }

    #[test]
    fn points_agree_with_the_verdict() {
        for (score, class) in
            [(0.9, Class::Spam), (0.89, Class::Unsure), (0.0, Class::Ham), (1.0, Class::Spam), (0.95, Class::Unsure)]
        {
            let mut v = judge(Default::default(), (0, 0), Vec::new(), Cuts::default());
            (v.score, v.class) = (score, class);
            let p = points(&v, 0.9);
            assert_eq!(p >= LIMIT, class == Class::Spam, "{score}: {p}");
            assert!(p.is_finite());
        }
    }

    #[test]
    fn the_header_alone() {
        assert_eq!(header_of(b"A: b\r\n\r\nbody"), b"A: b\r\n\r\n");
        assert_eq!(header_of(b"A: b"), b"A: b");
    }
}
