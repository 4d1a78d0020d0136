//! How a filter is asked and what it said: the contract of pennypost-overview(7), for smtpd (mail that comes in) and qrun
//! (mail that leaves).
//!
//! Contract    header fields on standard output; exit 0 accept, 99 junk, 100 and a last line `5.x.y` reject, everything
//!             else temporary
//! Invariants  no output of a filter becomes anything but well-formed header fields
//! Trust       the admin chose the program, a message made its output: it is checked

use penny_base::services::Request;
use penny_mime::header::Fields;
use penny_sys::fs::memory_file_of;
use penny_sys::process::Ended;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::time::Duration;

/// Time for all filters of a message together.
pub const TOTAL: Duration = Duration::from_secs(300);

/// Most octets of header fields one filter may add.
const FIELDS_MAX: u64 = 256 * 1024;

/// Lists are passed in the environment below this many octets.
const ENVIRONMENT_MAX: usize = 48 * 1024;

/// What one filter says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Let it pass.
    Accept,
    /// Let it pass, as junk.
    Junk,
    /// Refuse it with this text, which begins with a permanent status.
    Reject(String),
}

/// The request for a filter and the file it gets as descriptor 3, with the variables that do not depend on who asks.
/// `before` is what earlier filters printed, so that one can build on another (mailauth, then spamcheck).
pub fn request(name: &str, recipients: &[&str], before: &str, limit: Duration) -> io::Result<(Request, File)> {
    let list = recipients.join("\n");
    let file = memory_file_of("recipients", format!("{list}\n").as_bytes())?;
    let mut request = Request::new(format!("filter:{name}"))
        .env("PENNYPOST_FILTER", "1")
        .env("RECIPIENT_COUNT", &recipients.len().to_string())
        .env("RECIPIENTS_FILE", "/dev/fd/3");
    if list.len() < ENVIRONMENT_MAX {
        request = request.env("RECIPIENTS", &list);
    }
    if before.len() < ENVIRONMENT_MAX / 4 {
        request = request.env("FIELDS", before);
    }
    request.reopen_stdin = true;
    request.time_limit = u32::try_from(limit.as_secs().max(1)).unwrap_or(u32::MAX);
    Ok((request, file))
}

/// The verdict and the fields to put on top; an error says what the filter did instead of giving one.
pub fn judge(ended: Ended, output: &str) -> Result<(Verdict, String), String> {
    match ended {
        Ended::Code(code @ (0 | 99)) => {
            let fields = well_formed(output).ok_or("printed no header fields")?;
            Ok((if code == 0 { Verdict::Accept } else { Verdict::Junk }, fields))
        }
        Ended::Code(100) => {
            let reason = rejection(output).ok_or("exit 100 without a status line")?;
            Ok((Verdict::Reject(reason), String::new()))
        }
        other => Err(format!("ended with {other:?}")),
    }
}

/// What a filter wrote into its output file.
pub fn read_output(output: &mut File) -> io::Result<String> {
    output.seek(SeekFrom::Start(0))?;
    let mut bytes = Vec::new();
    output.take(FIELDS_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FIELDS_MAX {
        return Err(io::Error::other("too much output"));
    }
    Ok(String::from_utf8_lossy(&bytes).replace("\r\n", "\n"))
}

/// Output as header fields, or nothing when it is not: every line begins a field or continues one.
fn well_formed(text: &str) -> Option<String> {
    if text.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
        return None;
    }
    let mut text = text.to_owned();
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    let bytes = text.as_bytes();
    let covered: usize = Fields::new(bytes).map(|f| f.raw.len()).sum();
    let names = Fields::new(bytes).all(|f| !f.name.is_empty() && f.name.iter().all(|b| b.is_ascii_graphic()));
    (covered == bytes.len() && names).then_some(text)
}

/// The last line, if it begins with a permanent status.
fn rejection(text: &str) -> Option<String> {
    let line = text.lines().rev().find(|line| !line.trim().is_empty())?.trim();
    let status = line.split(' ').next()?;
    let numbers: Vec<&str> = status.split('.').collect();
    let permanent = numbers.len() == 3 && numbers[0] == "5" && numbers[1..].iter().all(|n| n.parse::<u16>().is_ok());
    permanent.then(|| line.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_fields_come_through() {
        let accept = |text: &str| judge(Ended::Code(0), text);
        assert_eq!(accept("A: b\n\tc"), Ok((Verdict::Accept, "A: b\n\tc\n".into())));
        assert_eq!(accept(""), Ok((Verdict::Accept, String::new())));
        for bad in ["text\n", "A: b\n\nbody\n", " folded first\n", "A: b\rC: d\n", "A: \0\n", "two words: x\n"] {
            assert!(accept(bad).is_err(), "{bad:?}");
        }
        assert_eq!(judge(Ended::Code(99), "A: b\n"), Ok((Verdict::Junk, "A: b\n".into())));
    }

    #[test]
    fn a_refusal_needs_its_words() {
        let refuse = |text: &str| judge(Ended::Code(100), text);
        assert_eq!(refuse("X: y\n5.7.1 no\n\n"), Ok((Verdict::Reject("5.7.1 no".into()), String::new())));
        for bad in ["", "no\n", "4.7.1 later\n", "5.7 no\n", "5.7.1 no\nX: y\n"] {
            assert!(refuse(bad).is_err(), "{bad:?}");
        }
        assert!(judge(Ended::Code(75), "").is_err() && judge(Ended::Signal(9), "A: b\n").is_err());
    }
}
