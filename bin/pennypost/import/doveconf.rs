//! dovecot.conf, or what `doveconf -n` prints, as a tree.
//!
//! Format      `name = value`, `name [title] {` ... `}`, `!include glob`, `!include_try glob`, `#` comments behind white
//!             space, `"quoted"` values, `\` at the end of a line. Versions 2.3 and 2.4 differ in names, not in this.

use std::path::{Path, PathBuf};

/// A section; the file itself is one without a name.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Section {
    /// Its kind: `passdb`, `service`.
    pub name: String,
    /// Its title: `imap-login`.
    pub title: String,
    /// Settings in their order.
    pub settings: Vec<(String, String)>,
    /// Sections inside.
    pub sections: Vec<Section>,
}

/// Files inside files.
const DEPTH_MAX: usize = 8;

impl Section {
    /// The last value of a setting.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.settings.iter().rev().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// The sections of a kind.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Section> {
        self.sections.iter().filter(move |s| s.name == name)
    }
}

/// Whether a text is a configuration; else it is a passwd-file.
pub fn is_conf(text: &str) -> bool {
    let plain = text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#'));
    plain.take(50).any(|l| l.starts_with("!include") || l.ends_with('{') || l.contains(" = "))
}

/// Reads a file and what it includes; `wrong` is told what cannot be read.
pub fn read(path: &Path, text: &str, wrong: &mut Vec<String>) -> Section {
    let mut open = vec![Section::default()];
    lines(path, text, &mut open, wrong, 0);
    while let Some(last) = open.pop() {
        match open.last_mut() {
            Some(parent) => parent.sections.push(last),
            None => return last,
        }
    }
    Section::default()
}

fn lines(path: &Path, text: &str, open: &mut Vec<Section>, wrong: &mut Vec<String>, depth: usize) {
    let text = text.replace("\\\n", " ");
    for line in text.lines().map(|l| uncommented(l).trim()).filter(|l| !l.is_empty()) {
        if line == "}" {
            if let (true, Some(last)) = (open.len() > 1, open.pop())
                && let Some(parent) = open.last_mut()
            {
                parent.sections.push(last);
            }
        } else if let Some(rest) = line.strip_prefix("!include") {
            let glob = rest.trim_start_matches("_try").trim();
            include(path, glob, rest.starts_with("_try"), open, wrong, depth);
        } else if let Some(head) = line.strip_suffix('{') {
            let (name, title) = head.trim().split_once(char::is_whitespace).unwrap_or((head.trim(), ""));
            open.push(Section { name: name.into(), title: bare(title), ..Section::default() });
        } else if let (Some((name, value)), Some(section)) = (line.split_once('='), open.last_mut()) {
            section.settings.push((name.trim().into(), bare(value)));
        } else {
            wrong.push(format!("{}: {line}", path.display()));
        }
    }
}

fn include(path: &Path, glob: &str, may_fail: bool, open: &mut Vec<Section>, wrong: &mut Vec<String>, depth: usize) {
    let pattern = path.parent().unwrap_or(Path::new("/")).join(glob);
    let files = matching(&pattern);
    if files.is_empty() && !may_fail && !glob.contains('*') {
        wrong.push(format!("!include {}", pattern.display()));
    }
    for file in files.into_iter().filter(|_| depth < DEPTH_MAX) {
        match std::fs::read_to_string(&file) {
            Ok(text) => lines(&file, &text, open, wrong, depth + 1),
            Err(e) => wrong.push(format!("!include {}: {e}", file.display())),
        }
    }
}

/// Files whose last part fits a pattern with one `*` at most; the manual has no others.
fn matching(pattern: &Path) -> Vec<PathBuf> {
    let last = pattern.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let Some((head, tail)) = last.split_once('*') else {
        return if pattern.is_file() { vec![pattern.to_path_buf()] } else { Vec::new() };
    };
    let dir = pattern.parent().unwrap_or(Path::new("/"));
    let fits = |p: &PathBuf| {
        let name = p.file_name().unwrap_or_default().to_string_lossy();
        !name.starts_with('.')
            && name.len() >= head.len() + tail.len()
            && name.starts_with(head)
            && name.ends_with(tail)
    };
    let mut files: Vec<PathBuf> =
        dir.read_dir().into_iter().flatten().flatten().map(|e| e.path()).filter(fits).collect();
    files.sort();
    files
}

/// Without a comment; `#` inside quotes or inside a word is none.
fn uncommented(line: &str) -> &str {
    let (mut quoted, mut before) = (false, ' ');
    for (at, c) in line.char_indices() {
        match c {
            '"' if before != '\\' => quoted = !quoted,
            '#' if !quoted && before.is_whitespace() => return line.get(..at).unwrap_or(line),
            _ => {}
        }
        before = c;
    }
    line
}

fn bare(value: &str) -> String {
    let value = value.trim();
    match value.strip_prefix('"').and_then(|v| v.strip_suffix('"')) {
        Some(inside) => inside.replace("\\\"", "\"").replace("\\\\", "\\").trim().to_string(),
        None => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_of_sections() {
        let text = "# 2.3.19\nprotocols = \" imap sieve\" # both\nnamespace inbox {\n  mailbox \"Sent Messages\" {\n    \
                    special_use = \\Sent\n  }\n  prefix =\n}\nssl_cert = </a#b.pem\nplugin {\n  x = a \\\n  b\n}\nodd\n";
        let mut wrong = Vec::new();
        let top = read(Path::new("/x/dovecot.conf"), text, &mut wrong);
        assert_eq!(top.get("protocols"), Some("imap sieve"));
        assert_eq!(top.get("ssl_cert"), Some("</a#b.pem"));
        let inbox = top.all("namespace").next().unwrap();
        assert_eq!((inbox.title.as_str(), inbox.get("prefix")), ("inbox", Some("")));
        assert_eq!(inbox.all("mailbox").next().unwrap().title, "Sent Messages");
        assert_eq!(top.all("plugin").next().unwrap().get("x"), Some("a    b"));
        assert_eq!(wrong, ["/x/dovecot.conf: odd"]);
    }

    #[test]
    fn a_passwd_file_is_no_configuration() {
        assert!(is_conf("# c\nprotocols = imap\n") && is_conf("!include conf.d/*.conf\n") && is_conf("passdb {\n"));
        assert!(!is_conf("# c\nann@x:{PLAIN}a:1:1::/h::userdb_quota_rule=*:storage=1G\n"));
    }
}
