//! `pennypost metrics`: numbers for Prometheus, as the text file of node_exporter's collector or over HTTP under inetd.
//!
//! Format      Prometheus text 0.0.4
//! Contract    with --http one request is read from standard input and answered, as inetd, tcpserver and systemd sockets
//!             want it; nothing else of HTTP is needed: every scraper sends GET /metrics

use crate::logs::Source;
use crate::status::{last_hour, services, waiting};
use crate::table::say;
use clap::Args;
use penny_base::{Config, Failure, Outcome};
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

/// Where they go.
#[derive(Debug, Args)]
pub struct Options {
    #[command(flatten)]
    source: Source,
    /// Write this file, by renaming, instead of standard output.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Answer one HTTP request on standard input and output (inetd).
    #[arg(long, conflicts_with = "output")]
    http: bool,
}

/// Octets of a request.
const REQUEST_MAX: u64 = 16 * 1024;

/// Runs it.
pub fn run(file: &Path, options: &Options) -> Result<Outcome, Failure> {
    let config = Config::load(Some(file))?;
    if options.http {
        return http(&config, &options.source);
    }
    let text = text(&config, &options.source);
    match &options.output {
        None => say(text.trim_end()),
        Some(path) => {
            penny_sys::fs::replace_file(path, text.as_bytes(), 0o644).map_err(|e| Failure::io(path.display(), &e))?;
            Ok(Outcome::Done)
        }
    }
}

fn http(config: &Config, source: &Source) -> Result<Outcome, Failure> {
    let mut reader = BufReader::new(std::io::stdin().lock().take(REQUEST_MAX));
    let mut request = String::new();
    let mut line = String::new();
    reader.read_line(&mut request).map_err(|e| Failure::io("request", &e))?;
    // the header is read to its end, so that closing does not reset the connection
    while reader.read_line(&mut line).is_ok_and(|n| n > 2) {
        line.clear();
    }
    let wanted = request.starts_with("GET /metrics ") || request.starts_with("GET / ");
    let (status, body) =
        if wanted { ("200 OK", text(config, source)) } else { ("404 Not Found", "no such page\n".into()) };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let mut out = std::io::stdout().lock();
    let done = out.write_all(head.as_bytes()).and_then(|()| out.write_all(body.as_bytes())).and_then(|()| out.flush());
    done.map(|()| Outcome::Done).map_err(|e| Failure::io("standard output", &e))
}

/// A family: name, kind, help, samples of labels and value.
fn family(out: &mut String, name: &str, kind: &str, help: &str, samples: &[(String, f64)]) {
    let _ = write!(out, "# HELP pennypost_{name} {help}\n# TYPE pennypost_{name} {kind}\n");
    for (labels, value) in samples {
        let labels = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
        let _ = writeln!(out, "pennypost_{name}{labels} {value}");
    }
}

fn label(name: &str, value: &str) -> String {
    format!("{name}=\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

fn text(config: &Config, source: &Source) -> String {
    let mut out = String::new();
    let up: Vec<_> = services(config)
        .iter()
        .map(|s| (label("service", &s.name), if s.wrong.is_none() { 1.0 } else { 0.0 }))
        .collect();
    family(&mut out, "up", "gauge", "Whether a service answers.", &up);
    if let Some(w) = waiting(config) {
        let states = [("new", w.new), ("active", w.active - w.held), ("held", w.held), ("corrupt", w.corrupt)];
        let samples: Vec<_> = states.iter().map(|(s, n)| (label("state", s), *n as f64)).collect();
        family(&mut out, "queue_entries", "gauge", "Entries of the queue by state.", &samples);
        let oldest = [(String::new(), w.oldest as f64)];
        family(&mut out, "queue_oldest_seconds", "gauge", "Age of the oldest entry.", &oldest);
    }
    if let Ok(facts) = penny_tls::certificate::facts(&config.tls.certificate) {
        let left = [(String::new(), facts.left as f64)];
        family(&mut out, "certificate_left_seconds", "gauge", "Time until the certificate expires.", &left);
    }
    counters(&mut out, config, source);
    out
}

/// Gauges over the last hour: a log that is rotated cannot feed counters that only rise.
fn counters(out: &mut String, config: &Config, source: &Source) {
    let Ok(s) = last_hour(config, source) else { return };
    let by = |name: &str, counts: &crate::summary::Counts| -> Vec<(String, f64)> {
        counts.iter().map(|(k, v)| (label(name, k), *v as f64)).collect()
    };
    let one = |value: u64| [(String::new(), value as f64)];
    family(out, "hour_received", "gauge", "Messages that came in during the last hour.", &one(s.received()));
    family(out, "hour_received_octets", "gauge", "Their octets.", &one(s.octets));
    let outcomes = [("stored", s.stored), ("sent", s.sent), ("deferred", s.deferred), ("bounced", s.bounced)];
    let outcomes: Vec<_> = outcomes.iter().map(|(o, n)| (label("outcome", o), *n as f64)).collect();
    family(out, "hour_deliveries", "gauge", "Outcomes of deliveries during the last hour.", &outcomes);
    family(out, "hour_rejects", "gauge", "Refusals during the last hour by rule.", &by("rule", &s.rejects));
    family(out, "hour_verdicts", "gauge", "Verdicts of filters during the last hour.", &by("verdict", &s.verdicts));
    family(out, "hour_wrong_passwords", "gauge", "Wrong passwords during the last hour.", &one(s.wrong_passwords));
}
