//! YARA rules: kept as text in the compiled file, made ready once a process by the crate `boreal` (feature `yara`).
//!
//! Why         a serialised scanner would be loaded unchecked; rules are few where signatures are many, and compiling a
//!             hundred takes milliseconds
//! Format      section 10: u32 length and text, one after the other; the first text is rule names to ignore, one a line
//! Failures    a file that does not compile is listed and left out; a program built without YARA says so for every object

/// Appends one text to a section.
pub fn put(section: &mut Vec<u8>, text: &str) {
    section.extend_from_slice(&(text.len() as u32).to_le_bytes());
    section.extend_from_slice(text.as_bytes());
}

/// What rules say about an object.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Rules that hold.
    pub rules: Vec<String>,
    /// Why that is not all there is to say.
    pub trouble: Option<&'static str>,
}

#[cfg(feature = "yara")]
mod with {
    use super::Answer;
    use crate::sig::store::Reader;
    use boreal::compiler::{CompilerBuilder, CompilerParams};
    use boreal::scanner::ScanParams;
    use boreal::{Compiler, Scanner};
    use std::collections::HashSet;
    use std::time::Duration;

    /// Time for one object.
    const TIME: Duration = Duration::from_secs(10);

    /// The texts of a section.
    fn texts(section: &[u8]) -> impl Iterator<Item = &str> {
        let mut reader = Reader(section);
        std::iter::from_fn(move || {
            let len = reader.u32()?;
            std::str::from_utf8(reader.take(len as usize)?).ok()
        })
    }

    fn compiler() -> Compiler {
        let mut compiler = CompilerBuilder::new().build();
        compiler.set_params(CompilerParams::default().disable_includes(true));
        compiler
    }

    /// How many rules a file holds; the first mistake when it does not compile.
    pub fn check(text: &str) -> Result<usize, String> {
        let mut compiler = compiler();
        match compiler.add_rules_str(text) {
            Ok(_) => Ok(compiler.finalize().rules().count()),
            Err(e) => Err(e.to_string().lines().next().unwrap_or_default().to_owned()),
        }
    }

    /// Rules ready for use.
    #[derive(Debug)]
    pub struct Rules {
        scanner: Scanner,
        ignored: HashSet<String>,
    }

    impl Rules {
        /// Compiles a section.
        pub fn open(section: &[u8]) -> Rules {
            let mut texts = texts(section);
            let ignored = texts.next().unwrap_or_default().lines().map(str::to_owned).collect();
            let mut compiler = compiler();
            for (n, text) in texts.enumerate() {
                // compiled when the file was made; rules of different files may share names
                let _ = compiler.add_rules_str_in_namespace(text, n.to_string());
            }
            let mut scanner = compiler.finalize();
            scanner.set_scan_params(ScanParams::default().timeout_duration(Some(TIME)));
            Rules { scanner, ignored }
        }

        /// Looks at one object.
        pub fn scan(&self, data: &[u8]) -> Answer {
            let (result, trouble) = match self.scanner.scan_mem(data) {
                Ok(result) => (result, None),
                Err((_, result)) => (result, Some("YARA rules that take too long")),
            };
            let names = result.rules.iter().map(|r| r.name.to_owned());
            Answer { rules: names.filter(|n| !self.ignored.contains(n)).collect(), trouble }
        }
    }
}

#[cfg(not(feature = "yara"))]
mod with {
    use super::Answer;

    /// Always a mistake.
    pub fn check(_text: &str) -> Result<usize, String> {
        Err("this program was built without YARA".into())
    }

    /// No rules.
    #[derive(Debug)]
    pub struct Rules;

    impl Rules {
        /// Nothing to compile with.
        pub fn open(_section: &[u8]) -> Rules {
            Rules
        }

        /// Never clean: the administrator wanted these rules looked at.
        pub fn scan(&self, _data: &[u8]) -> Answer {
            Answer { rules: Vec::new(), trouble: Some("YARA rules, which this program was built without") }
        }
    }
}

pub use with::{Rules, check};

#[cfg(all(test, feature = "yara"))]
mod tests {
    use super::*;

    const RULES: &str = "rule hello { strings: $a = \"hello\" nocase condition: $a }\nprivate rule p { condition: true }\n\
        rule large { condition: filesize > 100 and p }\nrule unwanted { condition: true }";

    #[test]
    fn rules_hold_or_not() {
        assert_eq!(check(RULES), Ok(4));
        assert!(check("rule x { condition: $a }").is_err());
        assert!(check("include \"/etc/passwd\"").is_err());
        let mut section = Vec::new();
        put(&mut section, "unwanted\n");
        put(&mut section, RULES);
        put(&mut section, "rule hello { condition: false }");
        let rules = Rules::open(&section);
        assert_eq!(rules.scan(b"say Hello").rules, ["hello"]);
        assert_eq!(rules.scan(&[b'x'; 101]).rules, ["large"]);
        assert_eq!(rules.scan(b"x"), Answer::default());
        for n in 0..section.len() {
            Rules::open(&section[..n]).scan(b"hello");
        }
    }
}
