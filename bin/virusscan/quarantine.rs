//! Keeping what is refused: a worker process scans, this one looks at its end and files the message.
//!
//! Format      DIR/ID.eml the message, DIR/ID.txt `Name: value` lines: time, verdict, sender, recipients, client, report
//! Why         the process that reads hostile bytes can open no file; and a worker that dies on a message has thereby
//!             given a verdict: unscannable
//! Invariants  both files are written whole under a temporary name and synced before the refusal is given
//! Trust       identifiers are checked before they become a path

use crate::args::Options;
use crate::output;
use anyhow::{Context, Result, bail};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

fn dir(o: &Options) -> Result<&Path> {
    o.quarantine.as_deref().context("--quarantine DIR is needed")
}

/// Scans in a worker and keeps the message when it is refused.
pub fn run(o: &Options, filter: bool) -> Result<u8> {
    if !o.files.is_empty() {
        bail!("--quarantine takes one message on standard input");
    }
    let mut input = crate::input::stdin()?;
    let mut worker = Command::new(std::env::current_exe()?);
    worker.args(&o.given).arg("--worker").stdin(input.try_clone()?).stdout(Stdio::piped());
    let mut child = worker.spawn()?;
    let mut said = Vec::new();
    if let Some(out) = &mut child.stdout {
        out.read_to_end(&mut said)?;
    }
    let code = child.wait()?.code();
    let (code, said) = match code {
        Some(code) => (code as u8, said),
        None => crashed(o, filter),
    };
    if keeps(code, filter) {
        input.seek(SeekFrom::Start(0))?;
        keep(dir(o)?, &mut input, &said)?;
    }
    output::raw(&said)?;
    Ok(code)
}

/// A worker that died: the message is unscannable.
fn crashed(o: &Options, filter: bool) -> (u8, Vec<u8>) {
    if filter {
        return (100, b"5.7.1 the message cannot be scanned: it stops the scanner\n".to_vec());
    }
    let text = if o.json {
        "{\"file\":\"-\",\"verdict\":\"unscannable\",\"name\":\"limit\",\"reason\":\"it stops the scanner\",\"objects\":0}\n"
    } else {
        "-: unscannable limit (it stops the scanner)\n"
    };
    (3, text.into())
}

fn keeps(code: u8, filter: bool) -> bool {
    if filter { code == 100 } else { matches!(code, 1 | 3 | 4) }
}

fn keep(dir: &Path, input: &mut File, said: &[u8]) -> Result<()> {
    let now = penny_sys::time::now();
    let id = format!("{}.{:06}.{}", now.as_secs(), now.subsec_micros(), std::process::id());
    let mut message = Vec::new();
    input.read_to_end(&mut message)?;
    let write = |extension: &str, data: &[u8]| {
        let path = dir.join(format!("{id}.{extension}"));
        penny_sys::fs::replace_file(&path, data, 0o600).with_context(|| format!("cannot write {}", path.display()))
    };
    write("eml", &message)?;
    write("txt", record(now.as_secs(), said).as_bytes())
}

fn record(time: u64, said: &[u8]) -> String {
    let mut out = format!("time: {time}\n");
    for (key, variable) in [
        ("sender", "SENDER"),
        ("client", "REMOTE_IP"),
        ("helo", "HELO"),
        ("login", "AUTH_USER"),
        ("queue-id", "QUEUE_ID"),
    ] {
        if let Some(value) = std::env::var_os(variable) {
            out.push_str(&format!("{key}: {}\n", output::one_line(&value.to_string_lossy())));
        }
    }
    for recipient in recipients() {
        out.push_str(&format!("recipient: {}\n", output::one_line(&recipient)));
    }
    for line in String::from_utf8_lossy(said).lines() {
        out.push_str(&format!("said: {}\n", output::one_line(line)));
    }
    out
}

fn recipients() -> Vec<String> {
    let text = match (std::env::var("RECIPIENTS"), std::env::var_os("RECIPIENTS_FILE")) {
        (Ok(text), _) => text,
        (_, Some(file)) => std::fs::read_to_string(file).unwrap_or_default(),
        _ => String::new(),
    };
    text.lines().filter(|l| !l.is_empty()).map(str::to_owned).collect()
}

/// One line a kept message.
pub fn list(o: &Options) -> Result<u8> {
    let mut records: Vec<PathBuf> = std::fs::read_dir(dir(o)?)?
        .filter_map(|e| e.ok().map(|e| e.path()))
        .filter(|p| p.extension() == Some(OsStr::new("txt")))
        .collect();
    records.sort();
    let mut out = io::stdout().lock();
    for path in records {
        let id = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path)?;
        let field = |key: &str| text.lines().filter_map(|l| l.strip_prefix(key)).collect::<Vec<_>>().join(",");
        let said = field("said: ");
        writeln!(out, "{id} from={} to={} {}", field("sender: "), field("recipient: "), said)?;
    }
    Ok(0)
}

/// Prints a kept message, or delivers it to the recipients it had.
pub fn release(o: &Options, id: &str) -> Result<u8> {
    if id.is_empty() || !id.bytes().all(|c| c.is_ascii_digit() || c == b'.') {
        bail!("`{}` is not an identifier from --list", output::one_line(id));
    }
    let base = dir(o)?.join(id);
    let message = base.with_file_name(format!("{id}.eml"));
    let mut file = File::open(&message).with_context(|| format!("cannot open {}", message.display()))?;
    if !o.send {
        io::copy(&mut file, &mut io::stdout().lock())?;
        return Ok(0);
    }
    let text = std::fs::read_to_string(base.with_file_name(format!("{id}.txt")))?;
    let sender = text.lines().find_map(|l| l.strip_prefix("sender: ")).unwrap_or_default();
    let recipients: Vec<&str> = text.lines().filter_map(|l| l.strip_prefix("recipient: ")).collect();
    if recipients.is_empty() {
        bail!("{id} has no recipients on record");
    }
    let sendmail = std::env::var_os("SENDMAIL").unwrap_or_else(|| "sendmail".into());
    let status = Command::new(sendmail).args(["-f", sender, "--"]).args(&recipients).stdin(file).status()?;
    if !status.success() {
        bail!("sendmail did not take it ({status})");
    }
    for extension in ["eml", "txt"] {
        std::fs::remove_file(base.with_file_name(format!("{id}.{extension}")))?;
    }
    Ok(0)
}
