//! The verdict as one JSON object.

use penny_verify::assess::Assessment;
use penny_verify::spf;

/// A JSON string.
pub fn string(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if u32::from(c) < 0x20 || c == '\u{7f}' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// `{"key":value,...}`, each value as it stands.
fn object(fields: &[(&str, String)]) -> String {
    let fields: Vec<String> = fields.iter().map(|(key, value)| format!("{}:{value}", string(key))).collect();
    format!("{{{}}}", fields.join(","))
}

fn word(value: impl std::fmt::Display) -> String {
    string(&value.to_string())
}

/// The SPF part alone.
pub fn spf_only(verdict: &spf::Verdict) -> String {
    object(&[("spf", spf(verdict))])
}

fn spf(verdict: &spf::Verdict) -> String {
    object(&[
        ("result", word(verdict.outcome)),
        ("domain", string(&verdict.domain)),
        ("explanation", string(verdict.explanation.as_deref().unwrap_or_default())),
        ("reason", string(&verdict.reason)),
    ])
}

/// All of it.
pub fn all(a: &Assessment) -> String {
    let dkim: Vec<String> = a
        .dkim
        .iter()
        .map(|v| {
            object(&[
                ("result", word(v.outcome)),
                ("domain", string(&v.domain)),
                ("selector", string(&v.selector)),
                ("reason", string(&v.reason)),
                ("algorithm", string(&v.algorithm)),
                ("auid", string(&v.auid)),
                ("testing", v.testing.to_string()),
                ("unsigned_octets", v.unsigned_octets.to_string()),
            ])
        })
        .collect();
    let sealers: Vec<String> = a.arc.sealers.iter().map(|s| string(s)).collect();
    object(&[
        ("spf", spf(&a.spf)),
        ("dkim", format!("[{}]", dkim.join(","))),
        (
            "dmarc",
            object(&[
                ("result", word(a.dmarc.outcome)),
                ("policy", word(a.dmarc.policy)),
                ("domain", string(&a.dmarc.domain)),
                ("author", string(&a.dmarc.author)),
                ("spf_aligned", a.dmarc.spf_aligned.to_string()),
                ("dkim_aligned", a.dmarc.dkim_aligned.to_string()),
                ("reason", string(&a.dmarc.reason)),
            ]),
        ),
        (
            "arc",
            object(&[
                ("result", word(a.arc.outcome)),
                ("instance", a.arc.instance.to_string()),
                ("sealers", format!("[{}]", sealers.join(","))),
                ("reason", string(&a.arc.reason)),
            ]),
        ),
        (
            "bimi",
            object(&[
                ("result", word(a.bimi.outcome)),
                ("domain", string(&a.bimi.domain)),
                ("location", string(&a.bimi.location)),
            ]),
        ),
    ])
}
