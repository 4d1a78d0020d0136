//! Logical lines of a table: `#` comments, empty lines, continuation by leading white space.
//!
//! Format      aliases(5), virtual(5): a line that starts with white space continues the one before

/// One logical line with the number of its first physical line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// 1-based.
    pub number: usize,
    /// Without comment lines, joined by a space.
    pub text: String,
}

/// Takes a table apart.
pub fn logical(text: &str) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for (i, raw) in text.lines().enumerate() {
        let trimmed = raw.trim();
        if trimmed.is_empty() || trimmed.starts_with('#') {
            continue;
        }
        match lines.last_mut() {
            Some(last) if raw.starts_with([' ', '\t']) => {
                last.text.push(' ');
                last.text.push_str(trimmed);
            }
            _ => lines.push(Line { number: i + 1, text: trimmed.to_string() }),
        }
    }
    lines
}

/// The lines of a table without continuation (users, app-passwords), numbered from 1; a comment begins at its first octet.
pub fn single(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().zip(1..).map(|(line, n)| (n, line)).filter(|(_, l)| !l.trim().is_empty() && !l.starts_with('#'))
}

/// A mistake in a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// 1-based line.
    pub line: usize,
    /// What is wrong.
    pub text: String,
}

/// Splits a right-hand side at commas outside double quotes; quotes around a whole item are kept for the reader.
pub fn items(text: &str) -> Vec<String> {
    let mut out = Vec::new();
    let (mut item, mut quoted, mut escaped) = (String::new(), false, false);
    for c in text.chars() {
        match c {
            ',' if !quoted => out.push(std::mem::take(&mut item)),
            _ => {
                if c == '"' && !escaped {
                    quoted = !quoted;
                }
                item.push(c);
            }
        }
        escaped = c == '\\' && !escaped;
    }
    out.push(item);
    out.iter().map(|i| i.trim().to_string()).filter(|i| !i.is_empty()).collect()
}

/// Takes the quotes off an item that is quoted as a whole.
pub fn unquote(item: &str) -> String {
    let Some(inner) = item.strip_prefix('"').and_then(|i| i.strip_suffix('"')) else { return item.to_string() };
    let mut out = String::new();
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.extend(chars.next()),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn continuation_and_comments() {
        let l = logical("# c\na: b,\n  c\n\n\td\nx: y\n");
        assert_eq!(l.len(), 2);
        assert_eq!((l[0].number, l[0].text.as_str()), (2, "a: b, c d"));
        assert_eq!(l[1].number, 6);
    }

    #[test]
    fn commas_inside_quotes_stay() {
        assert_eq!(items("a, \"|x, \\\"y\", b"), ["a", "\"|x, \\\"y\"", "b"]);
        assert_eq!(unquote("\"|x, \\\"y\""), "|x, \"y");
    }
}
