//! spamtest and virustest.
//!
//! Standards   RFC 5235
//! Invariants  a message nothing scanned is 0, whatever the fields of its sender say: only the configured field is read, the topmost one

use super::{Failed, matches};
use crate::check::Call;
use crate::machine::Machine;
use crate::settings::{ScanField, ScanStyle};

/// RFC 5235 2: 0 untested, 1 surely clean to 10 surely spam; with `:percent` 0 to 100.
pub(crate) fn spamtest(m: &mut Machine<'_>, call: &Call) -> Result<bool, Failed> {
    let ratio = m.settings.spam.as_ref().and_then(|field| ratio(m, field));
    let percent = call.has("percent");
    let value = match ratio {
        // RFC 5235 2.2: untested is 0 in both, told apart by :count
        None => "0".to_owned(),
        Some(r) if percent => format!("{}", (r * 100.0).round()),
        Some(r) => format!("{}", scaled(r, 9)),
    };
    let values = if ratio.is_none() && percent && is_count(call) { Vec::new() } else { vec![value] };
    matches(m, call, &values, std::slice::from_ref(call.text(0)))
}

/// RFC 5235 3: 0 untested, 1 clean to 5 surely infected.
pub(crate) fn virustest(m: &mut Machine<'_>, call: &Call) -> Result<bool, Failed> {
    let ratio = m.settings.virus.as_ref().and_then(|field| ratio(m, field));
    let value = match ratio {
        None => "0".to_owned(),
        Some(r) => format!("{}", scaled(r, 4)),
    };
    matches(m, call, &[value], std::slice::from_ref(call.text(0)))
}

/// 1 to `steps` + 1; only the full score gives the highest (RFC 5235 2: that one means certainty).
fn scaled(ratio: f64, steps: u32) -> u32 {
    (1..=steps).rev().find(|n| ratio + 1e-9 >= f64::from(*n) / f64::from(steps)).map_or(1, |n| n + 1)
}

fn is_count(call: &Call) -> bool {
    matches!(call.matcher.kind, crate::compare::MatchType::Count(_))
}

/// 0.0 to 1.0.
fn ratio(m: &Machine<'_>, field: &ScanField) -> Option<f64> {
    let status = captured(m, &field.header, &field.pattern)?;
    if field.style == ScanStyle::Text {
        let highest = field.texts.iter().map(|(n, _)| *n).max()?;
        let value = field.texts.iter().find(|(_, t)| *t == status).map(|(n, _)| *n)?;
        // texts are numbered as the test's own values: 0 untested, 1 the lowest
        return (value > 0).then(|| f64::from(value - 1) / f64::from(highest.max(2) - 1));
    }
    let max = match &field.max_header {
        Some((header, pattern)) => number(&captured(m, header, pattern)?)?,
        None => field.max,
    };
    let score = match field.style {
        ScanStyle::Length => status.chars().count() as f64,
        _ => number(&status)?,
    };
    if max <= 0.0 || !max.is_finite() {
        return None;
    }
    Some((score / max).clamp(0.0, 1.0))
}

fn captured(m: &Machine<'_>, header: &str, pattern: &str) -> Option<String> {
    let value = m.message.value(header)?;
    if pattern.is_empty() {
        return Some(value.trim().to_owned());
    }
    let regex = crate::compare::compile_regex(pattern, crate::compare::Comparator::AsciiCasemap).ok()?;
    let found = regex.captures(&value)?;
    found.get(1).or_else(|| found.get(0)).map(|g| g.as_str().trim().to_owned())
}

/// The number a text begins with.
fn number(text: &str) -> Option<f64> {
    let end = text.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '-' | '+'))).unwrap_or(text.len());
    text.get(..end)?.parse().ok()
}
