//! Parameters of Content-Type and Content-Disposition in every plausible reading.
//!
//! Standards   RFC 2045 5.1, RFC 2231 (continuations, charset and percent), RFC 2047 words where they do not belong
//! Why         readers differ on quotes, comments, semicolons and doubles; a boundary or name that some reader takes must
//!             be among ours, and one too many costs a look-up
//! Invariants  work is linear in the value for each keyword found; at most 64 readings

const READINGS_MAX: usize = 64;

/// Every reading of the parameter `key` in an unfolded value.
pub fn readings(value: &[u8], key: &str) -> Vec<Vec<u8>> {
    let mut out: Vec<Vec<u8>> = Vec::new();
    let mut pieces: Vec<(u32, bool, Vec<u8>)> = Vec::new();
    for (suffix, at) in occurrences(value, key.as_bytes()) {
        let tail = value.get(at..).unwrap_or_default();
        let found = values(tail);
        match suffix {
            Suffix { index: None, extended: false } => out.extend(found),
            Suffix { index: None, extended: true } => out.extend(found.iter().flat_map(|v| extended(v))),
            Suffix { index: Some(n), extended } => {
                pieces.extend(found.into_iter().next().map(|v| (n, extended, v)));
            }
        }
        if out.len() > READINGS_MAX {
            break;
        }
    }
    out.extend(joined(pieces));
    for v in out.clone() {
        out.extend(words(&v));
    }
    out.retain(|v| !v.is_empty());
    out.sort();
    out.dedup();
    out
}

struct Suffix {
    index: Option<u32>,
    extended: bool,
}

/// Places behind `key [*n] [*] =`.
fn occurrences<'a>(value: &'a [u8], key: &'a [u8]) -> impl Iterator<Item = (Suffix, usize)> + 'a {
    let starts =
        (0..value.len()).filter(move |at| value.get(*at..*at + key.len()).is_some_and(|w| w.eq_ignore_ascii_case(key)));
    starts.filter_map(move |at| suffix(value, at + key.len())).take(READINGS_MAX)
}

fn suffix(value: &[u8], mut at: usize) -> Option<(Suffix, usize)> {
    let peek = |at: usize| value.get(at).copied();
    let mut suffix = Suffix { index: None, extended: false };
    if peek(at) == Some(b'*') {
        at += 1;
        let digits = value.get(at..)?.iter().take_while(|c| c.is_ascii_digit()).count();
        if digits == 0 {
            suffix.extended = true;
        } else {
            suffix.index = std::str::from_utf8(value.get(at..at + digits)?).ok()?.parse().ok();
            at += digits;
            if peek(at) == Some(b'*') {
                suffix.extended = true;
                at += 1;
            }
        }
    }
    at += blanks(value, at);
    (peek(at)? == b'=').then_some(())?;
    at += 1;
    Some((suffix, at + blanks(value, at)))
}

/// White space and comments.
fn blanks(value: &[u8], at: usize) -> usize {
    let rest = value.get(at..).unwrap_or_default();
    let mut depth = 0usize;
    rest.iter()
        .take_while(|c| {
            match c {
                b'(' => depth += 1,
                b')' if depth > 0 => {
                    depth -= 1;
                    return true;
                }
                _ => {}
            }
            depth > 0 || matches!(c, b' ' | b'\t')
        })
        .count()
}

/// Readings of one value.
fn values(tail: &[u8]) -> Vec<Vec<u8>> {
    let to_semicolon = until(tail, b";");
    let mut out = Vec::new();
    if let Some(inner) = tail.strip_prefix(b"\"") {
        let (text, closed) = quoted(inner);
        out.push(text);
        if !closed {
            out.push(until(inner, b";").trim_ascii().to_vec());
            out.push(until(inner, b"; \t").to_vec());
        }
    } else {
        out.push(until(tail, b"; \t(").to_vec());
        out.push(to_semicolon.trim_ascii().to_vec());
        out.push(until(tail, b"; \t\"").to_vec());
    }
    if let Some(inner) = tail.strip_prefix(b"'") {
        out.push(until(inner, b"'").to_vec());
    }
    let trimmed: Vec<Vec<u8>> = out.iter().map(|v| v.trim_ascii().to_vec()).collect();
    out.extend(trimmed);
    out
}

fn until<'a>(data: &'a [u8], stop: &[u8]) -> &'a [u8] {
    let len = data.iter().position(|c| stop.contains(c)).unwrap_or(data.len());
    data.get(..len).unwrap_or_default()
}

fn quoted(inner: &[u8]) -> (Vec<u8>, bool) {
    let mut out = Vec::new();
    let mut rest = inner.iter();
    while let Some(c) = rest.next() {
        match c {
            b'"' => return (out, true),
            b'\\' => out.extend(rest.next()),
            _ => out.push(*c),
        }
    }
    (out, false)
}

/// RFC 2231 4: charset'language'percent, and the percent form alone.
fn extended(value: &[u8]) -> Vec<Vec<u8>> {
    let mut parts = value.splitn(3, |c| *c == b'\'');
    let behind = (parts.next(), parts.next(), parts.next()).2;
    [Some(value), behind].into_iter().flatten().map(percent).collect()
}

fn percent(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(&c) = value.get(at) {
        let code = value
            .get(at + 1..at + 3)
            .and_then(|h| std::str::from_utf8(h).ok())
            .and_then(|h| u8::from_str_radix(h, 16).ok());
        match code.filter(|_| c == b'%') {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(c);
                at += 1;
            }
        }
    }
    out
}

/// RFC 2231 3: continuations, in order of their numbers, each decoded by its own mark and all decoded.
fn joined(mut pieces: Vec<(u32, bool, Vec<u8>)>) -> Vec<Vec<u8>> {
    if pieces.is_empty() {
        return Vec::new();
    }
    pieces.sort_by_key(|p| p.0);
    pieces.dedup_by_key(|p| p.0);
    let mut out: Vec<u8> = Vec::new();
    let mut raw: Vec<u8> = Vec::new();
    for (n, is_extended, v) in &pieces {
        raw.extend_from_slice(v);
        match (*is_extended, *n) {
            (true, 0) => out.extend(extended(v).pop().unwrap_or_default()),
            (true, _) => out.extend(percent(v)),
            (false, _) => out.extend_from_slice(v),
        }
    }
    vec![out, raw]
}

/// The value with its RFC 2047 words decoded, when it has any.
pub fn words(value: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut at = 0;
    let mut any = false;
    while at < value.len() {
        let rest = value.get(at..)?;
        match word(rest) {
            Some((text, len)) => {
                // blanks between two words do not count
                if any && out.last() == Some(&b' ') {
                    out.pop();
                }
                out.extend(text);
                at += len;
                any = true;
            }
            None => {
                out.extend(rest.first());
                at += 1;
            }
        }
    }
    any.then_some(out)
}

fn word(data: &[u8]) -> Option<(Vec<u8>, usize)> {
    let inner = data.strip_prefix(b"=?")?;
    let charset = until(inner, b"?");
    let rest = inner.get(charset.len() + 1..)?;
    let kind = rest.first()?.to_ascii_lowercase();
    let text = rest.get(1..)?.strip_prefix(b"?")?;
    let len = memchr::memmem::find(text, b"?=")?;
    let body = text.get(..len)?;
    let decoded = match kind {
        b'b' => super::base64::decode(body),
        b'q' => super::qp::decode_word(body),
        _ => return None,
    };
    Some((decoded, data.len() - text.len() + len + 2))
}

/// Octets as text: UTF-8 where it is, else Latin-1.
pub fn text(value: &[u8]) -> String {
    match std::str::from_utf8(value) {
        Ok(s) => s.to_owned(),
        Err(_) => value.iter().map(|b| char::from(*b)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has(value: &str, key: &str, want: &str) -> bool {
        readings(value.as_bytes(), key).iter().any(|r| r == want.as_bytes())
    }

    #[test]
    fn boundaries_in_every_form() {
        for value in [
            "multipart/mixed; boundary=\"b 1\"",
            "multipart/mixed; boundary=\"b 1",
            "multipart/mixed boundary=\"b 1\"",
            "multipart/mixed; BOUNDARY = (x) \"b 1\"",
            "multipart/mixed; boundary*=us-ascii'en'b%201",
            "multipart/mixed; boundary*0=\"b \"; boundary*1=\"1\"",
            "multipart/mixed; boundary*0*=''b%20; boundary*1=1",
            "multipart/mixed; boundary='b 1'",
            "multipart/mixed; boundary=x; boundary=\"b 1\"",
            "multipart/mixed; boundary=\"b\\ 1\"",
            "multipart/mixed; boundary=b 1",
        ] {
            assert!(has(value, "boundary", "b 1"), "{value}: {:?}", readings(value.as_bytes(), "boundary"));
        }
    }

    #[test]
    fn names_with_words() {
        assert!(has("x; name=\"=?utf-8?B?ZXZpbC5leGU=?=\"", "name", "evil.exe"));
        assert!(has("x; name=\"=?utf-8?Q?evil=2Eexe?=\"", "name", "evil.exe"));
        assert!(has("x; name==?utf-8?Q?evil?= =?utf-8?Q?.exe?=", "name", "evil.exe"));
        assert!(has("x; filename*0*=utf-8''ev%69l; filename*1=\".exe\"", "filename", "evil.exe"));
    }

    #[test]
    fn floods_end() {
        let flood = "boundary=\"".repeat(5000);
        assert!(readings(flood.as_bytes(), "boundary").len() < 1000);
    }
}
