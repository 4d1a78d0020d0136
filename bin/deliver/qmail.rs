//! `.qmail` files: dot-qmail(5).
//!
//! Format      lines: `#` remark; `|command`; `/path` or `./path` mbox, with a `/` at the end Maildir; `&address` or an address; `+list`
//! Names       `.qmail`, `.qmail-ext`, then `-default` with the extension shortened at each `-`; `.` in the extension becomes `:`, letters lower case
//! Invariants  no extension can name a file outside the home: `/` and NUL are refused, `.` is replaced

use std::path::{Path, PathBuf};

use crate::forward::Step;

/// What a file says.
#[derive(Debug, PartialEq, Eq)]
pub struct Instructions {
    pub steps: Vec<Step>,
    /// `+list` or the x bit: only forwards count.
    pub forward_only: bool,
}

/// Reads instructions; an empty file means the default delivery.
///
/// # Errors
/// A line that is nothing of this: dot-qmail(5) defers.
pub fn parse(text: &str, executable: bool) -> Result<Instructions, String> {
    let mut steps = Vec::new();
    let mut forward_only = executable;
    for (number, line) in text.lines().enumerate() {
        let line = line.trim_end();
        if line.is_empty() && number == 0 && text.len() > 1 {
            return Err("the first line is blank".into());
        }
        match line.chars().next() {
            None | Some('#') => {}
            Some('|') => steps.push(Step::Program(line.get(1..).unwrap_or_default().trim().to_owned())),
            Some('/' | '.') if line.ends_with('/') => steps.push(Step::Maildir(line.to_owned())),
            Some('/' | '.') => steps.push(Step::Mbox(line.to_owned())),
            Some('+') if line == "+list" => forward_only = true,
            Some('+') => {}
            Some('&') => steps.push(address(line.get(1..).unwrap_or_default())?),
            Some(_) => steps.push(address(line)?),
        }
    }
    if steps.is_empty() && !forward_only {
        steps.push(Step::Own);
    }
    if forward_only && steps.iter().any(|s| !matches!(s, Step::Address(_))) {
        return Err("a forward-only file holds other instructions".into());
    }
    Ok(Instructions { steps, forward_only })
}

fn address(text: &str) -> Result<Step, String> {
    let text = text.trim();
    let text = text.strip_prefix('<').and_then(|t| t.strip_suffix('>')).unwrap_or(text);
    let mailbox = penny_sieve::Mailbox::parse(text).map(|m| m.to_string());
    let local = (!text.contains(|c: char| c.is_whitespace() || c == '@')).then(|| text.to_owned());
    mailbox.or(local).map(Step::Address).ok_or_else(|| format!("not an address: {text}"))
}

/// Files to look for, the best first, each with its $DEFAULT (`None` for an exact one).
pub fn candidates(home: &Path, extension: Option<&str>) -> Vec<(PathBuf, Option<String>)> {
    let Some(ext) = extension else { return vec![(home.join(".qmail"), None)] };
    let ext = ext.to_lowercase();
    if ext.contains(['/', '\0']) || ext.len() > 200 {
        return Vec::new();
    }
    let safe = ext.replace('.', ":");
    let mut out = vec![(home.join(format!(".qmail-{safe}")), None)];
    let mut prefix = safe.as_str();
    loop {
        let at = prefix.rfind('-').map_or(0, |at| at + 1);
        let (head, _) = prefix.split_at(at);
        out.push((home.join(format!(".qmail-{head}default")), Some(ext.get(at..).unwrap_or_default().to_owned())));
        match head.strip_suffix('-') {
            Some(shorter) => prefix = shorter,
            None => return out,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(ext: Option<&str>) -> Vec<String> {
        candidates(Path::new("/h"), ext).iter().map(|(p, _)| p.display().to_string()).collect()
    }

    #[test]
    fn file_names() {
        assert_eq!(names(None), ["/h/.qmail"]);
        assert_eq!(names(Some("a-b")), ["/h/.qmail-a-b", "/h/.qmail-a-default", "/h/.qmail-default"]);
        assert_eq!(names(Some("X.y")), ["/h/.qmail-x:y", "/h/.qmail-default"]);
        let defaults: Vec<_> = candidates(Path::new("/h"), Some("a-b-c")).into_iter().map(|(_, d)| d).collect();
        assert_eq!(defaults, [None, Some("c".into()), Some("b-c".into()), Some("a-b-c".into())]);
    }

    #[test]
    fn no_traversal() {
        assert_eq!(names(Some("../../etc/x")), Vec::<String>::new());
        assert_eq!(names(Some("..")), ["/h/.qmail-::", "/h/.qmail-default"]);
        assert_eq!(names(Some(&"x".repeat(300))), Vec::<String>::new());
    }

    #[test]
    fn lines() {
        let file = "# x\n./Mail/\n/var/mbox\n|prog a\n&a@b.example\nc@d.example\n<e@f.example>\n";
        let steps = parse(file, false).map(|i| i.steps);
        assert_eq!(
            steps,
            Ok(vec![
                Step::Maildir("./Mail/".into()),
                Step::Mbox("/var/mbox".into()),
                Step::Program("prog a".into()),
                Step::Address("a@b.example".into()),
                Step::Address("c@d.example".into()),
                Step::Address("e@f.example".into()),
            ])
        );
        assert_eq!(parse("", false).map(|i| i.steps), Ok(vec![Step::Own]));
        assert_eq!(parse("# only a remark\n", false).map(|i| i.steps), Ok(vec![Step::Own]));
        assert!(parse("\n./x/\n", false).is_err());
        assert!(parse("+list\n./x/\n", false).is_err());
        assert!(parse("./x/\n", true).is_err());
    }
}
