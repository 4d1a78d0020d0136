//! `pennypost report`: DMARC aggregate and TLS reports as tables.
//!
//! Trust  reports come from anybody; what they say is shown escaped, what they pack is bounded (penny-report)

use penny_base::{Failure, Kind, Outcome};
use penny_mime::structure::{Limits, Structure};
use penny_report::{Kind as Form, aggregate, show_aggregate, show_tls, tlsrpt, unpack};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// Largest file read.
const FILE_MAX: u64 = 128 << 20;

/// Shows every report in the files; exit 65 when a file holds none.
pub fn run(files: &[PathBuf]) -> Result<Outcome, Failure> {
    let mut out = std::io::stdout().lock();
    let mut missing = 0;
    for file in files {
        let bytes = read(file)?;
        let texts = reports(&bytes);
        let name = file.display().to_string().escape_debug().to_string();
        if texts.is_empty() {
            missing += 1;
            writeln!(std::io::stderr(), "{name}: no report in it").map_err(|e| Failure::io("standard error", &e))?;
        }
        for text in texts {
            writeln!(out, "{name}: {text}").map_err(|e| Failure::io("standard output", &e))?;
        }
    }
    Ok(if missing == 0 { Outcome::Done } else { Outcome::Permanent(Kind::Data) })
}

fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let result = if file == Path::new("-") {
        std::io::stdin().lock().take(FILE_MAX).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(file).and_then(|f| f.take(FILE_MAX).read_to_end(&mut bytes))
    };
    result.map_err(|e| crate::table::unreadable(file, &e))?;
    Ok(bytes)
}

/// The reports of a file: itself one, or a mail with some attached.
fn reports(bytes: &[u8]) -> Vec<String> {
    if let Some(text) = one(bytes) {
        return vec![text];
    }
    let mail = Structure::parse(bytes, Limits::default());
    mail.leaves().filter_map(|part| one(&part.encoding.decode(part.body.of(bytes)))).collect()
}

fn one(bytes: &[u8]) -> Option<String> {
    match unpack(bytes).ok()? {
        (Form::Aggregate, text) => aggregate::Report::parse(&text).map(|r| show_aggregate(&r)),
        (Form::Tls, text) => tlsrpt::Report::parse(&text).map(|r| show_tls(&r)),
    }
}
