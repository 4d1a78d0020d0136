//! Responses of an IMAP server, as trees.
//!
//! Standard    RFC 9051 7 and 9, RFC 3501 7 and 9; servers' looser forms are taken where the meaning is plain
//! Invariants  literals come framed by [`super::wire`], never counted here; nesting is bounded

/// Deepest list looked at (a FETCH of flags needs 2).
const DEPTH_MAX: usize = 8;

/// One piece of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A word, a number, NIL, a flag.
    Atom(String),
    /// A quoted string or a literal.
    Text(Vec<u8>),
    /// A list in parentheses.
    List(Vec<Value>),
    /// A literal that went to the message being read.
    Streamed,
}

/// What a line is made of before it is parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Chunk {
    /// Octets of the line.
    Line(Vec<u8>),
    /// A literal.
    Literal(Vec<u8>),
    /// A literal that was streamed away.
    Streamed,
}

impl Value {
    /// An atom's or a string's text.
    pub fn text(&self) -> Option<String> {
        match self {
            Value::Atom(text) => Some(text.clone()),
            Value::Text(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
            Value::List(_) | Value::Streamed => None,
        }
    }

    /// A list's items.
    pub fn list(&self) -> &[Value] {
        match self {
            Value::List(items) => items,
            _ => &[],
        }
    }

    /// The same word in any letter case.
    pub fn is(&self, word: &str) -> bool {
        matches!(self, Value::Atom(text) if text.eq_ignore_ascii_case(word))
    }
}

/// The pieces of a response.
pub fn parse(chunks: &[Chunk]) -> Vec<Value> {
    let mut open: Vec<Vec<Value>> = vec![Vec::new()];
    for chunk in chunks {
        match chunk {
            Chunk::Line(line) => words(line, &mut open),
            Chunk::Literal(bytes) => push(&mut open, Value::Text(bytes.clone())),
            Chunk::Streamed => push(&mut open, Value::Streamed),
        }
    }
    while open.len() > 1 {
        close(&mut open);
    }
    open.pop().unwrap_or_default()
}

fn push(open: &mut [Vec<Value>], value: Value) {
    if let Some(last) = open.last_mut() {
        last.push(value);
    }
}

fn close(open: &mut Vec<Vec<Value>>) {
    if open.len() > 1
        && let Some(list) = open.pop()
    {
        push(open, Value::List(list));
    }
}

fn words(line: &[u8], open: &mut Vec<Vec<Value>>) {
    let mut rest = line;
    while let Some((&first, after)) = rest.split_first() {
        rest = match first {
            b' ' => after,
            b'(' if open.len() <= DEPTH_MAX => {
                open.push(Vec::new());
                after
            }
            b'(' => after,
            b')' => {
                close(open);
                after
            }
            b'"' => quoted(after, open),
            _ => atom(rest, open),
        };
    }
}

fn quoted<'a>(text: &'a [u8], open: &mut [Vec<Value>]) -> &'a [u8] {
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(&b) = text.get(at) {
        at += 1;
        match b {
            b'"' => break,
            b'\\' => {
                out.extend(text.get(at));
                at += 1;
            }
            _ => out.push(b),
        }
    }
    push(open, Value::Text(out));
    text.get(at..).unwrap_or_default()
}

/// An atom with what stands in brackets: `BODY[HEADER (X)]` is one.
fn atom<'a>(text: &'a [u8], open: &mut [Vec<Value>]) -> &'a [u8] {
    let mut inside = false;
    let ends = |&b: &u8| {
        inside = (inside || b == b'[') && b != b']';
        !inside && matches!(b, b' ' | b'(' | b')')
    };
    let end = text.iter().position(ends).unwrap_or(text.len()).max(1);
    let (word, rest) = text.split_at(end);
    push(open, Value::Atom(String::from_utf8_lossy(word).into_owned()));
    rest
}

/// The value behind a name, in a list of pairs (FETCH).
pub fn pair<'a>(list: &'a [Value], name: &str) -> Option<&'a Value> {
    list.chunks(2).find_map(|p| p.first().filter(|n| n.is(name)).and_then(|_| p.get(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Vec<Value> {
        parse(&[Chunk::Line(text.as_bytes().to_vec())])
    }

    #[test]
    fn responses() {
        let list = line(r#"LIST (\HasNoChildren \Sent) "/" "a \"b\" c""#);
        assert_eq!(list.len(), 4);
        assert!(list[1].list()[1].is("\\sent"));
        assert_eq!(list[3].text().as_deref(), Some("a \"b\" c"));
        let fetch = line(r#"3 FETCH (UID 7 FLAGS (\Seen $Work) INTERNALDATE "17-Jul-1996 02:44:25 -0700" BODY[] NIL)"#);
        let items = fetch[2].list();
        assert_eq!(pair(items, "uid").and_then(Value::text).as_deref(), Some("7"));
        assert_eq!(pair(items, "flags").map(|f| f.list().len()), Some(2));
        assert!(pair(items, "BODY[]").is_some_and(|b| b.is("NIL")));
    }

    #[test]
    fn literals_and_rubbish() {
        let chunks = [Chunk::Line(b"1 FETCH (BODY[] ".to_vec()), Chunk::Streamed, Chunk::Line(b" UID 2)".to_vec())];
        let fetch = parse(&chunks);
        assert_eq!(pair(fetch[2].list(), "UID").and_then(Value::text).as_deref(), Some("2"));
        for text in ["((((((((((((((", "))))", "\"open", "[x (", "\\"] {
            line(text);
        }
    }
}
