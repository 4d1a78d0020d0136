//! `--rewrite`: the message with the offending parts replaced by a notice.
//!
//! Invariants  a part is replaced whole, header and body, between its delimiter lines; a part without a delimiter in front
//!             of it (the message itself) cannot be, and the message is refused instead

use crate::output;
use crate::scan;
use crate::verdict::Verdict;
use anyhow::Result;

/// Prints the rewritten message, or refuses.
pub fn rewrite(message: &[u8], verdict: &Verdict) -> Result<u8> {
    let mut cuts: Vec<(usize, usize)> = Vec::new();
    for (start, end) in &verdict.strip {
        match header_start(message, *start) {
            Some(from) if *end <= message.len() => cuts.push((from, *end)),
            _ => return scan::refuse(verdict),
        }
    }
    if cuts.is_empty() {
        return scan::refuse(verdict);
    }
    cuts.sort_unstable();
    let mut out = output::header(verdict).into_bytes();
    let mut at = 0;
    for (from, to) in cuts {
        if from < at {
            continue;
        }
        out.extend_from_slice(message.get(at..from).unwrap_or_default());
        out.extend_from_slice(notice(verdict).as_bytes());
        at = to;
    }
    out.extend_from_slice(message.get(at..).unwrap_or_default());
    output::raw(&out)?;
    Ok(0)
}

fn notice(verdict: &Verdict) -> String {
    format!(
        "Content-Type: text/plain; charset=us-ascii\n\nA part of this message was taken out by the mail server: {} ({}).",
        output::one_line(&verdict.name),
        output::one_line(&verdict.reason)
    )
}

/// The start of the part's header: behind the last delimiter line before its body.
fn header_start(message: &[u8], body: usize) -> Option<usize> {
    let head = message.get(..body)?;
    let mut end = head.len();
    loop {
        let line_start = head.get(..end)?.iter().rposition(|c| *c == b'\n').map_or(0, |n| n + 1);
        if head.get(line_start..)?.starts_with(b"--") {
            let next = head.get(line_start..)?.iter().position(|c| *c == b'\n')?;
            return Some(line_start + next + 1);
        }
        // an empty line above the header ends the search: this is no part of a multipart
        if line_start == 0 || body - line_start > 65536 {
            return None;
        }
        end = line_start - 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_goes_too() {
        let m = b"A: b\n\n--x\nContent-Type: a/b\n\nbody\n--x--\n";
        let body = m.windows(4).position(|w| w == b"body").unwrap();
        assert_eq!(header_start(m, body), Some(10));
        assert_eq!(header_start(b"A: b\n\nbody", 6), None);
    }
}
