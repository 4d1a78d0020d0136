//! JSON, as much as reports need: a parser into a tree.
//!
//! Standard    RFC 8259
//! Invariants  depth and size are bounded; a number is kept as text

/// Nesting of a document.
const DEPTH_MAX: usize = 32;

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// null, true, false.
    Word(&'static str),
    /// As written.
    Number(String),
    /// Text.
    Text(String),
    /// `[...]`
    List(Vec<Value>),
    /// `{...}`, in order.
    Object(Vec<(String, Value)>),
}

impl Value {
    /// Parses a whole document.
    pub fn parse(text: &str) -> Option<Self> {
        let mut p = Parser { rest: text.trim_start_matches('\u{feff}'), depth: 0 };
        let value = p.value()?;
        p.space();
        p.rest.is_empty().then_some(value)
    }

    /// A member of an object.
    pub fn get(&self, key: &str) -> Option<&Value> {
        match self {
            Self::Object(members) => members.iter().find(|(k, _)| k == key).map(|(_, v)| v),
            _ => None,
        }
    }

    /// A member as text; numbers too.
    pub fn text(&self, key: &str) -> &str {
        match self.get(key) {
            Some(Self::Text(text) | Self::Number(text)) => text,
            _ => "",
        }
    }

    /// The items of a member that is a list.
    pub fn list(&self, key: &str) -> &[Value] {
        match self.get(key) {
            Some(Self::List(items)) => items,
            _ => &[],
        }
    }
}

struct Parser<'a> {
    rest: &'a str,
    depth: usize,
}

impl Parser<'_> {
    fn space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\r', '\n']);
    }

    fn take(&mut self, token: &str) -> Option<()> {
        self.space();
        self.rest = self.rest.strip_prefix(token)?;
        Some(())
    }

    fn value(&mut self) -> Option<Value> {
        self.space();
        match self.rest.chars().next()? {
            '{' => self.nested(Self::object),
            '[' => self.nested(Self::list),
            '"' => self.string().map(Value::Text),
            '-' | '0'..='9' => self.number(),
            _ => ["null", "true", "false"].into_iter().find_map(|word| self.take(word).map(|()| Value::Word(word))),
        }
    }

    fn nested(&mut self, inner: fn(&mut Self) -> Option<Value>) -> Option<Value> {
        self.depth += 1;
        let value = if self.depth > DEPTH_MAX { None } else { inner(self) };
        self.depth -= 1;
        value
    }

    fn object(&mut self) -> Option<Value> {
        self.take("{")?;
        let mut members = Vec::new();
        if self.take("}").is_some() {
            return Some(Value::Object(members));
        }
        loop {
            self.space();
            let key = self.string()?;
            self.take(":")?;
            members.push((key, self.value()?));
            if self.take(",").is_none() {
                self.take("}")?;
                return Some(Value::Object(members));
            }
        }
    }

    fn list(&mut self) -> Option<Value> {
        self.take("[")?;
        let mut items = Vec::new();
        if self.take("]").is_some() {
            return Some(Value::List(items));
        }
        loop {
            items.push(self.value()?);
            if self.take(",").is_none() {
                self.take("]")?;
                return Some(Value::List(items));
            }
        }
    }

    fn number(&mut self) -> Option<Value> {
        let end = self.rest.find(|c: char| !c.is_ascii_digit() && !"+-.eE".contains(c)).unwrap_or(self.rest.len());
        let (number, rest) = self.rest.split_at(end);
        self.rest = rest;
        number.parse::<f64>().ok()?;
        Some(Value::Number(number.to_owned()))
    }

    fn string(&mut self) -> Option<String> {
        self.rest = self.rest.strip_prefix('"')?;
        let mut out = String::new();
        loop {
            let c = self.next()?;
            match c {
                '"' => return Some(out),
                '\\' => out.push(self.escape()?),
                c if u32::from(c) < 0x20 => return None,
                c => out.push(c),
            }
        }
    }

    fn next(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let c = chars.next()?;
        self.rest = chars.as_str();
        Some(c)
    }

    fn escape(&mut self) -> Option<char> {
        Some(match self.next()? {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            'b' => '\u{8}',
            'f' => '\u{c}',
            'u' => return self.unicode(),
            c @ ('"' | '\\' | '/') => c,
            _ => return None,
        })
    }

    /// `\uXXXX`, or two of them as a surrogate pair.
    fn unicode(&mut self) -> Option<char> {
        let high = self.hex()?;
        if !(0xd800..0xdc00).contains(&high) {
            return Some(char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER));
        }
        self.rest = self.rest.strip_prefix("\\u")?;
        let low = self.hex()?.checked_sub(0xdc00).filter(|l| *l < 0x400)?;
        char::from_u32(0x10000 + ((high - 0xd800) << 10) + low)
    }

    fn hex(&mut self) -> Option<u32> {
        let (digits, rest) = self.rest.split_at_checked(4)?;
        self.rest = rest;
        u32::from_str_radix(digits, 16).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents() {
        let v = Value::parse(" {\"a\": [1, -2.5e3, null, true], \"b\": \"x\\n\\u00e4\\ud83d\\ude00\", \"c\": {} } ")
            .unwrap();
        assert_eq!(v.text("b"), "x\nä😀");
        assert_eq!(v.list("a").len(), 4);
        assert_eq!(v.get("c"), Some(&Value::Object(Vec::new())));
    }

    #[test]
    fn what_is_no_json() {
        let deep = "[".repeat(100);
        for bad in ["", "{", "[1,]", "{\"a\"}", "\"\\x\"", "tru", "1 2", "\"\n\"", "\"\\ud800\"", "-", deep.as_str()] {
            assert_eq!(Value::parse(bad), None, "{bad}");
        }
    }
}
