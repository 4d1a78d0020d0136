//! The grammar's small pieces, over one framed command.
//!
//! Standards   RFC 9051 9 and RFC 3501 9 (names of the functions are the ABNF rules), RFC 4466
//! Invariants  no allocation beyond the command's own size; no recursion here (nesting is bounded by the callers)
//! Failures    [`Bad`]: a short English reason for the tagged BAD
use crate::reader::{Framed, Literal};
use crate::set::{SequenceSet, SetError};

/// Why a command does not parse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bad(pub &'static str);

/// What a parser returns.
pub type Parse<T> = Result<T, Bad>;

/// A position in a command.
#[derive(Clone, Debug)]
pub struct Cursor<'a> {
    text: &'a [u8],
    literals: &'a [Literal],
    at: usize,
}

/// A string argument: in the text, or streamed away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data {
    /// The bytes.
    Inline(Vec<u8>),
    /// Number of the literal among the command's streamed ones, and its length.
    Streamed(usize, u64),
}

impl<'a> Cursor<'a> {
    /// Starts at the first byte of a command.
    pub fn new(framed: &'a Framed) -> Self {
        Cursor { text: &framed.text, literals: &framed.literals, at: 0 }
    }

    /// The bytes not read yet (literal data may be among them).
    pub fn rest(&self) -> &'a [u8] {
        &self.text[self.at..]
    }

    /// The next byte.
    pub fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    /// True at the end.
    pub fn is_end(&self) -> bool {
        self.at >= self.text.len()
    }

    /// Nothing may follow.
    pub fn end(&self) -> Parse<()> {
        if self.is_end() { Ok(()) } else { Err(Bad("Unexpected text at the end of the command")) }
    }

    /// Takes one byte if it is next.
    pub fn eat(&mut self, b: u8) -> bool {
        let hit = self.peek() == Some(b);
        self.at += usize::from(hit);
        hit
    }

    /// Takes one byte or fails.
    pub fn expect(&mut self, b: u8, why: &'static str) -> Parse<()> {
        if self.eat(b) { Ok(()) } else { Err(Bad(why)) }
    }

    /// One space; more are tolerated, as Dovecot and Cyrus do.
    pub fn space(&mut self) -> Parse<()> {
        self.expect(b' ', "Missing space")?;
        while self.eat(b' ') {}
        Ok(())
    }

    /// Takes a keyword in any letter case, if it is next and ends there.
    pub fn keyword(&mut self, word: &str) -> bool {
        let rest = self.rest();
        let hit = rest.len() >= word.len() && rest[..word.len()].eq_ignore_ascii_case(word.as_bytes());
        let ends = rest.get(word.len()).is_none_or(|&b| !is_atom_char(b) || b == b'[' || b == b'<');
        if hit && ends {
            self.at += word.len();
        }
        hit && ends
    }

    /// The longest run of bytes that fulfil `ok`.
    pub fn take_while(&mut self, ok: impl Fn(u8) -> bool) -> &'a [u8] {
        let n = self.rest().iter().position(|&b| !ok(b)).unwrap_or(self.rest().len());
        let taken = &self.text[self.at..self.at + n];
        self.at += n;
        taken
    }

    fn one_or_more(&mut self, ok: impl Fn(u8) -> bool, why: &'static str) -> Parse<&'a [u8]> {
        let taken = self.take_while(ok);
        if taken.is_empty() { Err(Bad(why)) } else { Ok(taken) }
    }

    /// tag = 1*<any ASTRING-CHAR except "+">
    pub fn tag(&mut self) -> Parse<&'a [u8]> {
        self.one_or_more(|b| is_astring_char(b) && b != b'+', "Invalid tag")
    }

    /// atom, in upper case.
    pub fn atom_upper(&mut self) -> Parse<String> {
        Ok(ascii(self.one_or_more(is_atom_char, "Missing word")?).to_ascii_uppercase())
    }

    /// atom as written.
    pub fn atom(&mut self) -> Parse<&'a [u8]> {
        self.one_or_more(is_atom_char, "Missing word")
    }

    /// astring = 1*ASTRING-CHAR / string
    pub fn astring(&mut self) -> Parse<Vec<u8>> {
        match self.peek() {
            Some(b'"' | b'{') => self.string(),
            Some(b'~') if self.at_literal8() => self.string(),
            _ => Ok(self.one_or_more(|b| is_astring_char(b) || b >= 0x80, "Missing string")?.to_vec()),
        }
    }

    /// string = quoted / literal
    pub fn string(&mut self) -> Parse<Vec<u8>> {
        match self.data()? {
            Data::Inline(bytes) => Ok(bytes),
            Data::Streamed(..) => Err(Bad("Literal not allowed here")),
        }
    }

    /// nstring = string / nil
    pub fn nstring(&mut self) -> Parse<Option<Vec<u8>>> {
        if self.keyword("NIL") { Ok(None) } else { self.string().map(Some) }
    }

    /// string, whose literal may have been streamed.
    pub fn data(&mut self) -> Parse<Data> {
        match self.peek() {
            Some(b'"') => self.quoted().map(Data::Inline),
            Some(b'{' | b'~') => self.literal(),
            _ => Err(Bad("Missing string")),
        }
    }

    /// quoted = DQUOTE *QUOTED-CHAR DQUOTE
    fn quoted(&mut self) -> Parse<Vec<u8>> {
        self.at += 1;
        let mut out = Vec::new();
        while let Some(b) = self.peek() {
            self.at += 1;
            match b {
                b'"' => return Ok(out),
                b'\\' => match self.peek() {
                    Some(c @ (b'"' | b'\\')) => {
                        out.push(c);
                        self.at += 1;
                    }
                    _ => return Err(Bad("Invalid escape in a quoted string")),
                },
                b'\r' | b'\n' | 0 => return Err(Bad("Invalid byte in a quoted string")),
                _ => out.push(b),
            }
        }
        Err(Bad("Unclosed quoted string"))
    }

    /// Only what the reader framed counts.
    fn literal(&mut self) -> Parse<Data> {
        let index = self.literals.binary_search_by_key(&self.at, |l| l.at).map_err(|_| Bad("Invalid literal"))?;
        let literal = self.literals[index];
        if literal.streamed {
            self.at = literal.data;
            let number = self.literals[..index].iter().filter(|l| l.streamed).count();
            return Ok(Data::Streamed(number, literal.len));
        }
        let end = literal.data + usize::try_from(literal.len).map_err(|_| Bad("Invalid literal"))?;
        let bytes = self.text.get(literal.data..end).ok_or(Bad("Invalid literal"))?;
        if !literal.binary && bytes.contains(&0) {
            return Err(Bad("NUL in a literal")); // RFC 3501 9: CHAR8 = %x01-ff
        }
        self.at = end;
        Ok(Data::Inline(bytes.to_vec()))
    }

    /// Whether the string that is next is a literal8.
    pub fn at_literal8(&self) -> bool {
        self.rest().starts_with(b"~{")
    }

    /// number, up to 32 bits.
    pub fn number(&mut self) -> Parse<u32> {
        u32::try_from(self.number64()?).map_err(|_| Bad("Number too large"))
    }

    /// number64 / mod-sequence-value, up to 63 bits.
    pub fn number64(&mut self) -> Parse<u64> {
        let digits = self.one_or_more(|b| b.is_ascii_digit(), "Missing number")?;
        ascii(digits).parse::<u64>().ok().filter(|&n| n < 1 << 63).ok_or(Bad("Number too large"))
    }

    /// nz-number
    pub fn nz_number(&mut self) -> Parse<u32> {
        self.number().and_then(|n| if n == 0 { Err(Bad("Number must not be zero")) } else { Ok(n) })
    }

    /// sequence-set, including `$` (RFC 5182).
    pub fn sequence_set(&mut self) -> Parse<SequenceSet> {
        let text =
            self.one_or_more(|b| b.is_ascii_digit() || matches!(b, b':' | b',' | b'*' | b'$'), "Missing message set")?;
        SequenceSet::parse(text).map_err(|SetError(why)| Bad(why))
    }

    /// `(item item ...)`, at least `min` items; `()` allowed when it is 0.
    pub fn list<T>(&mut self, min: usize, mut item: impl FnMut(&mut Self) -> Parse<T>) -> Parse<Vec<T>> {
        self.expect(b'(', "Missing parenthesis")?;
        let mut out = Vec::new();
        while self.eat(b' ') {}
        while !self.eat(b')') {
            if !out.is_empty() {
                self.space()?;
                if self.eat(b')') {
                    break;
                }
            }
            out.push(item(self)?);
        }
        if out.len() < min { Err(Bad("Empty list")) } else { Ok(out) }
    }

    /// One item, or a list of them.
    pub fn one_or_list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Parse<T>) -> Parse<Vec<T>> {
        if self.peek() == Some(b'(') { self.list(1, item) } else { Ok(vec![item(self)?]) }
    }
}

/// Text of bytes already known to be ASCII.
pub fn ascii(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

/// ATOM-CHAR: any CHAR except atom-specials.
pub fn is_atom_char(b: u8) -> bool {
    matches!(b, b'!'..=b'~') && !matches!(b, b'(' | b')' | b'{' | b'%' | b'*' | b'"' | b'\\' | b']')
}

/// ASTRING-CHAR = ATOM-CHAR / resp-specials
pub fn is_astring_char(b: u8) -> bool {
    is_atom_char(b) || b == b']'
}

/// list-char = ATOM-CHAR / list-wildcards / resp-specials
pub fn is_list_char(b: u8) -> bool {
    is_astring_char(b) || matches!(b, b'%' | b'*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::framed;

    #[test]
    fn strings_of_all_forms() {
        let f = framed(b"abc \"a\\\"b\" {3}\r\nx\r\n ~{2}\r\n\0y NIL");
        let mut c = Cursor::new(&f);
        assert_eq!(c.astring().unwrap(), b"abc");
        c.space().unwrap();
        assert_eq!(c.astring().unwrap(), b"a\"b");
        c.space().unwrap();
        assert_eq!(c.astring().unwrap(), b"x\r\n");
        c.space().unwrap();
        assert!(c.at_literal8());
        assert_eq!(c.string().unwrap(), b"\0y");
        c.space().unwrap();
        assert_eq!(c.nstring().unwrap(), None);
        c.end().unwrap();
    }

    #[test]
    fn what_the_reader_did_not_frame_is_no_literal() {
        let f = Framed { text: b"{3}\r\nabc".to_vec(), literals: vec![] };
        assert!(Cursor::new(&f).astring().is_err());
        let f = framed(b"{2}\r\n\0x");
        assert_eq!(Cursor::new(&f).string(), Err(Bad("NUL in a literal")));
    }

    #[test]
    fn numbers_and_lists() {
        let f = framed(b"4294967296");
        assert!(Cursor::new(&f).number().is_err());
        assert_eq!(Cursor::new(&f).number64(), Ok(4_294_967_296));
        let f = framed(b"(a  b )c");
        let mut c = Cursor::new(&f);
        assert_eq!(c.list(1, |c| c.atom_upper()).unwrap(), ["A", "B"]);
        assert!(c.keyword("C"));
        assert!(Cursor::new(&framed(b"()")).list(1, |c| c.atom_upper()).is_err());
        assert!(Cursor::new(&framed(b"(a b")).list(1, |c| c.atom_upper()).is_err());
    }

    #[test]
    fn quoted_strings_refuse_line_ends() {
        for bad in [&b"\"a\\x\""[..], b"\"abc", b"\"a\0\""] {
            assert!(Cursor::new(&framed(bad)).string().is_err());
        }
    }
}
