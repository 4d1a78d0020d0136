//! Reading the JSON lines of qrun back: enough of RFC 8259 for them, strict, bounded in depth.

use std::collections::BTreeMap;

/// Deepest nesting read.
const DEPTH_MAX: u32 = 16;

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A number without sign and fraction.
    Number(u64),
    /// A string.
    Text(String),
    /// An array.
    Array(Vec<Value>),
    /// An object.
    Object(BTreeMap<String, Value>),
}

impl Value {
    /// Reads a whole text; `None` when it is anything but one value.
    pub fn parse(text: &str) -> Option<Value> {
        let mut reader = Reader { rest: text };
        let value = reader.value(0)?;
        reader.space();
        reader.rest.is_empty().then_some(value)
    }

    /// A member of an object.
    pub fn get(&self, key: &str) -> Option<&Value> {
        match self {
            Value::Object(map) => map.get(key),
            _ => None,
        }
    }

    /// A string member; empty when it is missing.
    pub fn text(&self, key: &str) -> &str {
        match self.get(key) {
            Some(Value::Text(text)) => text,
            _ => "",
        }
    }

    /// A number member; 0 when it is missing.
    pub fn number(&self, key: &str) -> u64 {
        match self.get(key) {
            Some(Value::Number(n)) => *n,
            _ => 0,
        }
    }

    /// An array member; empty when it is missing.
    pub fn items(&self, key: &str) -> &[Value] {
        match self.get(key) {
            Some(Value::Array(items)) => items,
            _ => &[],
        }
    }
}

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
    }

    fn take(&mut self, token: char) -> Option<()> {
        self.space();
        self.rest = self.rest.strip_prefix(token)?;
        Some(())
    }

    fn value(&mut self, depth: u32) -> Option<Value> {
        self.space();
        match self.rest.chars().next()? {
            '"' => Some(Value::Text(self.string()?)),
            '[' if depth < DEPTH_MAX => self.array(depth),
            '{' if depth < DEPTH_MAX => self.object(depth),
            '0'..='9' => {
                let end = self.rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.rest.len());
                let (digits, rest) = self.rest.split_at(end);
                self.rest = rest;
                Some(Value::Number(digits.parse().ok()?))
            }
            _ => None,
        }
    }

    fn array(&mut self, depth: u32) -> Option<Value> {
        self.take('[')?;
        let mut items = Vec::new();
        if self.take(']').is_some() {
            return Some(Value::Array(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            if self.take(',').is_none() {
                self.take(']')?;
                return Some(Value::Array(items));
            }
        }
    }

    fn object(&mut self, depth: u32) -> Option<Value> {
        self.take('{')?;
        let mut map = BTreeMap::new();
        if self.take('}').is_some() {
            return Some(Value::Object(map));
        }
        loop {
            self.space();
            let key = self.string()?;
            self.take(':')?;
            map.insert(key, self.value(depth + 1)?);
            if self.take(',').is_none() {
                self.take('}')?;
                return Some(Value::Object(map));
            }
        }
    }

    fn string(&mut self) -> Option<String> {
        self.take('"')?;
        let mut out = String::new();
        let mut chars = self.rest.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.rest = self.rest.get(at + 1..)?;
                    return Some(out);
                }
                '\\' => match chars.next()?.1 {
                    'u' => {
                        let digits: String = (0..4).filter_map(|_| chars.next()).map(|(_, c)| c).collect();
                        out.push(char::from_u32(u32::from_str_radix(&digits, 16).ok()?)?);
                    }
                    'n' => out.push('\n'),
                    't' => out.push('\t'),
                    'r' => out.push('\r'),
                    plain @ ('"' | '\\' | '/') => out.push(plain),
                    _ => return None,
                },
                c => out.push(c),
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::super::Object;
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let text = "\u{e9}\"\\\n\u{85}/";
        let line =
            Object::new().text("t", text).number("n", 7).array("l", [Object::new(), Object::new().text("a", "b")]);
        let value = Value::parse(&line.finish()).unwrap();
        assert_eq!((value.text("t"), value.number("n")), (text, 7));
        assert_eq!(value.items("l")[1].text("a"), "b");
        assert_eq!((value.text("x"), value.number("x"), value.items("x").len()), ("", 0, 0));
    }

    #[test]
    fn anything_else_is_refused() {
        for bad in ["", "{", "{\"a\"}", "[1,]", "\"a", "1 2", "nul", "\"\\q\"", "-1", "99999999999999999999999"] {
            assert_eq!(Value::parse(bad), None, "{bad}");
        }
        assert_eq!(Value::parse(&"[".repeat(100_000)), None);
    }
}
