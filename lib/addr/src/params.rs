//! ESMTP parameters of MAIL and RCPT as checked values.
//!
//! Standards   RFC 5321 4.1.2 esmtp-param; RFC 1870 SIZE; RFC 6152, 3030 BODY; RFC 6531 SMTPUTF8; RFC 3461 RET ENVID
//!             NOTIFY ORCPT; RFC 6533 utf-8 ORCPT; RFC 4954 AUTH; RFC 8689 REQUIRETLS; RFC 2852 BY; RFC 4865 HOLDFOR
//!             HOLDUNTIL; RFC 6710 MT-PRIORITY
//! Invariants  `parse` of what `Display` writes gives an equal value; values stay in xtext on the wire and in the queue
//! Not here    which parameters a server offers: the caller compares with what it announced

use crate::{AddrError, Charset, Mailbox, xtext};
use std::fmt;

/// Longest ENVID in octets of xtext, RFC 3461 4.4.
const ENVID_MAX: usize = 100;
/// Longest ORCPT in octets of xtext, RFC 3461 4.2.
const ORCPT_MAX: usize = 500;
/// Nine digits are the most BY and HOLDFOR may have, RFC 2852 4 and RFC 4865 4.
const SECONDS_MAX: i64 = 999_999_999;

/// BODY=, RFC 6152 and RFC 3030.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Body {
    /// 7BIT, also when not given.
    #[default]
    SevenBit,
    /// 8BITMIME.
    EightBit,
    /// BINARYMIME: only with BDAT.
    Binary,
}

/// RET=, RFC 3461 4.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ret {
    /// The whole message goes into a failure report.
    Full,
    /// Its header only.
    Headers,
}

/// AUTH= of MAIL, RFC 4954 section 5.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SenderAuth {
    /// `<>`: not known or not trusted.
    Unknown,
    /// The identity that submitted the message.
    Mailbox(Mailbox),
}

/// What happens when the time of BY is over, RFC 2852.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByMode {
    /// Give the message back.
    Return,
    /// Say that it is late and go on.
    Notify,
}

/// BY=, RFC 2852.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct By {
    /// Seconds left; negative only with [`ByMode::Notify`].
    pub seconds: i64,
    /// What to do afterwards.
    pub mode: ByMode,
    /// The sender wants a trace (the `T` modifier).
    pub trace: bool,
}

/// HOLDFOR= or HOLDUNTIL=, RFC 4865.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// Seconds from now.
    For(u32),
    /// Unix time.
    Until(i64),
}

impl Hold {
    /// The Unix time to release at.
    pub fn release_at(self, now: i64) -> i64 {
        match self {
            Self::For(seconds) => now.saturating_add(i64::from(seconds)),
            Self::Until(at) => at,
        }
    }
}

/// Parameters of MAIL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MailParams {
    /// SIZE=; a number that does not fit counts as the largest.
    pub size: Option<u64>,
    /// BODY=
    pub body: Option<Body>,
    /// SMTPUTF8
    pub smtputf8: bool,
    /// RET=
    pub ret: Option<Ret>,
    /// ENVID=, decoded.
    pub envid: Option<String>,
    /// AUTH=
    pub auth: Option<SenderAuth>,
    /// REQUIRETLS
    pub requiretls: bool,
    /// BY=
    pub by: Option<By>,
    /// HOLDFOR= or HOLDUNTIL=
    pub hold: Option<Hold>,
    /// MT-PRIORITY=, -9 to 9.
    pub mt_priority: Option<i8>,
}

/// NOTIFY=, RFC 3461 4.1. All false is NEVER.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notify {
    /// Report success.
    pub success: bool,
    /// Report failure.
    pub failure: bool,
    /// Report delay.
    pub delay: bool,
}

impl Notify {
    /// Whether nothing shall be reported.
    pub fn never(self) -> bool {
        !(self.success || self.failure || self.delay)
    }
}

/// ORCPT=, RFC 3461 4.2: address type and decoded address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Orcpt {
    /// `rfc822`, `utf-8`, ... in lower case.
    pub kind: String,
    /// The address as text; its grammar is that of its type, so it is not parsed further.
    pub address: String,
}

/// Parameters of RCPT.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RcptParams {
    /// NOTIFY=
    pub notify: Option<Notify>,
    /// ORCPT=
    pub orcpt: Option<Orcpt>,
}

/// Splits ` KEY=value KEY ...` (what follows a path) into pairs; keywords come back in upper case.
pub fn split_params(text: &str) -> Result<Vec<(String, Option<&str>)>, AddrError> {
    if !text.is_empty() && !text.starts_with(' ') {
        return Err(AddrError::Syntax);
    }
    // several spaces are taken as one: old clients send them, and they cannot mean anything else
    text.split(' ').filter(|part| !part.is_empty()).map(pair).collect()
}

/// RFC 5321 4.1.2 esmtp-keyword ["=" esmtp-value]; RFC 6531 allows UTF-8 in values.
fn pair(part: &str) -> Result<(String, Option<&str>), AddrError> {
    let (key, value) = match part.split_once('=') {
        Some((key, value)) => (key, Some(value)),
        None => (part, None),
    };
    let first = key.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
    let rest = key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    // AUTH=<...> holds no '=' (xtext), but the value grammar excludes it for all
    let value_ok = value.is_none_or(|v| !v.is_empty() && !v.contains('=') && !v.chars().any(char::is_control));
    if first && rest && value_ok {
        Ok((key.to_ascii_uppercase(), value))
    } else {
        Err(AddrError::ParamValue("bad parameter syntax"))
    }
}

/// Sets a parameter once.
fn set<T>(slot: &mut Option<T>, value: T) -> Result<(), AddrError> {
    if slot.is_some() {
        return Err(AddrError::DuplicateParam);
    }
    *slot = Some(value);
    Ok(())
}

fn set_flag(flag: &mut bool, value: Option<&str>, error: AddrError) -> Result<(), AddrError> {
    match (value, *flag) {
        (Some(_), _) => Err(error),
        (None, true) => Err(AddrError::DuplicateParam),
        (None, false) => {
            *flag = true;
            Ok(())
        }
    }
}

impl MailParams {
    /// Parses what follows the reverse path.
    pub fn parse(text: &str, charset: Charset) -> Result<Self, AddrError> {
        let mut params = Self::default();
        for (key, value) in split_params(text)? {
            params.take(&key, value, charset)?;
        }
        Ok(params)
    }

    fn take(&mut self, key: &str, value: Option<&str>, charset: Charset) -> Result<(), AddrError> {
        let given = value.unwrap_or_default();
        match key {
            "SIZE" => set(&mut self.size, size(given)?),
            "BODY" => set(&mut self.body, body(given)?),
            "SMTPUTF8" => set_flag(&mut self.smtputf8, value, AddrError::ParamValue("SMTPUTF8 takes no value")),
            "REQUIRETLS" => set_flag(&mut self.requiretls, value, AddrError::ParamValue("REQUIRETLS takes no value")),
            "RET" => set(&mut self.ret, ret(given)?),
            "ENVID" => set(&mut self.envid, envid(given)?),
            "AUTH" => set(&mut self.auth, sender_auth(given, charset)?),
            "BY" => set(&mut self.by, by(given)?),
            "HOLDFOR" => set(&mut self.hold, hold_for(given)?),
            "HOLDUNTIL" => set(&mut self.hold, hold_until(given)?),
            "MT-PRIORITY" => set(&mut self.mt_priority, priority(given)?),
            _ => Err(AddrError::UnknownParam),
        }
    }
}

impl RcptParams {
    /// Parses what follows the forward path.
    pub fn parse(text: &str, charset: Charset) -> Result<Self, AddrError> {
        let mut params = Self::default();
        for (key, value) in split_params(text)? {
            let given = value.unwrap_or_default();
            match key.as_str() {
                "NOTIFY" => set(&mut params.notify, notify(given)?)?,
                "ORCPT" => set(&mut params.orcpt, orcpt(given, charset)?)?,
                _ => return Err(AddrError::UnknownParam),
            }
        }
        Ok(params)
    }
}

fn digits(text: &str, most: usize) -> bool {
    (1..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
}

/// RFC 1870 4: 1 to 20 digits, so it may exceed 64 bits; then it is too large for anybody.
fn size(text: &str) -> Result<u64, AddrError> {
    if digits(text, 20) { Ok(text.parse().unwrap_or(u64::MAX)) } else { Err(AddrError::ParamValue("bad SIZE")) }
}

fn body(text: &str) -> Result<Body, AddrError> {
    match text.to_ascii_uppercase().as_str() {
        "7BIT" => Ok(Body::SevenBit),
        "8BITMIME" => Ok(Body::EightBit),
        "BINARYMIME" => Ok(Body::Binary),
        _ => Err(AddrError::ParamValue("BODY is 7BIT, 8BITMIME or BINARYMIME")),
    }
}

fn ret(text: &str) -> Result<Ret, AddrError> {
    match text.to_ascii_uppercase().as_str() {
        "FULL" => Ok(Ret::Full),
        "HDRS" => Ok(Ret::Headers),
        _ => Err(AddrError::ParamValue("RET is FULL or HDRS")),
    }
}

fn envid(text: &str) -> Result<String, AddrError> {
    let error = AddrError::ParamValue("bad ENVID");
    let value = if text.is_empty() || text.len() > ENVID_MAX { Err(error) } else { xtext::decode(text) }?;
    // RFC 3461 4.4: the decoded value is printable ASCII
    if value.bytes().all(|b| (b' '..=b'~').contains(&b)) { Ok(value) } else { Err(error) }
}

fn sender_auth(text: &str, charset: Charset) -> Result<SenderAuth, AddrError> {
    if text == "<>" {
        return Ok(SenderAuth::Unknown);
    }
    let decoded = xtext::decode(text)?;
    let mailbox = Mailbox::parse(&decoded, charset).map_err(|_| AddrError::ParamValue("AUTH is <> or a mailbox"))?;
    Ok(SenderAuth::Mailbox(mailbox))
}

/// RFC 2852 4: by-value = by-time ";" by-mode [by-trace]; with R the time is above zero.
fn by(text: &str) -> Result<By, AddrError> {
    let error = AddrError::ParamValue("bad BY");
    let (time, mode) = text.split_once(';').ok_or(error)?;
    let unsigned = time.strip_prefix(['-', '+']).unwrap_or(time);
    if !digits(unsigned, 9) {
        return Err(error);
    }
    let seconds: i64 = time.parse().map_err(|_| error)?;
    let (mode, trace) = match mode.to_ascii_uppercase().as_str() {
        "R" => (ByMode::Return, false),
        "RT" => (ByMode::Return, true),
        "N" => (ByMode::Notify, false),
        "NT" => (ByMode::Notify, true),
        _ => return Err(error),
    };
    if mode == ByMode::Return && seconds <= 0 { Err(error) } else { Ok(By { seconds, mode, trace }) }
}

fn hold_for(text: &str) -> Result<Hold, AddrError> {
    let error = AddrError::ParamValue("bad HOLDFOR");
    if digits(text, 9) { text.parse().map(Hold::For).map_err(|_| error) } else { Err(error) }
}

fn hold_until(text: &str) -> Result<Hold, AddrError> {
    rfc3339(text).map(Hold::Until).ok_or(AddrError::ParamValue("bad HOLDUNTIL"))
}

fn priority(text: &str) -> Result<i8, AddrError> {
    let error = AddrError::ParamValue("MT-PRIORITY is -9 to 9");
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    if digits(unsigned, 1) && text != "-0" { text.parse().map_err(|_| error) } else { Err(error) }
}

fn notify(text: &str) -> Result<Notify, AddrError> {
    let error = AddrError::ParamValue("bad NOTIFY");
    let mut notify = Notify { success: false, failure: false, delay: false };
    if text.eq_ignore_ascii_case("NEVER") {
        return Ok(notify);
    }
    for word in text.split(',') {
        match word.to_ascii_uppercase().as_str() {
            "SUCCESS" => notify.success = true,
            "FAILURE" => notify.failure = true,
            "DELAY" => notify.delay = true,
            _ => return Err(error), // NEVER stands alone
        }
    }
    Ok(notify)
}

fn orcpt(text: &str, charset: Charset) -> Result<Orcpt, AddrError> {
    let error = AddrError::ParamValue("bad ORCPT");
    let (kind, value) = text.split_once(';').ok_or(error)?;
    let kind_ok = !kind.is_empty() && kind.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_./".contains(&b));
    if !kind_ok || value.is_empty() || text.len() > ORCPT_MAX || (charset == Charset::Ascii && !text.is_ascii()) {
        return Err(error);
    }
    let kind = kind.to_ascii_lowercase();
    let decoded = xtext::decode(value)?;
    let address = if kind == "utf-8" { xtext::decode_unicode(&decoded)? } else { decoded };
    if kind != "utf-8" && !address.is_ascii() { Err(error) } else { Ok(Orcpt { kind, address }) }
}

/// RFC 3339 date-time to Unix seconds (fractions dropped).
fn rfc3339(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    let number = |at: usize, len: usize| -> Option<i64> {
        let part = text.get(at..at + len)?;
        if part.bytes().all(|b| b.is_ascii_digit()) { part.parse().ok() } else { None }
    };
    let marks = [(4, b'-'), (7, b'-'), (13, b':'), (16, b':')];
    if !marks.iter().all(|&(at, mark)| bytes.get(at) == Some(&mark)) || !matches!(bytes.get(10), Some(b'T' | b't')) {
        return None;
    }
    let (year, month, day) = (number(0, 4)?, number(5, 2)?, number(8, 2)?);
    let (hour, minute, second) = (number(11, 2)?, number(14, 2)?, number(17, 2)?);
    let fraction = text.get(19..)?.strip_prefix('.').map(|f| f.trim_start_matches(|c: char| c.is_ascii_digit()));
    let offset = zone(fraction.unwrap_or(text.get(19..)?))?;
    let valid = (1..=12).contains(&month) && (1..=days_in(year, month)).contains(&day);
    if !valid || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    Some(days_from_civil(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - offset)
}

fn zone(text: &str) -> Option<i64> {
    if text.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let (hours, minutes) = text.strip_prefix(['+', '-'])?.split_once(':')?;
    if !digits(hours, 2) || !digits(minutes, 2) || text.len() != 6 {
        return None;
    }
    let (hours, minutes) = (hours.parse::<i64>().ok()?, minutes.parse::<i64>().ok()?);
    (hours < 24 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if (year % 4 == 0 && year % 100 != 0) || year % 400 == 0 => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 in the Gregorian calendar: years are counted from March, so leap days come last.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let y = if month <= 2 { year - 1 } else { year };
    let m = if month <= 2 { month + 9 } else { month - 3 };
    y * 365 + y.div_euclid(4) - y.div_euclid(100) + y.div_euclid(400) + (m * 153 + 2) / 5 + day - 1 - 719_468
}

/// The inverse: year, month, day.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let mut year = shifted.div_euclid(366);
    while days_from_civil(year + 1, 3, 1) <= days {
        year += 1;
    }
    let of_year = days - days_from_civil(year, 3, 1);
    let m = (of_year * 5 + 2) / 153;
    let day = of_year - (m * 153 + 2) / 5 + 1;
    if m < 10 { (year, m + 3, day) } else { (year + 1, m - 9, day) }
}

impl fmt::Display for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SevenBit => "7BIT",
            Self::EightBit => "8BITMIME",
            Self::Binary => "BINARYMIME",
        })
    }
}

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.seconds.clamp(-SECONDS_MAX, SECONDS_MAX);
        let mode = if self.mode == ByMode::Return { "R" } else { "N" };
        write!(f, "{seconds};{mode}{}", if self.trace { "T" } else { "" })
    }
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::For(seconds) => write!(f, "HOLDFOR={seconds}"),
            Self::Until(at) => {
                let (year, month, day) = civil_from_days(at.div_euclid(86400));
                let (s, time) = (at.rem_euclid(86400), |s: i64| (s / 3600, s / 60 % 60, s % 60));
                let (h, m, s) = time(s);
                write!(f, "HOLDUNTIL={year:04}-{month:02}-{day:02}T{h:02}:{m:02}:{s:02}Z")
            }
        }
    }
}

impl fmt::Display for Notify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.never() {
            return f.write_str("NEVER");
        }
        let words = [(self.success, "SUCCESS"), (self.failure, "FAILURE"), (self.delay, "DELAY")];
        let chosen: Vec<&str> = words.iter().filter(|(on, _)| *on).map(|(_, word)| *word).collect();
        f.write_str(&chosen.join(","))
    }
}

impl fmt::Display for Orcpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let utf8 = self.kind == "utf-8";
        let value = if utf8 { xtext::encode_unicode(&self.address) } else { xtext::encode(&self.address) };
        write!(f, "{};{value}", self.kind)
    }
}

impl fmt::Display for MailParams {
    /// ` KEY=value ...`, each with a leading space, so that it can follow a path.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(size) = self.size {
            write!(f, " SIZE={size}")?;
        }
        if let Some(body) = self.body {
            write!(f, " BODY={body}")?;
        }
        if self.smtputf8 {
            f.write_str(" SMTPUTF8")?;
        }
        if let Some(ret) = self.ret {
            f.write_str(if ret == Ret::Full { " RET=FULL" } else { " RET=HDRS" })?;
        }
        if let Some(envid) = &self.envid {
            write!(f, " ENVID={}", xtext::encode(envid))?;
        }
        match &self.auth {
            Some(SenderAuth::Unknown) => f.write_str(" AUTH=<>")?,
            Some(SenderAuth::Mailbox(mailbox)) => write!(f, " AUTH={}", xtext::encode(&mailbox.to_string()))?,
            None => {}
        }
        if self.requiretls {
            f.write_str(" REQUIRETLS")?;
        }
        if let Some(by) = self.by {
            write!(f, " BY={by}")?;
        }
        if let Some(hold) = self.hold {
            write!(f, " {hold}")?;
        }
        self.mt_priority.map_or(Ok(()), |priority| write!(f, " MT-PRIORITY={priority}"))
    }
}

impl fmt::Display for RcptParams {
    /// ` KEY=value ...`, each with a leading space, so that it can follow a path.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(notify) = self.notify {
            write!(f, " NOTIFY={notify}")?;
        }
        self.orcpt.as_ref().map_or(Ok(()), |orcpt| write!(f, " ORCPT={orcpt}"))
    }
}
