//! The table of keys: which author domain is signed with what.
//!
//! Format      `DOMAIN SELECTOR KEYFILE [d=DOMAIN] [c=H/B] [h=A:B:C] [x=SECONDS]`, `#` comments. DOMAIN is a name, `.name`
//!             for all below it, or `*`. All lines of the best kind (exact, then longest suffix, then `*`) sign
//! Trust       the administrator's; every mistake is shown with its line

use penny_base::Failure;
use penny_dns::Name;
use std::path::{Path, PathBuf};

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pattern: Pattern,
    /// `s=`
    pub selector: String,
    /// Where the private key is.
    pub key: PathBuf,
    /// `d=`; the author's domain when not given.
    pub domain: Option<String>,
    /// `c=`
    pub canon: Option<String>,
    /// `h=`
    pub headers: Option<Vec<String>>,
    /// Life of a signature in seconds.
    pub lifetime: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Pattern {
    Exact(Name),
    Below(Name),
    Any,
}

impl Pattern {
    fn parse(text: &str) -> Option<Self> {
        match (text, text.strip_prefix('.')) {
            ("*", _) => Some(Self::Any),
            (_, Some(rest)) => Name::parse(rest).ok().map(Self::Below),
            _ => Name::parse(text).ok().map(Self::Exact),
        }
    }

    /// How well a domain fits; 0 is not at all.
    fn rank(&self, domain: &Name) -> usize {
        match self {
            Self::Any => 1,
            Self::Below(name) if domain != name && domain.is_within(name) => 2 + name.label_count(),
            Self::Exact(name) if domain == name => usize::MAX,
            _ => 0,
        }
    }
}

impl Line {
    /// The signing domain for an author; `None` for a line of `*` without d= and no author.
    pub fn signing_domain(&self, author: &Name) -> String {
        self.domain.clone().unwrap_or_else(|| author.to_string())
    }

    /// The domain whose record goes with the key, where the line names one.
    pub fn own_domain(&self) -> Option<String> {
        match (&self.domain, &self.pattern) {
            (Some(domain), _) => Some(domain.clone()),
            (None, Pattern::Exact(name)) => Some(name.to_string()),
            _ => None,
        }
    }
}

/// Reads a table.
pub fn load(path: &Path) -> Result<Vec<Line>, Failure> {
    let text = std::fs::read_to_string(path).map_err(|e| Failure::io(path.display(), &e))?;
    parse(&text, path)
}

fn parse(text: &str, path: &Path) -> Result<Vec<Line>, Failure> {
    let mut lines = Vec::new();
    let mut mistakes = Vec::new();
    for (i, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        match one(line) {
            Ok(parsed) => lines.push(parsed),
            Err(why) => mistakes.push(format!("{}:{}: {why}", path.display(), i + 1)),
        }
    }
    if mistakes.is_empty() { Ok(lines) } else { Err(Failure::config(mistakes.join("; "))) }
}

fn one(line: &str) -> Result<Line, String> {
    let mut words = line.split_whitespace();
    let (Some(pattern), Some(selector), Some(key)) = (words.next(), words.next(), words.next()) else {
        return Err("expected DOMAIN SELECTOR KEYFILE".into());
    };
    let pattern = Pattern::parse(pattern).ok_or_else(|| format!("{pattern}: not a domain"))?;
    let mut parsed = Line {
        pattern,
        selector: selector.to_owned(),
        key: key.into(),
        domain: None,
        canon: None,
        headers: None,
        lifetime: None,
    };
    for word in words {
        match word.split_once('=') {
            Some(("d", v)) if Name::parse(v).is_ok() => parsed.domain = Some(v.to_owned()),
            Some(("c", v)) => parsed.canon = Some(v.to_owned()),
            Some(("h", v)) => parsed.headers = Some(v.split(':').map(str::to_owned).collect()),
            Some(("x", v)) => parsed.lifetime = Some(v.parse().map_err(|_| format!("{word}: not a number"))?),
            _ => return Err(format!("{word}: unknown")),
        }
    }
    Ok(parsed)
}

/// The lines that sign for an author.
pub fn select<'a>(lines: &'a [Line], author: &Name) -> Vec<&'a Line> {
    let best = lines.iter().map(|l| l.pattern.rank(author)).max().unwrap_or(0);
    lines.iter().filter(|l| best > 0 && l.pattern.rank(author) == best).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> Result<Vec<Line>, Failure> {
        parse(text, Path::new("dkim"))
    }

    #[test]
    fn the_best_kind_of_line_signs() {
        let text = "# keys\nexample.org a /k/a\nexample.org b /k/b x=5 # two\n.example.org c /k/c d=example.org\n\
                    .sub.example.org e /k/e\n* any /k/any d=host.example\n";
        let lines = table(text).unwrap();
        let of = |d: &str| {
            let found = select(&lines, &Name::parse(d).unwrap());
            found.iter().map(|l| l.selector.clone()).collect::<Vec<_>>().join(",")
        };
        assert_eq!(of("example.org"), "a,b");
        assert_eq!(of("x.example.org"), "c");
        assert_eq!(of("y.sub.example.org"), "e");
        assert_eq!(of("other.example"), "any");
        assert_eq!(lines[1].lifetime, Some(5));
        let author = Name::parse("x.example.org").unwrap();
        assert_eq!(lines[2].signing_domain(&author), "example.org");
        assert_eq!(lines[0].signing_domain(&author), "x.example.org");
    }

    #[test]
    fn all_mistakes_at_once() {
        let text = table("a..b s k\nexample.org s\nexample.org s k z=1\nexample.org s k x=y\n").unwrap_err().text;
        for n in 1..=4 {
            assert!(text.contains(&format!("dkim:{n}: ")), "{text}");
        }
    }
}
