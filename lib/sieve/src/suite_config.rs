//! Settings of a test suite, by the names Pigeonhole gives them, as settings of this engine.

use std::collections::BTreeMap;

use crate::settings::{EnvelopeFrom, ScanField, ScanStyle, Settings};

type Config = BTreeMap<String, String>;

/// The settings these values make.
pub(crate) fn settings(defaults: &Settings, config: &Config) -> Settings {
    let mut s = defaults.clone();
    let text = |name: &str| config.get(name).map(String::as_str).filter(|v| !v.is_empty());
    let number = |name: &str| text(name).and_then(|v| v.parse::<usize>().ok());
    let size = |name: &str| text(name).and_then(parse_size);
    let yes = |name: &str| text(name).map(|v| v == "yes");
    s.limits.includes = number("sieve_include_max_includes").unwrap_or(s.limits.includes);
    s.limits.include_depth = number("sieve_include_max_nesting_depth").unwrap_or(s.limits.include_depth);
    s.limits.notifications = number("sieve_notify_max_notifications").unwrap_or(s.limits.notifications);
    s.limits.variable_size = size("sieve_variables_max_value_size")
        .or_else(|| size("sieve_variables_max_variable_size"))
        .unwrap_or(s.limits.variable_size);
    s.limits.header_size = size("sieve_editheader_max_header_size").unwrap_or(s.limits.header_size);
    if let Some(delimiter) = text("recipient_delimiter") {
        s.separators = delimiter.to_owned();
    }
    s.user_address = text("sieve_user_email").map(str::to_owned).or(s.user_address);
    s.redirect_from = text("sieve_redirect_envelope_from").and_then(envelope_from).unwrap_or(s.redirect_from);
    s.notify_from = text("sieve_notify_mailto_envelope_from").and_then(envelope_from);
    s.report_from = text("sieve_report_from").and_then(envelope_from).unwrap_or(s.report_from);
    s.vacation_min = text("sieve_vacation_min_period").and_then(parse_time).unwrap_or(s.vacation_min);
    s.vacation_subject = text("sieve_vacation_default_subject").unwrap_or(&s.vacation_subject).to_owned();
    s.vacation_subject_template =
        text("sieve_vacation_default_subject_template").unwrap_or(&s.vacation_subject_template).to_owned();
    s.vacation_check_recipient = yes("sieve_vacation_check_recipient").unwrap_or(s.vacation_check_recipient);
    s.vacation_from_recipient = yes("sieve_vacation_send_from_recipient").unwrap_or(s.vacation_from_recipient);
    s.vacation_original_recipient =
        yes("sieve_vacation_use_original_recipient").unwrap_or(s.vacation_original_recipient);
    s.vacation_to_header = yes("sieve_vacation_to_header_ignore_envelope").unwrap_or(s.vacation_to_header);
    s.spam = scan(config, "sieve_spamtest");
    s.virus = scan(config, "sieve_virustest");
    s.protected = protected(config);
    s
}

fn envelope_from(text: &str) -> Option<EnvelopeFrom> {
    Some(match text.trim() {
        "sender" => EnvelopeFrom::Sender,
        "recipient" => EnvelopeFrom::Recipient,
        "orig_recipient" => EnvelopeFrom::OriginalRecipient,
        "user_email" => EnvelopeFrom::User,
        "postmaster" => EnvelopeFrom::Postmaster,
        "" => return None,
        other => EnvelopeFrom::Fixed(other.trim_start_matches('<').trim_end_matches('>').to_owned()),
    })
}

fn parse_size(text: &str) -> Option<usize> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = text.get(digits.len()..)?.to_ascii_lowercase();
    let shift = match unit.trim_end_matches('b') {
        "k" => 10,
        "m" => 20,
        _ => 0,
    };
    digits.parse::<usize>().ok().map(|n| n << shift)
}

pub(crate) fn parse_time(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == ' ');
    let factor = match text.get(digits.len()..)?.trim() {
        "m" | "min" | "mins" => 60,
        "h" | "hours" => 3600,
        "d" | "days" => 86_400,
        _ => 1,
    };
    digits.parse::<u64>().ok().map(|n| n * factor)
}

/// `header:regex`
fn scan(config: &Config, prefix: &str) -> Option<ScanField> {
    let get = |name: &str| config.get(&format!("{prefix}_{name}")).filter(|v| !v.is_empty());
    let pair = |text: &str| {
        let (header, pattern) = text.split_once(':').unwrap_or((text, ""));
        (header.trim().to_owned(), pattern.trim().to_owned())
    };
    let (header, pattern) = pair(get("status_header")?);
    let style = match get("status_type").map(String::as_str) {
        Some("strlen") => ScanStyle::Length,
        Some("text") => ScanStyle::Text,
        _ => ScanStyle::Score,
    };
    let max = get("score_max_value").and_then(|v| v.parse().ok()).unwrap_or(0.0);
    let max_header = get("score_max_header").map(|v| pair(v));
    let name = format!("{prefix}_text_value/");
    let texts = config.iter().filter_map(|(k, v)| Some((k.strip_prefix(&name)?.parse().ok()?, v.clone())));
    Some(ScanField { header, pattern, style, max, max_header, texts: texts.collect() })
}

fn protected(config: &Config) -> Vec<(String, bool, bool)> {
    let Some(names) = config.get("sieve_editheader_header") else { return Vec::new() };
    let is = |name: &str, key: &str| {
        config.get(&format!("sieve_editheader_header/{name}/{key}")).is_some_and(|v| v == "yes")
    };
    names.split_whitespace().map(|n| (n.to_owned(), is(n, "forbid_add"), is(n, "forbid_delete"))).collect()
}

/// An external list of `dict file` form: key and value on lines in turn; the keys.
pub(crate) fn list_members(config: &Config, list: &str, read: &dyn Fn(&str) -> Option<Vec<u8>>) -> Option<Vec<String>> {
    let short = list.strip_prefix("urn:ietf:params:sieve:addrbook:").unwrap_or(list);
    let candidates = [list.to_owned(), format!(":addrbook:{short}"), format!("addrbook:{short}")];
    let name = candidates.iter().find(|c| config.contains_key(&format!("sieve_extlists_list/{c}/name")))?;
    let Some(path) = config.get(&format!("sieve_extlists_list/{name}/dict/file/path")) else { return Some(Vec::new()) };
    let content = read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&content);
    let keys = text.lines().step_by(2);
    Some(keys.map(|key| key.rsplit('/').next().unwrap_or(key).to_owned()).collect())
}
