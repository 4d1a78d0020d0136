//! Logical signatures: the attributes and the expression over counts of sub-patterns.
//!
//! Standards   ClamAV signature manual, "Logical signatures": `A`, `A=n`, `A=n,m`, `A>n`, `A<n`, `(A|B)>n,m`, `&`, `|`
//! Format      u8 sub-patterns, u8 attributes, then u8 kind, u64 low, u64 high each; u16 length, expression text
//! Invariants  evaluation is bounded by the text (at most 16 KiB, 32 levels)

use super::place::Target;
use super::store::Reader;

/// An attribute that narrows a logical signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attribute {
    /// Size of the object.
    FileSize(u64, u64),
    /// Entry point offset.
    EntryPoint(u64, u64),
    /// Sections of the executable.
    Sections(u64, u64),
}

/// A logical signature without its patterns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logic {
    /// Kind of object.
    pub target: Target,
    /// Number of sub-patterns.
    pub subs: u8,
    /// Narrowing attributes.
    pub attributes: Vec<Attribute>,
    /// The expression.
    pub expression: String,
}

/// What an expression sees of one sub-pattern: how often it matched.
pub type Counts = [u32];

const DEPTH: usize = 32;

impl Logic {
    /// Appends the stored form.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[self.subs, self.attributes.len() as u8]);
        for a in &self.attributes {
            let (kind, low, high) = match *a {
                Attribute::FileSize(a, b) => (0u8, a, b),
                Attribute::EntryPoint(a, b) => (1, a, b),
                Attribute::Sections(a, b) => (2, a, b),
            };
            out.push(kind);
            out.extend_from_slice(&low.to_le_bytes());
            out.extend_from_slice(&high.to_le_bytes());
        }
        out.extend_from_slice(&(self.expression.len() as u16).to_le_bytes());
        out.extend_from_slice(self.expression.as_bytes());
    }

    /// Reads the stored form at the start of `data`.
    pub fn read(data: &[u8], target: Target) -> Option<Logic> {
        let mut r = Reader(data);
        let (subs, count) = (r.u8()?, r.u8()?);
        let mut attributes = Vec::new();
        for _ in 0..count {
            let (kind, low, high) = (r.u8()?, r.u64()?, r.u64()?);
            attributes.push(match kind {
                0 => Attribute::FileSize(low, high),
                1 => Attribute::EntryPoint(low, high),
                _ => Attribute::Sections(low, high),
            });
        }
        let len = usize::from(r.u16()?);
        let expression = std::str::from_utf8(r.take(len)?).ok()?.to_owned();
        Some(Logic { target, subs, attributes, expression })
    }

    /// Whether the expression holds for these counts; `None` when it cannot be parsed.
    pub fn eval(&self, counts: &Counts) -> Option<bool> {
        let mut e = Eval { text: self.expression.as_bytes(), at: 0, counts };
        let value = e.or(0)?;
        (e.at == e.text.len()).then_some(value.truth)
    }
}

/// Value of a part: its truth, the sum of the matches and the number of different sub-patterns that matched.
#[derive(Clone, Copy)]
struct Value {
    truth: bool,
    sum: u64,
    different: u64,
}

struct Eval<'a> {
    text: &'a [u8],
    at: usize,
    counts: &'a Counts,
}

impl Eval<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn or(&mut self, depth: usize) -> Option<Value> {
        let mut left = self.and(depth)?;
        while self.peek() == Some(b'|') {
            self.at += 1;
            let right = self.and(depth)?;
            left = join(left, right, left.truth | right.truth);
        }
        Some(left)
    }

    fn and(&mut self, depth: usize) -> Option<Value> {
        let mut left = self.atom(depth)?;
        while self.peek() == Some(b'&') {
            self.at += 1;
            let right = self.atom(depth)?;
            left = join(left, right, left.truth & right.truth);
        }
        Some(left)
    }

    fn atom(&mut self, depth: usize) -> Option<Value> {
        if depth > DEPTH {
            return None;
        }
        let value = if self.peek()? == b'(' {
            self.at += 1;
            let inner = self.or(depth + 1)?;
            (self.peek()? == b')').then_some(())?;
            self.at += 1;
            inner
        } else {
            let n = u64::from(*self.counts.get(usize::try_from(self.number()?).ok()?)?);
            Value { truth: n > 0, sum: n, different: u64::from(n > 0) }
        };
        self.modifier(value)
    }

    fn modifier(&mut self, value: Value) -> Option<Value> {
        let operator = match self.peek() {
            Some(c @ (b'=' | b'>' | b'<')) => c,
            _ => return Some(value),
        };
        self.at += 1;
        let first = self.number()?;
        let second = if self.peek() == Some(b',') {
            self.at += 1;
            Some(self.number()?)
        } else {
            None
        };
        let compared = match operator {
            b'=' => value.sum == first,
            b'>' => value.sum > first,
            _ => value.sum < first,
        };
        let truth = compared && second.is_none_or(|m| value.different >= m);
        Some(Value { truth, ..value })
    }

    fn number(&mut self) -> Option<u64> {
        let start = self.at;
        while self.peek().is_some_and(|c| c.is_ascii_digit()) {
            self.at += 1;
        }
        std::str::from_utf8(self.text.get(start..self.at)?).ok()?.parse().ok()
    }
}

fn join(a: Value, b: Value, truth: bool) -> Value {
    Value { truth, sum: a.sum.saturating_add(b.sum), different: a.different + b.different }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn eval(text: &str, counts: &[u32]) -> Option<bool> {
        Logic { target: Target::ANY, subs: 0, attributes: vec![], expression: text.into() }.eval(counts)
    }

    #[test]
    fn expressions() {
        for (text, counts, want) in [
            ("0", &[1u32][..], Some(true)),
            ("0&1", &[1, 0], Some(false)),
            ("0&(1|2)", &[1, 0, 3], Some(true)),
            ("0=0", &[0], Some(true)),
            ("0>2", &[2], Some(false)),
            ("(0|1|2)>2,2", &[3, 0, 0], Some(false)),
            ("(0|1|2)>2,2", &[2, 1, 0], Some(true)),
            ("0=1,1&1<2", &[1, 1], Some(true)),
            ("0&", &[1], None),
            ("7", &[1], None),
            ("(0", &[1], None),
        ] {
            assert_eq!(eval(text, counts), want, "{text} {counts:?}");
        }
        assert_eq!(eval(&"(".repeat(5000), &[1]), None, "depth is bounded");
    }

    #[test]
    fn stored_form() {
        let l = Logic {
            target: Target::PE,
            subs: 2,
            attributes: vec![Attribute::FileSize(5, 10), Attribute::Sections(1, 2)],
            expression: "0&1".into(),
        };
        let mut stored = Vec::new();
        l.write(&mut stored);
        assert_eq!(Logic::read(&stored, Target::PE), Some(l));
    }
}
