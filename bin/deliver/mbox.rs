//! Appending to an mbox file.
//!
//! Standards   mbox as RFC 4155 and mboxrd: `From sender date`, `>` in front of every line `>*From `, an empty line after
//! Invariants  1. locked (flock) while written   2. fsynced before success   3. on failure cut back to its old length
//! Trust       the path is the user's own; never through a symbolic link, never a device but /dev/null

use std::fs::OpenOptions;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

use penny_base::Failure;

use crate::context::Context;
use crate::fields;

/// Appends the message.
pub fn append(context: &Context, path: &Path) -> Result<(), Failure> {
    let fail = |e: std::io::Error| Failure::io(path.display(), &e);
    if path == Path::new("/dev/null") {
        return Ok(());
    }
    if let Ok(meta) = std::fs::symlink_metadata(path)
        && !meta.is_file()
    {
        return Err(Failure::temporary("4.2.0", "mailbox file is not usable")
            .with_detail(format!("{}: not a regular file", path.display())));
    }
    let made = !path.exists();
    let locked = penny_sys::fs::Locked::wait(path, 0o600).map_err(fail)?;
    let mut file = OpenOptions::new().append(true).read(true).open(path).map_err(fail)?;
    let before = file.seek(SeekFrom::End(0)).map_err(fail)?;
    let mut content = Vec::new();
    fields::write_stored(context, &mut content).map_err(fail)?;
    let bytes = entry(context, &content);
    let written = file.write_all(&bytes).and_then(|()| file.sync_all());
    if let Err(e) = written {
        let _ = locked.file().set_len(before);
        return Err(fail(e));
    }
    if let (true, Some(dir)) = (made, path.parent()) {
        penny_sys::files::sync_dir(dir).map_err(fail)?;
    }
    Ok(())
}

fn entry(context: &Context, content: &[u8]) -> Vec<u8> {
    let sender = match context.sender() {
        "" => "MAILER-DAEMON".to_owned(),
        sender => sender.replace(' ', "-"),
    };
    let seconds = i64::try_from(context.envelope.arrival.0).unwrap_or(0);
    let mut out = format!("From {sender} {}\n", asctime(seconds)).into_bytes();
    for line in content.split_inclusive(|&b| b == b'\n') {
        let quotes = line.iter().take_while(|&&b| b == b'>').count();
        if line.get(quotes..).is_some_and(|rest| rest.starts_with(b"From ")) {
            out.push(b'>');
        }
        out.extend_from_slice(line);
    }
    if out.last() != Some(&b'\n') {
        out.push(b'\n');
    }
    out.push(b'\n');
    out
}

/// `Thu Jan  1 00:00:00 1970`, UTC.
fn asctime(seconds: i64) -> String {
    let date = penny_mime::DateTime::from_unix(seconds, 0);
    let month = penny_mime::date::MONTHS.get(usize::from(date.month.saturating_sub(1))).unwrap_or(&"Jan");
    let weekday = (seconds.div_euclid(86_400) + 4).rem_euclid(7);
    let day = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"][usize::try_from(weekday).unwrap_or(0)];
    format!("{day} {month} {:2} {:02}:{:02}:{:02} {}", date.day, date.hour, date.minute, date.second, date.year)
}

#[cfg(test)]
mod tests {
    #[test]
    fn dates() {
        assert_eq!(super::asctime(0), "Thu Jan  1 00:00:00 1970");
        assert_eq!(super::asctime(1_000_000_000), "Sun Sep  9 01:46:40 2001");
    }
}
