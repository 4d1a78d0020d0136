//! What people and programs are shown: JSON lines, the header field, explanations.

use penny_spam::explain::Word;
use penny_spam::verdict::Verdict;
use std::io::{self, Write};

/// Text on one line, control characters escaped.
pub fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// Prints usage.
pub fn help() -> anyhow::Result<u8> {
    io::stdout().lock().write_all(crate::args::USAGE.as_bytes())?;
    Ok(0)
}

/// Prints the version.
pub fn version() -> anyhow::Result<u8> {
    writeln!(io::stdout().lock(), "spamcheck {}", env!("CARGO_PKG_VERSION"))?;
    Ok(0)
}

/// A JSON string (RFC 8259 7).
pub fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if c.is_control() => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// One JSON line.
pub fn json(file: Option<&str>, verdict: &Verdict, explain: bool, trouble: Option<&str>) -> String {
    let mut out = String::from("{");
    if let Some(file) = file {
        out.push_str(&format!("\"file\":{},", quoted(file)));
    }
    out.push_str(&format!("\"score\":{},\"verdict\":\"{}\"", verdict.score, verdict.class.word()));
    if explain {
        let hits = verdict
            .hits
            .iter()
            .map(|h| format!("{{\"name\":{},\"weight\":{},\"why\":{}}}", quoted(&h.name), h.weight, quoted(&h.why)));
        out.push_str(&format!(
            ",\"trained\":{{\"ham\":{},\"spam\":{}}},\"learned\":{},\"rules\":[{}]",
            verdict.trained.0,
            verdict.trained.1,
            verdict.learned.total(),
            hits.collect::<Vec<_>>().join(",")
        ));
    }
    if let Some(text) = trouble {
        out.push_str(&format!(",\"trouble\":{}", quoted(text)));
    }
    out.push('}');
    out
}

/// The header field, folded before 78 columns (RFC 5322 2.1.1).
pub fn field(verdict: &Verdict, trouble: Option<&str>) -> String {
    let mut words = vec![
        verdict.class.word().to_owned(),
        format!("score={:.4}", verdict.score),
        format!("table={}+{}", verdict.trained.0, verdict.trained.1),
    ];
    if let Some(text) = trouble {
        let text: String = one_line(text).chars().map(|c| if c == '"' || !c.is_ascii() { '\'' } else { c }).collect();
        words.push(format!("trouble=\"{text}\""));
    }
    words.extend(verdict.hits.iter().map(|h| format!("{}({:+.1})", h.name, h.weight)));
    let mut out = String::from("X-Spamcheck:");
    let mut column = out.len();
    for word in words {
        if column + word.len() + 1 > 78 {
            out.push_str("\n\t");
            column = 8;
        } else {
            out.push(' ');
        }
        column += word.len() + 1;
        out.push_str(&word);
    }
    out.push('\n');
    out
}

/// The reasons, strongest first, in words.
pub fn explanation(verdict: &Verdict, words: &[Word]) -> String {
    let (ham, spam) = verdict.trained;
    let mut out = format!("{}, score {:.4}\n", verdict.class.word(), verdict.score);
    let mut hits: Vec<_> = verdict.hits.iter().collect();
    hits.sort_by(|a, b| b.weight.abs().total_cmp(&a.weight.abs()));
    for hit in hits {
        out.push_str(&format!("  {:+5.1}  {}  [{}]\n", hit.weight, one_line(&hit.why), hit.name));
    }
    if ham + spam == 0 {
        out.push_str("         nothing was learned yet: only the rules speak\n");
        return out;
    }
    let total = verdict.learned.total();
    out.push_str(&format!("  {total:+5.1}  learned from {ham} ham and {spam} spam messages\n"));
    for w in words {
        let (ham, spam) = w.met;
        out.push_str(&format!(
            "         \"{}\" in {}: {:.0} % spam ({spam} spam, {ham} ham)\n",
            one_line(&w.word),
            w.place,
            100.0 * w.spam
        ));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use penny_spam::verdict::{Cuts, judge};

    #[test]
    fn strings_are_escaped() {
        assert_eq!(quoted("a\"b\\c\n\u{7f}é"), "\"a\\\"b\\\\c\\u000a\\u007fé\"");
    }

    #[test]
    fn the_field_is_folded_and_has_no_stray_line_ends() {
        let verdict = judge(Default::default(), (1, 2), Vec::new(), Cuts::default());
        let text = field(&verdict, Some(&"trouble with\nlines \"and\" quotes ".repeat(4)));
        assert!(text.lines().skip(1).all(|l| l.starts_with('\t')));
        assert!(text.ends_with('\n') && text.starts_with("X-Spamcheck: unsure score="));
    }
}
