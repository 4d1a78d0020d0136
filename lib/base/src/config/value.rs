//! Types of configuration values: how each is read from TOML, shown as TOML, and what is a mistake.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// A value as TOML has it, before its key's type is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Raw {
    /// A string.
    Text(String),
    /// An integer.
    Int(i64),
    /// A number with a fraction, as it is written.
    Float(String),
    /// A boolean.
    Bool(bool),
    /// An array of strings or integers.
    List(Vec<String>),
}

/// A type a key can have.
pub trait Setting: Sized + Clone {
    /// Reads the value; the error says what was expected.
    fn read(raw: &Raw) -> Result<Self, String>;
    /// The value in its raw form.
    fn raw(&self) -> Raw;
}

/// A TOML string.
pub fn quote(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            c if (c as u32) < 32 || c as u32 == 127 => out.push_str(&format!("\\u{:04X}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

impl Raw {
    /// Shows the value as TOML.
    pub fn show(&self) -> String {
        match self {
            Raw::Text(t) => quote(t),
            Raw::Int(n) => n.to_string(),
            Raw::Float(f) => f.clone(),
            Raw::Bool(b) => b.to_string(),
            Raw::List(l) => format!("[{}]", l.iter().map(|s| quote(s)).collect::<Vec<_>>().join(", ")),
        }
    }

    fn text(&self) -> Result<&str, String> {
        match self {
            Raw::Text(t) => Ok(t),
            _ => Err("expected a string".into()),
        }
    }
}

impl Setting for String {
    fn read(raw: &Raw) -> Result<String, String> {
        raw.text().map(str::to_string)
    }
    fn raw(&self) -> Raw {
        Raw::Text(self.clone())
    }
}

impl Setting for PathBuf {
    fn read(raw: &Raw) -> Result<PathBuf, String> {
        raw.text().map(PathBuf::from)
    }
    fn raw(&self) -> Raw {
        Raw::Text(self.to_string_lossy().into_owned())
    }
}

impl Setting for bool {
    fn read(raw: &Raw) -> Result<bool, String> {
        match raw {
            Raw::Bool(b) => Ok(*b),
            _ => Err("expected true or false".into()),
        }
    }
    fn raw(&self) -> Raw {
        Raw::Bool(*self)
    }
}

impl Setting for u32 {
    fn read(raw: &Raw) -> Result<u32, String> {
        match raw {
            Raw::Int(n) => u32::try_from(*n).map_err(|_| "expected a number from 0 to 4294967295".into()),
            _ => Err("expected a number".into()),
        }
    }
    fn raw(&self) -> Raw {
        Raw::Int(i64::from(*self))
    }
}

impl Setting for Vec<String> {
    fn read(raw: &Raw) -> Result<Vec<String>, String> {
        match raw {
            Raw::List(l) => Ok(l.clone()),
            _ => Err("expected an array of strings".into()),
        }
    }
    fn raw(&self) -> Raw {
        Raw::List(self.clone())
    }
}

/// Numbers, bare or as strings.
impl Setting for Vec<u32> {
    fn read(raw: &Raw) -> Result<Vec<u32>, String> {
        let wrong = || "expected an array of numbers".to_string();
        match raw {
            Raw::List(l) => l.iter().map(|n| n.parse().map_err(|_| wrong())).collect(),
            _ => Err(wrong()),
        }
    }
    fn raw(&self) -> Raw {
        Raw::List(self.iter().map(u32::to_string).collect())
    }
}

/// Reads a number with a unit, or a bare number.
fn with_unit(raw: &Raw, units: &[(&str, u64)], expected: &str) -> Result<u64, String> {
    let wrong = || format!("expected {expected}");
    let text = match raw {
        Raw::Int(n) => return u64::try_from(*n).map_err(|_| wrong()),
        other => other.text().map_err(|_| wrong())?,
    };
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = units.iter().find(|u| u.0 == &text[digits.len()..]).ok_or_else(wrong)?;
    let n: u64 = digits.parse().map_err(|_| wrong())?;
    n.checked_mul(unit.1).ok_or_else(wrong)
}

/// Shows a number with the largest unit that divides it.
fn show_unit(value: u64, units: &[(&str, u64)]) -> Raw {
    let unit = units.iter().find(|u| value > 0 && value.is_multiple_of(u.1)).or(units.last());
    match unit {
        Some((name, size)) if !name.is_empty() => Raw::Text(format!("{}{name}", value / size)),
        _ => Raw::Int(value as i64),
    }
}

/// A number of octets: `50MiB`, `512KiB`, `1GiB`, or a bare number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

const SIZES: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("", 1)];

impl Setting for Size {
    fn read(raw: &Raw) -> Result<Size, String> {
        with_unit(raw, &SIZES, "a size such as 50MiB, 512KiB or a number of octets").map(Size)
    }
    fn raw(&self) -> Raw {
        show_unit(self.0, &SIZES)
    }
}

/// A time span: `90s`, `5m`, `4h`, `5d`, or a bare number of seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seconds(pub u64);

const SPANS: [(&str, u64); 4] = [("d", 86400), ("h", 3600), ("m", 60), ("s", 1)];

impl Seconds {
    /// As a [`Duration`].
    pub fn duration(self) -> Duration {
        Duration::from_secs(self.0)
    }
}

impl Setting for Seconds {
    fn read(raw: &Raw) -> Result<Seconds, String> {
        with_unit(raw, &SPANS, "a time such as 90s, 5m, 4h, 5d or a number of seconds").map(Seconds)
    }
    fn raw(&self) -> Raw {
        show_unit(self.0, &SPANS)
    }
}

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}s", self.0)
    }
}

/// A chance: `0.95` or `"0.95"`.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Chance(pub f64);

impl Setting for Chance {
    fn read(raw: &Raw) -> Result<Chance, String> {
        let text = if let Raw::Float(f) = raw { Some(f.as_str()) } else { raw.text().ok() };
        let chance = text.and_then(|t| t.parse().ok()).filter(|p| (0.0..=1.0).contains(p));
        chance.map(Chance).ok_or_else(|| "expected a number from 0 to 1, such as 0.95".into())
    }
    fn raw(&self) -> Raw {
        Raw::Text(self.0.to_string())
    }
}

/// One word of a fixed list; the list is part of the type.
#[macro_export]
macro_rules! choice {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $($(#[$vmeta])* $variant),+ }
        impl $crate::config::value::Setting for $name {
            fn read(raw: &$crate::config::value::Raw) -> Result<$name, String> {
                let word = match raw { $crate::config::value::Raw::Text(t) => t.as_str(), _ => "" };
                match word {
                    $($word => Ok($name::$variant),)+
                    _ => Err(format!("expected one of {}", [$($word),+].join(", "))),
                }
            }
            fn raw(&self) -> $crate::config::value::Raw {
                let word = match self { $($name::$variant => $word),+ };
                $crate::config::value::Raw::Text(word.to_string())
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(t: &str) -> Result<Size, String> {
        Size::read(&Raw::Text(t.into()))
    }

    #[test]
    fn sizes() {
        assert_eq!(size("50MiB").unwrap(), Size(50 << 20));
        assert_eq!(Size(50 << 20).raw().show(), "\"50MiB\"");
        assert_eq!(Size::read(&Raw::Int(7)).unwrap().raw().show(), "7");
        assert!(size("50MB").is_err() && size("MiB").is_err() && size("99999999999999GiB").is_err());
    }

    #[test]
    fn chances() {
        assert_eq!(Chance::read(&Raw::Text("0.95".into())).unwrap().raw().show(), "\"0.95\"");
        for bad in ["1.5", "-0.1", "NaN", "x", ""] {
            assert!(Chance::read(&Raw::Text(bad.into())).is_err(), "{bad}");
        }
        assert!(Chance::read(&Raw::Int(1)).is_err());
    }

    #[test]
    fn times() {
        assert_eq!(Seconds::read(&Raw::Text("5d".into())).unwrap(), Seconds(432_000));
        assert_eq!(Seconds(90).raw().show(), "\"90s\"");
        assert_eq!(Seconds(300).raw().show(), "\"5m\"");
        assert!(Seconds::read(&Raw::Text("5w".into())).is_err());
    }
}
