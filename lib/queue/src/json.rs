//! JSON lines as `qctl` and scripts read them: a writer for objects and arrays of objects, and a reader for these.
//!
//! Standard    RFC 8259; strings escape control characters, so that a line stays a line

mod value;

pub use value::Value;

use std::fmt::Write as _;

/// An object being written.
#[derive(Debug, Default)]
pub struct Object(String);

impl Object {
    /// An empty object.
    pub fn new() -> Object {
        Object::default()
    }

    fn key(&mut self, key: &str) {
        self.0.push(if self.0.is_empty() { '{' } else { ',' });
        push_string(&mut self.0, key);
        self.0.push(':');
    }

    /// Adds a string.
    pub fn text(mut self, key: &str, value: &str) -> Object {
        self.key(key);
        push_string(&mut self.0, value);
        self
    }

    /// Adds a string when there is one.
    pub fn maybe(self, key: &str, value: Option<&str>) -> Object {
        match value {
            Some(v) => self.text(key, v),
            None => self,
        }
    }

    /// Adds a number.
    pub fn number(mut self, key: &str, value: u64) -> Object {
        self.key(key);
        let _ = write!(self.0, "{value}"); // writing to a String cannot fail
        self
    }

    /// Adds an array of objects.
    pub fn array(mut self, key: &str, items: impl IntoIterator<Item = Object>) -> Object {
        self.key(key);
        self.0.push('[');
        for (n, item) in items.into_iter().enumerate() {
            if n > 0 {
                self.0.push(',');
            }
            self.0.push_str(&item.finish());
        }
        self.0.push(']');
        self
    }

    /// Adds an array of strings.
    pub fn texts<'a>(mut self, key: &str, items: impl IntoIterator<Item = &'a str>) -> Object {
        self.key(key);
        self.0.push('[');
        for (n, item) in items.into_iter().enumerate() {
            if n > 0 {
                self.0.push(',');
            }
            push_string(&mut self.0, item);
        }
        self.0.push(']');
        self
    }

    /// Adds an object.
    pub fn object(mut self, key: &str, value: Object) -> Object {
        self.key(key);
        self.0.push_str(&value.finish());
        self
    }

    /// The text, without a line end.
    pub fn finish(mut self) -> String {
        if self.0.is_empty() {
            self.0.push('{');
        }
        self.0.push('}');
        self.0
    }
}

fn push_string(out: &mut String, value: &str) {
    out.push('"');
    for c in value.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') => {
                let _ = write!(out, "\\u{:04x}", u32::from(c)); // all of these are in the basic plane
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_one_line_of_json() {
        let inner = Object::new().text("a", "\u{e9}\"\\\n\u{85}");
        let text = Object::new().number("n", 7).maybe("x", None).array("l", [inner, Object::new()]).finish();
        assert_eq!(text, "{\"n\":7,\"l\":[{\"a\":\"\u{e9}\\\"\\\\\\u000a\\u0085\"},{}]}");
        assert_eq!(text.lines().count(), 1);
        let nested = Object::new().texts("t", ["a", "\""]).object("o", Object::new().number("x", 1)).finish();
        assert_eq!(nested, "{\"t\":[\"a\",\"\\\"\"],\"o\":{\"x\":1}}");
    }
}
