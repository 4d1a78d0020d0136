//! Everything that is printed: JSON lines, lines for people, header fields, refusals.
//!
//! Invariants  nothing foreign reaches a terminal, a header or an SMTP reply unescaped

use crate::args::Options;
use crate::verdict::{Kind, Verdict};
use anyhow::Result;
use penny_scan::walk::Report;
use std::fmt::Write as _;
use std::io::{self, Write};

/// One line, printable ASCII.
pub fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' }).collect()
}

/// A JSON string.
pub fn json_string(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\u{20}'..='\u{7e}' => out.push(c),
            c => {
                let mut units = [0; 2];
                for unit in c.encode_utf16(&mut units) {
                    let _ = write!(out, "\\u{unit:04x}"); // a String takes everything
                }
            }
        }
    }
    out.push('"');
    out
}

/// The result for one file.
pub fn result(o: &Options, file: &str, verdict: &Verdict, report: &Report) -> Result<()> {
    let line = if o.json {
        json(o, file, verdict, report)
    } else if verdict.kind == Kind::Clean && o.quiet {
        return Ok(());
    } else {
        plain(file, verdict)
    };
    writeln!(io::stdout().lock(), "{line}")?;
    Ok(())
}

fn plain(file: &str, v: &Verdict) -> String {
    let file = one_line(file);
    match v.kind {
        Kind::Clean if v.tags.is_empty() => format!("{file}: clean"),
        Kind::Clean => format!("{file}: clean ({})", v.tags.join(", ")),
        Kind::Error => format!("{file}: error: {}", one_line(&v.reason)),
        kind => format!("{file}: {} {} ({})", kind.word(), one_line(&v.name), one_line(&v.reason)),
    }
}

fn json(o: &Options, file: &str, v: &Verdict, report: &Report) -> String {
    let mut out = format!(
        "{{\"file\":{},\"verdict\":\"{}\",\"name\":{},\"reason\":{},\"objects\":{},\"bytes\":{}",
        json_string(file),
        v.kind.word(),
        json_string(&v.name),
        json_string(&v.reason),
        report.objects,
        report.bytes
    );
    let tags: Vec<String> = v.tags.iter().map(|t| json_string(t)).collect();
    let _ = write!(out, ",\"action\":\"{}\",\"tags\":[{}]", v.action.word(), tags.join(","));
    if o.all {
        let found: Vec<String> = report
            .found
            .iter()
            .map(|f| format!("{{\"name\":{},\"path\":{}}}", json_string(&f.what), json_string(&f.path)))
            .collect();
        let _ = write!(out, ",\"found\":[{}]", found.join(","));
    }
    if o.tree {
        let _ = write!(out, ",\"tree\":[{}]", tree(report));
    }
    out.push('}');
    out
}

fn tree(report: &Report) -> String {
    let nodes: Vec<String> = report
        .tree
        .iter()
        .map(|n| {
            let names: Vec<String> = n.names.iter().map(|n| json_string(n)).collect();
            format!(
                "{{\"depth\":{},\"kind\":\"{}\",\"size\":{},\"sha256\":\"{}\",\"names\":[{}]}}",
                n.depth,
                n.kind,
                n.size,
                n.sha256,
                names.join(",")
            )
        })
        .collect();
    nodes.join(",")
}

/// Longest text taken over into a header or a reply.
const TEXT_MAX: usize = 300;

fn short(text: &str) -> String {
    one_line(text).chars().take(TEXT_MAX).collect()
}

/// Header fields of an accepted message.
pub fn fields(v: &Verdict) -> Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(header(v).as_bytes())?;
    out.flush()?;
    Ok(())
}

/// The fields as text.
pub fn header(v: &Verdict) -> String {
    let mut out = format!("X-Virus-Scanned: pennypost virusscan {}\n", env!("CARGO_PKG_VERSION"));
    let mut status = v.kind.word().to_owned();
    if !v.name.is_empty() {
        let _ = write!(status, " {} ({})", short(&v.name), short(&v.reason).replace(['(', ')', '\\'], "_"));
    }
    if !v.tags.is_empty() {
        let _ = write!(status, "; tags={}", v.tags.join(","));
    }
    let _ = writeln!(out, "X-Virus-Status: {status}");
    out
}

/// The last line of a refusal.
pub fn refusal(v: &Verdict) -> Result<()> {
    let text = match v.kind {
        Kind::Found => format!("5.7.1 the message holds {} ({})", short(&v.name), short(&v.reason)),
        Kind::Policy => {
            format!("5.7.1 content of this kind is not accepted: {} ({})", short(&v.name), short(&v.reason))
        }
        _ => format!("5.7.1 the message cannot be scanned: {} ({})", short(&v.name), short(&v.reason)),
    };
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()?;
    Ok(())
}

/// Octets as they are.
pub fn raw(bytes: &[u8]) -> Result<()> {
    let mut out = io::stdout().lock();
    let mut copy = Vec::new();
    for piece in bytes.chunks(64 << 10) {
        // write(2) cannot read from a mapping that lets pages pass
        copy.clear();
        copy.extend_from_slice(piece);
        out.write_all(&copy)?;
    }
    out.flush()?;
    Ok(())
}

/// Usage.
pub fn help() -> Result<u8> {
    raw(HELP.as_bytes())?;
    Ok(0)
}

/// Version.
pub fn version() -> Result<u8> {
    raw(concat!("virusscan (pennypost) ", env!("CARGO_PKG_VERSION"), "\n").as_bytes())?;
    Ok(0)
}

const HELP: &str = "\
usage: virusscan [options] [FILE...]            scan files, or one message on standard input
       virusscan --compile OUT.db FILE...       compile ClamAV signature files
       virusscan --info OUT.db                  say what a compiled file holds
       virusscan --clamd-listener               speak clamd's protocol on standard input and output
       virusscan --quarantine DIR --list        show what was kept
       virusscan --quarantine DIR --release ID  print or (--send) deliver a kept message

  -c FILE            read [virusscan] of this configuration
  --db FILE          compiled signatures (default: /var/lib/pennypost/virus.db if it exists, else built in)
  --json, --tree     one JSON line a file; with the tree of what was walked
  --all, -q          every find; nothing for clean files
  --no-policy        signatures only
  --policy C=A,...   class or trouble = accept, tag, junk, strip, reject
  --clamd ADDRESS    ask clamd too: a socket path or host:port
  --quarantine DIR   keep what is refused
  --rewrite          as a filter, print the whole message; strip takes parts out
  --max-depth N, --max-files N, --max-object SIZE, --max-total SIZE, --max-ratio N, --max-time SECONDS
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_escaped() {
        assert_eq!(json_string("a\"\\\n\u{1}\u{e9}\u{1f600}"), "\"a\\\"\\\\\\n\\u0001\\u00e9\\ud83d\\ude00\"");
    }

    #[test]
    fn headers_cannot_be_forged() {
        let mut v = Verdict::found("Evil\r\nBcc: x".into(), "in a\u{202e}b".into());
        assert_eq!(header(&v).lines().count(), 2);
        v.tags = vec!["macro".into()];
        assert!(header(&v).contains("tags=macro"));
    }
}
