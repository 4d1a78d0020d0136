//! Fields of a tab-separated line: escapes, so that no field can hold a tab or a line end.

/// Escapes one field.
pub fn escape(field: &str) -> String {
    if !field.contains(['\\', '\t', '\n', '\r', '\0']) {
        return field.to_string();
    }
    let mut out = String::with_capacity(field.len() + 8);
    for c in field.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\0' => out.push_str("\\0"),
            c => out.push(c),
        }
    }
    out
}

/// Takes the escapes out of one field.
pub fn unescape(field: &str) -> String {
    if !field.contains('\\') {
        return field.to_string();
    }
    let mut out = String::with_capacity(field.len());
    let mut chars = field.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('t') => out.push('\t'),
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('0') => out.push('\0'),
            Some(other) => out.push(other),
            None => {}
        }
    }
    out
}

/// Makes a line of fields, without its end.
pub fn join(fields: &[&str]) -> String {
    fields.iter().map(|f| escape(f)).collect::<Vec<_>>().join("\t")
}

/// Takes a line apart.
pub fn split(line: &str) -> Vec<String> {
    line.split('\t').map(unescape).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_comes_back() {
        let fields = ["a\tb", "c\nd\\", "", "\\t", "é\0\r"];
        let line = join(&fields);
        assert!(!line.contains('\n') && line.matches('\t').count() == 4);
        assert_eq!(split(&line), fields);
    }
}
