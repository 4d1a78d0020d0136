//! Container rules (.cdb): names, sizes and encryption of members inside archives and mail.
//!
//! Format      name:container type:container size:name regex:size inside:real size:encrypted:position:reserved:reserved
//!             [:min level[:max level]]; `*` is anything, `a-b` a range
//! Subset      container types ZIP RAR ARJ CAB 7Z TAR CPIO_* MAIL ISO and `*`; the regex is POSIX-like, matched on the
//!             name as UTF-8; `Res1` and `Res2` must be `*` or empty
//! Trust       names are hostile; the regex engine is linear

use super::lines::OTHER_LEVEL;
use regex_lite::Regex;

/// A member as a rule sees it.
#[derive(Clone, Copy, Debug)]
pub struct Member<'a> {
    /// `ZIP`, `RAR`, `MAIL` and so on.
    pub container: &'a str,
    /// Size of the container.
    pub container_size: u64,
    /// The member's name.
    pub name: &'a str,
    /// Size as stored.
    pub packed: Option<u64>,
    /// Size unpacked.
    pub size: Option<u64>,
    /// Encrypted.
    pub encrypted: bool,
    /// Number within the container, from 1.
    pub position: u64,
}

/// A compiled rule.
pub struct Rule {
    /// Signature name.
    pub name: String,
    container: String,
    container_size: Option<(u64, u64)>,
    file_name: Option<Regex>,
    packed: Option<(u64, u64)>,
    size: Option<(u64, u64)>,
    encrypted: Option<bool>,
    position: Option<(u64, u64)>,
}

/// Whether a line is a rule we can apply.
pub fn check(line: &str) -> Result<(), &'static str> {
    parse(line).map(|_| ())
}

/// All rules of the stored section.
pub fn rules(section: &[u8]) -> Vec<Rule> {
    String::from_utf8_lossy(section).lines().filter_map(|l| parse(l).ok()).collect()
}

fn parse(line: &str) -> Result<Rule, &'static str> {
    let f = fields(line);
    let f: Vec<&str> = f.iter().map(String::as_str).collect();
    let [name, kind, csize, regex, packed, size, encrypted, position, res1, res2, rest @ ..] = f.as_slice() else {
        return Err("too few fields");
    };
    if rest.first().is_some_and(|l| l.parse::<u32>().is_ok_and(|l| l > 213)) {
        return Err(OTHER_LEVEL);
    }
    if !matches!(*res1, "" | "*") || !matches!(*res2, "" | "*") {
        return Err("reserved fields of a container rule are not supported");
    }
    let container = kind.strip_prefix("CL_TYPE_").unwrap_or(kind).to_owned();
    if !matches!(container.as_str(), "*" | "ANY" | "ZIP" | "RAR" | "ARJ" | "CAB" | "MSCAB" | "7Z" | "MAIL" | "ISO9660")
        && !container.starts_with("CPIO")
        && !container.contains("TAR")
    {
        return Err("a container type that is not supported");
    }
    let file_name = match *regex {
        "" | "*" => None,
        text => Some(Regex::new(text).map_err(|_| "the name is not a regular expression we know")?),
    };
    Ok(Rule {
        name: (*name).to_owned(),
        container,
        container_size: range(csize)?,
        file_name,
        packed: range(packed)?,
        size: range(size)?,
        encrypted: match *encrypted {
            "" | "*" => None,
            "0" => Some(false),
            "1" => Some(true),
            _ => return Err("bad encryption field"),
        },
        position: range(position)?,
    })
}

/// Splits at colons that are not escaped by a backslash.
fn fields(line: &str) -> Vec<String> {
    let mut out = vec![String::new()];
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            ':' => out.push(String::new()),
            '\\' => {
                let next = chars.next();
                if let Some(last) = out.last_mut() {
                    if next != Some(':') {
                        last.push('\\');
                    }
                    last.extend(next);
                }
            }
            _ => out.iter_mut().last().into_iter().for_each(|l| l.push(c)),
        }
    }
    out
}

fn range(text: &str) -> Result<Option<(u64, u64)>, &'static str> {
    if matches!(text, "" | "*") {
        return Ok(None);
    }
    let (low, high) = text.split_once('-').unwrap_or((text, text));
    let read = |t: &str, other| if t.is_empty() { Ok(other) } else { t.parse().map_err(|_| "bad range") };
    Ok(Some((read(low, 0)?, read(high, u64::MAX)?)))
}

impl Rule {
    /// Whether the rule applies to a member.
    pub fn matches(&self, m: &Member<'_>) -> bool {
        let kind = matches!(self.container.as_str(), "*" | "ANY")
            || self.container == m.container
            || (self.container.contains("TAR") && m.container == "TAR")
            || (self.container.starts_with("CPIO") && m.container == "CPIO")
            || (self.container == "MSCAB" && m.container == "CAB");
        kind && within(self.container_size, Some(m.container_size))
            && within(self.packed, m.packed)
            && within(self.size, m.size)
            && within(self.position, Some(m.position))
            && self.encrypted.is_none_or(|e| e == m.encrypted)
            && self.file_name.as_ref().is_none_or(|r| r.is_match(m.name))
    }
}

fn within(range: Option<(u64, u64)>, value: Option<u64>) -> bool {
    range.is_none_or(|(low, high)| value.is_some_and(|v| (low..=high).contains(&v)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_match_members() {
        let rule = parse(r"Bad.Exe-in-Zip:CL_TYPE_ZIP:*:\.exe$:*:1-100:*:1:*:*").unwrap();
        let m = Member {
            container: "ZIP",
            container_size: 10,
            name: "a.exe",
            packed: None,
            size: Some(100),
            encrypted: false,
            position: 1,
        };
        assert!(rule.matches(&m));
        assert!(!rule.matches(&Member { name: "a.exe.txt", ..m }));
        assert!(!rule.matches(&Member { size: Some(101), ..m }));
        assert!(!rule.matches(&Member { container: "RAR", ..m }));
        assert!(!rule.matches(&Member { position: 2, ..m }));
    }

    #[test]
    fn broken_rules() {
        for bad in ["x", "n:CL_TYPE_ZIP:*:(:*:*:*:*:*:*", "n:CL_TYPE_EGG:*:*:*:*:*:*:*:*", "n:*:a:*:*:*:*:*:*:*"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
