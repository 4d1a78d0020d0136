//! Changes a milter asked for, made on a message with LF line ends.
//!
//! Invariants  the result is header, empty line, body; a message without changes stays octet for octet

use super::Change;
use penny_mime::header::Fields;

/// What a milter wants changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// In the order they came, header changes only.
    pub header: Vec<Change>,
    /// A new body, CRLF line ends as it came.
    pub body: Option<Vec<u8>>,
    /// Recipients to add.
    pub add: Vec<String>,
    /// Recipients to take away.
    pub delete: Vec<String>,
    /// Why it shall be held.
    pub quarantine: Option<String>,
    /// Another sender, empty for the null path.
    pub sender: Option<String>,
}

impl Changes {
    /// Takes one more change.
    pub fn push(&mut self, change: Change) {
        match change {
            Change::Body(piece) => self.body.get_or_insert_default().extend_from_slice(&piece),
            Change::AddRecipient(address) => self.add.push(address),
            Change::DeleteRecipient(address) => self.delete.push(address),
            Change::Sender(address) => self.sender = Some(address),
            Change::Quarantine(why) => self.quarantine = Some(why),
            header => self.header.push(header),
        }
    }

    /// Whether the message itself changes.
    pub fn touches_message(&self) -> bool {
        !self.header.is_empty() || self.body.is_some()
    }
}

/// A new header from `header` (with its empty line, if there is one).
fn changed_header(header: &[u8], changes: &[Change]) -> Vec<u8> {
    let mut fields: Vec<Vec<u8>> = Fields::new(header).map(|f| f.raw.to_vec()).collect();
    for change in changes {
        match change {
            Change::Add(name, value) => fields.push(field(name, value)),
            Change::Insert(at, name, value) => {
                let at = usize::try_from(*at).unwrap_or(usize::MAX).min(fields.len());
                fields.insert(at, field(name, value));
            }
            Change::Replace(nth, name, value) => replace(&mut fields, *nth, name, value),
            _ => {}
        }
    }
    let mut out = fields.concat();
    out.push(b'\n');
    out
}

fn field(name: &str, value: &str) -> Vec<u8> {
    format!("{name}: {}\n", value.trim_start_matches(' ')).into_bytes()
}

/// The n-th field of the name (from 1; 0 counts as 1); beyond the last one it is added.
fn replace(fields: &mut Vec<Vec<u8>>, nth: u32, name: &str, value: &str) {
    let named = |raw: &[u8]| Fields::new(raw).next().is_some_and(|f| f.is(name));
    let places: Vec<usize> = fields.iter().enumerate().filter(|(_, raw)| named(raw)).map(|(at, _)| at).collect();
    let place = places.get(usize::try_from(nth.max(1) - 1).unwrap_or(usize::MAX)).copied();
    match (place, value.is_empty()) {
        (Some(at), true) => drop(fields.remove(at)),
        (Some(at), false) => fields[at] = field(name, value), // a place found above
        (None, false) => fields.push(field(name, value)),
        (None, true) => {}
    }
}

/// Makes the changes; header and body are parts of the message with LF line ends.
pub fn apply(header: &[u8], body: &[u8], changes: &Changes) -> Vec<u8> {
    let mut out = if changes.header.is_empty() { header.to_vec() } else { changed_header(header, &changes.header) };
    match &changes.body {
        Some(new) => out.extend(lf_only(new)),
        None => out.extend_from_slice(body),
    }
    if out.last() != Some(&b'\n') {
        out.push(b'\n');
    }
    out
}

fn lf_only(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    for (at, &b) in bytes.iter().enumerate() {
        match b {
            b'\r' if bytes.get(at + 1) == Some(&b'\n') => {}
            b'\r' | 0 => out.push(b' '),
            b => out.push(b),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &[u8] = b"A: 1\nB: 2\n folded\nA: 3\n\n";

    fn run(header: Vec<Change>, body: Option<&[u8]>) -> String {
        let changes = Changes { header, body: body.map(<[u8]>::to_vec), ..Changes::default() };
        String::from_utf8(apply(HEADER, b"body\n", &changes)).unwrap()
    }

    #[test]
    fn fields_are_added_changed_and_removed() {
        let s = |t: &str| t.to_owned();
        assert_eq!(run(vec![], None), "A: 1\nB: 2\n folded\nA: 3\n\nbody\n");
        assert_eq!(run(vec![Change::Add(s("C"), s("4"))], None), "A: 1\nB: 2\n folded\nA: 3\nC: 4\n\nbody\n");
        assert_eq!(run(vec![Change::Insert(0, s("C"), s("4"))], None), "C: 4\nA: 1\nB: 2\n folded\nA: 3\n\nbody\n");
        assert_eq!(run(vec![Change::Replace(2, s("a"), s("9"))], None), "A: 1\nB: 2\n folded\na: 9\n\nbody\n");
        assert_eq!(run(vec![Change::Replace(1, s("B"), s(""))], None), "A: 1\nA: 3\n\nbody\n");
        assert_eq!(run(vec![Change::Replace(1, s("Z"), s("x"))], None), "A: 1\nB: 2\n folded\nA: 3\nZ: x\n\nbody\n");
        assert_eq!(run(vec![], Some(b"new\r\nx\ry")), "A: 1\nB: 2\n folded\nA: 3\n\nnew\nx y\n");
    }
}
