//! ESMTP parameters as carried in the envelope, and typed views of those the queue acts on.
//!
//! Standards   RFC 5321 4.1.2 (esmtp-param), RFC 3461 4 (NOTIFY, ORCPT, RET, ENVID, xtext),
//!             RFC 6152 (BODY), RFC 6531 (SMTPUTF8), RFC 8689 (REQUIRETLS), RFC 2852 (BY),
//!             RFC 6710 (MT-PRIORITY), RFC 4865 (HOLDFOR, HOLDUNTIL), RFC 6533 (utf-8-addr)
//! Invariants  1. a parameter is one word: no space, no control character
//!             2. a malformed value of a known parameter reads as absent, never as something else

use super::{Recipient, Sender};
use std::fmt;

/// One `KEYWORD` or `KEYWORD=value`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Param {
    key: String,
    value: Option<String>,
}

impl Param {
    /// Checks and builds a parameter.
    pub fn new(key: &str, value: Option<&str>) -> Option<Param> {
        let key_ok = key.starts_with(|c: char| c.is_ascii_alphanumeric())
            && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        let value_ok = value.is_none_or(|v| !v.is_empty() && !v.chars().any(|c| c == ' ' || c.is_control()));
        (key_ok && value_ok).then(|| Param { key: key.to_owned(), value: value.map(str::to_owned) })
    }

    /// Parses one word.
    pub fn parse(word: &str) -> Option<Param> {
        match word.split_once('=') {
            Some((key, value)) => Param::new(key, Some(value)),
            None => Param::new(word, None),
        }
    }

    /// The keyword as received.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The value as received (xtext still encoded).
    pub fn value(&self) -> Option<&str> {
        self.value.as_deref()
    }

    /// Keywords are compared without case.
    pub fn is(&self, key: &str) -> bool {
        self.key.eq_ignore_ascii_case(key)
    }
}

impl fmt::Display for Param {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => write!(f, "{}={value}", self.key),
            None => f.write_str(&self.key),
        }
    }
}

impl fmt::Debug for Param {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// BODY= of RFC 6152 and RFC 3030.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Body {
    /// `7BIT`, also when the parameter is absent.
    #[default]
    SevenBit,
    /// `8BITMIME`.
    EightBitMime,
    /// `BINARYMIME`.
    BinaryMime,
}

/// RET= of RFC 3461 4.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ret {
    /// Return the whole message.
    Full,
    /// Return the header only.
    Hdrs,
}

/// NOTIFY= of RFC 3461 4.1; absent means failure, and delay at our choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notify {
    /// Report failure.
    pub failure: bool,
    /// Report delay.
    pub delay: bool,
    /// Report success.
    pub success: bool,
    /// The client said so, rather than leaving it to the default.
    pub explicit: bool,
}

impl Default for Notify {
    fn default() -> Notify {
        Notify { failure: true, delay: true, success: false, explicit: false }
    }
}

/// ORCPT= decoded: address type and address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Original {
    /// `rfc822`, `utf-8`, ...
    pub kind: String,
    /// Decoded, free of control characters.
    pub address: String,
}

fn find<'a>(params: &'a [Param], key: &str) -> Option<&'a Param> {
    params.iter().find(|p| p.is(key))
}

fn value<'a>(params: &'a [Param], key: &str) -> Option<&'a str> {
    find(params, key)?.value()
}

impl Sender {
    /// The announced body type.
    pub fn body(&self) -> Body {
        match value(&self.params, "BODY") {
            Some(v) if v.eq_ignore_ascii_case("8BITMIME") => Body::EightBitMime,
            Some(v) if v.eq_ignore_ascii_case("BINARYMIME") => Body::BinaryMime,
            _ => Body::SevenBit,
        }
    }

    /// How much to return in a report.
    pub fn ret(&self) -> Option<Ret> {
        match value(&self.params, "RET")? {
            v if v.eq_ignore_ascii_case("FULL") => Some(Ret::Full),
            v if v.eq_ignore_ascii_case("HDRS") => Some(Ret::Hdrs),
            _ => None,
        }
    }

    /// ENVID decoded.
    pub fn envid(&self) -> Option<String> {
        xtext_decode(value(&self.params, "ENVID")?)
    }

    /// Whether the client declared SMTPUTF8.
    pub fn smtputf8(&self) -> bool {
        find(&self.params, "SMTPUTF8").is_some()
    }

    /// Whether the client demanded TLS on every hop.
    pub fn requiretls(&self) -> bool {
        find(&self.params, "REQUIRETLS").is_some()
    }

    /// MT-PRIORITY, -9 to 9 (RFC 6710 4.1); 0 when absent.
    pub fn priority(&self) -> i8 {
        let parsed = value(&self.params, "MT-PRIORITY").and_then(|v| v.parse::<i8>().ok());
        parsed.filter(|p| (-9..=9).contains(p)).unwrap_or(0)
    }

    /// BY= (RFC 2852 4): seconds (may be negative), whether to return (`R`) rather than notify (`N`).
    pub fn deliver_by(&self) -> Option<(i64, bool)> {
        let (secs, mode) = value(&self.params, "BY")?.split_once(';')?;
        let secs = secs.parse::<i64>().ok().filter(|s| s.abs() <= 999_999_999)?;
        match mode.trim_end_matches(['T', 't']) {
            "R" | "r" => Some((secs, true)),
            "N" | "n" => Some((secs, false)),
            _ => None,
        }
    }

    /// Seconds since 1970 before which nothing is to be tried (RFC 4865), given the arrival time.
    pub fn hold_until(&self, arrival: u64) -> Option<u64> {
        if let Some(secs) = value(&self.params, "HOLDFOR") {
            return secs.parse::<u64>().ok().map(|s| arrival.saturating_add(s));
        }
        parse_utc(value(&self.params, "HOLDUNTIL")?)
    }
}

impl Recipient {
    /// A recipient without parameters.
    pub fn plain(address: super::Address) -> Recipient {
        Recipient { address, params: Vec::new() }
    }

    /// NOTIFY= decoded.
    pub fn notify(&self) -> Notify {
        let Some(list) = value(&self.params, "NOTIFY") else { return Notify::default() };
        let mut notify = Notify { failure: false, delay: false, success: false, explicit: true };
        for word in list.split(',') {
            match word.to_ascii_uppercase().as_str() {
                "FAILURE" => notify.failure = true,
                "DELAY" => notify.delay = true,
                "SUCCESS" => notify.success = true,
                "NEVER" => {}
                _ => return Notify::default(),
            }
        }
        notify
    }

    /// ORCPT= decoded.
    pub fn original(&self) -> Option<Original> {
        let (kind, address) = value(&self.params, "ORCPT")?.split_once(';')?;
        let address = xtext_decode(address)?;
        let good = !kind.is_empty() && kind.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        good.then(|| Original { kind: kind.to_ascii_lowercase(), address })
    }
}

/// Decodes xtext (RFC 3461 4); `None` when malformed, not UTF-8, or hiding a control character.
pub fn xtext_decode(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(b) = bytes.next() {
        out.push(if b == b'+' { hex(bytes.next()?)? << 4 | hex(bytes.next()?)? } else { b });
    }
    String::from_utf8(out).ok().filter(|s| !s.chars().any(char::is_control))
}

/// Encodes xtext: printable US-ASCII but `+` and `=` as itself, all else `+HH`.
pub fn xtext_encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for b in text.bytes() {
        match b {
            b'+' | b'=' => out.push_str(&format!("+{b:02X}")),
            b'!'..=b'~' => out.push(char::from(b)),
            _ => out.push_str(&format!("+{b:02X}")),
        }
    }
    out
}

/// RFC 3461 4: hexchar is upper-case; a reader may be lenient.
fn hex(b: u8) -> Option<u8> {
    char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok())
}

/// `2026-01-31T12:00:00Z` or with `+hh:mm`, to seconds since 1970 (RFC 3339 as used by RFC 4865 5).
fn parse_utc(text: &str) -> Option<u64> {
    let (date, time) = text.split_once(['T', 't'])?;
    let mut ymd = date.splitn(3, '-').map(|p| p.parse::<i64>().ok());
    let (y, m, d) = (ymd.next()??, ymd.next()??, ymd.next()??);
    let zone_at = time.find(['Z', 'z', '+', '-'])?;
    let mut hms = time.get(..zone_at)?.splitn(3, ':').map(|p| p.split('.').next()?.parse::<i64>().ok());
    let (h, min, s) = (hms.next()??, hms.next()??, hms.next()??);
    let in_range = (1970..=9999).contains(&y)
        && (1..=12).contains(&m)
        && (1..=31).contains(&d)
        && (0..24).contains(&h)
        && (0..60).contains(&min)
        && (0..=60).contains(&s);
    let secs = days_from_civil(y, m, d) * 86_400 + h * 3_600 + min * 60 + s - zone_offset(time.get(zone_at..)?)?;
    in_range.then_some(secs).and_then(|s| u64::try_from(s).ok())
}

fn zone_offset(zone: &str) -> Option<i64> {
    let sign = match zone.chars().next()? {
        'Z' | 'z' => return (zone.len() == 1).then_some(0),
        '+' => 1,
        _ => -1,
    };
    let (h, m) = zone.get(1..)?.split_once(':')?;
    let (h, m) = (h.parse::<i64>().ok()?, m.parse::<i64>().ok()?);
    ((0..24).contains(&h) && (0..60).contains(&m)).then_some(sign * (h * 3_600 + m * 60))
}

/// Days since 1970-01-01 of a proleptic Gregorian date.
fn days_from_civil(y: i64, m: i64, d: i64) -> i64 {
    let y = if m <= 2 { y - 1 } else { y };
    let (era, shifted) = (y.div_euclid(400), (m + 9) % 12);
    let year_of_era = y - era * 400;
    let day_of_year = (153 * shifted + 2) / 5 + d - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}
