//! Rules a table cannot say: what each command asks of its own arguments, as far as they are constants.
//!
//! Invariants  what passes here for a constant cannot fail later for the same reason; strings with variables are checked when they run

use crate::address::Mailbox;
use crate::check::{Call, Checker, printable};
use crate::compare::MatchType;
use crate::exec::{action, edit, notify, program, report};
use crate::text::{Piece, Text};

/// Header fields that hold addresses; RFC 5228 5.1 restricts the address test to such.
const ADDRESS_FIELDS: &[&str] = &[
    "from",
    "to",
    "cc",
    "bcc",
    "sender",
    "reply-to",
    "resent-from",
    "resent-to",
    "resent-cc",
    "resent-bcc",
    "resent-sender",
    "resent-reply-to",
    "delivered-to",
    "return-path",
    "x-original-to",
    "envelope-to",
    "errors-to",
    "disposition-notification-to",
    "return-receipt-to",
    "mail-followup-to",
    "mail-reply-to",
    "apparently-to",
    "x-forwarded-to",
    "x-forwarded-for",
    "original-from",
    "original-recipient",
    "x-beenthere",
    "x-complaints-to",
    "abuse-reports-to",
    "x-envelope-from",
    "x-envelope-to",
    "approved-by",
];

/// Highest match variable.
const MATCH_MAX: usize = 32;

/// A variable reference in a string.
pub(crate) fn reference(checker: &Checker<'_, '_>, piece: &Piece) -> Result<(), String> {
    match piece {
        Piece::Literal(_) => Ok(()),
        Piece::Match(n) if *n > MATCH_MAX => Err(format!("match variable {n} is out of range (at most {MATCH_MAX})")),
        Piece::Match(_) => Ok(()),
        Piece::Variable(name) => namespace(checker, name),
    }
}

fn namespace(checker: &Checker<'_, '_>, name: &str) -> Result<(), String> {
    let Some((space, rest)) = name.split_once('.') else { return Ok(()) };
    let known = match space {
        "global" => checker.has("include") && !rest.contains('.'),
        "env" => checker.has("vnd.dovecot.environment"),
        "tst" => checker.has("vnd.dovecot.testsuite"),
        _ => false,
    };
    if known { Ok(()) } else { Err(format!("unknown variable name space in '{}'", printable(name))) }
}

/// Checks a call; false if an error was reported.
pub(crate) fn verify(checker: &mut Checker<'_, '_>, call: &mut Call, what: &str) -> bool {
    let problem = problem(checker, call, what);
    if let Some(text) = problem {
        checker.error(call.pos, text);
        return false;
    }
    true
}

fn constants(list: &[Text]) -> impl Iterator<Item = &str> {
    list.iter().filter_map(Text::as_constant)
}

fn problem(checker: &mut Checker<'_, '_>, call: &Call, what: &str) -> Option<String> {
    if call.matcher.kind == MatchType::Regex
        && let Some(error) = bad_regex(call)
    {
        return Some(error);
    }
    if call.has("index") && call.number_tag("index") == Some(0) {
        return Some(format!("the index of {what} must not be 0"));
    }
    if call.has("last") && !call.has("index") && call.spec.find_tag("index").is_some() {
        return Some(format!("the :last tag for {what} cannot be specified without the :index tag"));
    }
    if call.has("anychild") && !call.has("mime") {
        return Some(format!("':anychild' needs ':mime' for {what}"));
    }
    if ["type", "subtype", "contenttype", "param"].iter().any(|t| call.has(t))
        && !call.has("mime")
        && call.spec.name == "header"
    {
        return Some(format!("MIME options need ':mime' for {what}"));
    }
    if let Some(error) = bad_mailbox_tags(call, what) {
        return Some(error);
    }
    match call.spec.name {
        "address" => constants(call.list(0))
            .find(|n| !ADDRESS_FIELDS.iter().any(|f| f.eq_ignore_ascii_case(n)))
            .map(|n| format!("header '{}' is not allowed for {what}", printable(n))),
        "date" => bad_names(std::slice::from_ref(call.text(0)), what).or_else(|| bad_date_part(call, 1)),
        "currentdate" => bad_date_part(call, 0),
        "envelope" => bad_envelope_part(checker, call),
        "size" if !call.has("over") && !call.has("under") => Some(format!("{what} requires ':over' or ':under'")),
        "redirect" if !call.has("list") => bad_address(call.text(0), what).or_else(|| bad_redirect_tags(call)),
        "fileinto" => call
            .text(0)
            .as_constant()
            .filter(|n| !action::valid_mailbox(n))
            .map(|n| format!("invalid folder name '{}' for {what}", printable(n))),
        "vacation" => bad_vacation(call, what),
        "extracttext" if !checker.has("variables") => Some(format!("{what} needs require \"variables\"")),
        "extracttext" if checker.loops.is_empty() => Some(format!("{what} stands outside of any foreverypart loop")),
        "set" | "extracttext" => bad_variable(checker, call.text(0), what).or_else(|| bad_modifiers(call, what)),
        "setflag" | "addflag" | "removeflag" => bad_flag_variable(checker, call, what),
        "hasflag" if call.given(0) => {
            if checker.has("variables") {
                call.list(0).iter().find_map(|t| bad_variable_text(checker, t, what))
            } else {
                Some(format!("{what} takes no variables without require \"variables\""))
            }
        }
        "addheader" => bad_names(std::slice::from_ref(call.text(0)), what).or_else(|| bad_value(checker, call.text(1))),
        "deleteheader" => bad_names(std::slice::from_ref(call.text(0)), what),
        "notify" => bad_notify(checker, call, what),
        "break" => bad_break(checker, call),
        "global" => bad_global(checker, call, what),
        "duplicate" => call
            .text_tag("header")
            .and_then(Text::as_constant)
            .filter(|n| !edit::valid_name(n))
            .map(|n| format!("invalid header name '{}' for {what}", printable(n))),
        "pipe" | "filter" | "execute" => bad_program(checker, call, what),
        "report" => bad_report(call, what),
        "error" | "debug_log" => None,
        "metadata" | "metadataexists" | "servermetadata" | "servermetadataexists" => None,
        _ => None,
    }
}

fn bad_regex(call: &Call) -> Option<String> {
    let last = call.args.len().checked_sub(1)?;
    let keys = if call.list(last).is_empty() { std::slice::from_ref(call.text(last)) } else { call.list(last) };
    constants(keys).find_map(|key| {
        let error = crate::compare::compile_regex(key, call.matcher.comparator).err()?;
        let line = error.lines().last().unwrap_or_default().trim().to_owned();
        Some(format!("invalid regular expression '{}' for the {} test: {line}", printable(key), call.spec.name))
    })
}

fn bad_names(names: &[Text], what: &str) -> Option<String> {
    let bad = constants(names).find(|n| !edit::valid_name(n))?;
    Some(format!("field name '{}' is invalid for {what}", printable(bad)))
}

fn bad_value(checker: &Checker<'_, '_>, text: &Text) -> Option<String> {
    let value = text.as_constant()?;
    if !edit::valid_value(value) {
        return Some(format!("value '{}' is invalid", printable(value)));
    }
    let limit = checker.library().limits().header_size;
    (value.len() > limit).then(|| format!("the value is longer than {limit} octets"))
}

fn bad_address(text: &Text, what: &str) -> Option<String> {
    let constant = text.as_constant()?;
    Mailbox::parse(constant).is_none().then(|| format!("invalid address '{}' for {what}", printable(constant)))
}

/// RFC 5260 4.2: unknown parts match nothing, and are surely mistakes.
fn bad_date_part(call: &Call, at: usize) -> Option<String> {
    const PARTS: &[&str] = &[
        "year", "month", "day", "date", "julian", "hour", "minute", "second", "time", "iso8601", "std11", "zone",
        "weekday",
    ];
    let zone = call.text_tag("zone").and_then(Text::as_constant);
    if let Some(zone) = zone.filter(|z| crate::exec::date::parse_zone(z).is_none()) {
        return Some(format!("invalid time zone '{}'", printable(zone)));
    }
    let part = call.text(at).as_constant()?;
    (!PARTS.iter().any(|p| p.eq_ignore_ascii_case(part))).then(|| format!("unknown date part '{}'", printable(part)))
}

/// RFC 5228 5.4, RFC 6009 3.
fn bad_envelope_part(checker: &Checker<'_, '_>, call: &Call) -> Option<String> {
    let known = |name: &str| match name {
        "from" | "to" | "auth" | "orig_to" => true,
        "notify" | "orcpt" | "ret" | "envid" => checker.has("envelope-dsn"),
        "bytimeabsolute" | "bytimerelative" | "bymode" | "bytrace" => checker.has("envelope-deliverby"),
        _ => false,
    };
    let bad = constants(call.list(0)).find(|n| !known(&n.to_ascii_lowercase()))?;
    Some(format!("unsupported envelope part '{}'", printable(bad)))
}

fn bad_redirect_tags(call: &Call) -> Option<String> {
    if let Some(notify) = call.text_tag("notify").and_then(Text::as_constant) {
        let words: Vec<String> = notify.split(',').map(|w| w.trim().to_ascii_uppercase()).collect();
        let fits = |w: &String| matches!(w.as_str(), "NEVER" | "SUCCESS" | "FAILURE" | "DELAY");
        if !words.iter().all(fits) || (words.iter().any(|w| w == "NEVER") && words.len() > 1) {
            return Some(format!("invalid ':notify' value '{}'", printable(notify)));
        }
    }
    let ret = call.text_tag("ret").and_then(Text::as_constant);
    if let Some(ret) = ret.filter(|r| !r.eq_ignore_ascii_case("FULL") && !r.eq_ignore_ascii_case("HDRS")) {
        return Some(format!("invalid ':ret' value '{}'", printable(ret)));
    }
    let mode = call.text_tag("bymode").and_then(Text::as_constant);
    mode.filter(|m| !m.eq_ignore_ascii_case("notify") && !m.eq_ignore_ascii_case("return"))
        .map(|m| format!("invalid ':bymode' value '{}'", printable(m)))
}

fn bad_vacation(call: &Call, what: &str) -> Option<String> {
    if let Some(from) = call.text_tag("from")
        && let Some(error) = bad_address(from, what)
    {
        return Some(error);
    }
    let addresses = call.list_tag("addresses").unwrap_or_default();
    if let Some(error) = addresses.iter().find_map(|a| bad_address(a, what)) {
        return Some(error);
    }
    let reason = call.text(0).as_constant()?;
    (call.has("mime")
        && !reason.replace("\r\n", "\n").contains("\n\n")
        && !reason.to_ascii_lowercase().contains("content-type"))
    .then(|| format!("':mime' of {what} needs a MIME entity: fields, an empty line, content"))
}

fn bad_modifiers(call: &Call, what: &str) -> Option<String> {
    // RFC 5229 4.1: two of the same precedence
    let pairs = [("lower", "upper"), ("lowerfirst", "upperfirst"), ("quotewildcard", "quoteregex")];
    let (a, b) = pairs.into_iter().find(|(a, b)| call.has(a) && call.has(b))?;
    Some(format!("':{a}' and ':{b}' exclude each other for {what}"))
}

fn bad_variable_text(checker: &mut Checker<'_, '_>, text: &Text, what: &str) -> Option<String> {
    let Some(name) = text.as_constant() else {
        return Some(format!("the variable name of {what} must be a constant"));
    };
    let identifier = name.strip_prefix("global.").filter(|_| checker.has("include")).unwrap_or(name);
    if let Some((space, _)) = name.split_once('.').filter(|_| identifier == name) {
        return Some(if crate::text::is_identifier(space) {
            format!("unknown variable name space in '{}' for {what}", printable(name))
        } else {
            format!("invalid variable name '{}' for {what}", printable(name))
        });
    }
    if !crate::text::is_identifier(identifier) {
        return Some(format!("invalid variable name '{}' for {what}", printable(name)));
    }
    if identifier.len() > 64 {
        return Some(format!("variable name longer than 64 characters for {what}"));
    }
    let limit = checker.library().limits().variables;
    if checker.variables.len() >= limit && !checker.variables.contains(&name.to_ascii_lowercase()) {
        // said once: the set is full from now on
        if checker.variables.insert("\0full".into()) {
            return Some(format!("more than {limit} variables"));
        }
        return None;
    }
    checker.variables.insert(name.to_ascii_lowercase());
    None
}

fn bad_variable(checker: &mut Checker<'_, '_>, text: &Text, what: &str) -> Option<String> {
    bad_variable_text(checker, text, what)
}

fn bad_flag_variable(checker: &mut Checker<'_, '_>, call: &Call, what: &str) -> Option<String> {
    if !call.given(0) {
        return None;
    }
    if !checker.has("variables") {
        return Some(format!("{what} takes no variable without require \"variables\""));
    }
    bad_variable_text(checker, call.text(0), what)
}

fn bad_global(checker: &mut Checker<'_, '_>, call: &Call, what: &str) -> Option<String> {
    if !checker.has("variables") {
        return Some(format!("{what} needs require \"variables\""));
    }
    for text in call.list(0) {
        let Some(name) = text.as_constant() else { return Some(format!("the names of {what} must be constants")) };
        if !crate::text::is_identifier(name) {
            return Some(format!("invalid variable name '{}' for {what}", printable(name)));
        }
        if checker.variables.contains(&name.to_ascii_lowercase())
            && !checker.globals.contains(&name.to_ascii_lowercase())
        {
            return Some(format!("variable '{}' is in use as a local one", printable(name)));
        }
        checker.globals.insert(name.to_ascii_lowercase());
    }
    None
}

fn bad_notify(checker: &Checker<'_, '_>, call: &Call, what: &str) -> Option<String> {
    if checker.library().limits().notifications == 0 {
        return Some("local policy prohibits the use of a notify action".into());
    }
    if let Some(importance) = call.text_tag("importance").and_then(Text::as_constant)
        && !matches!(importance.trim(), "1" | "2" | "3")
    {
        return Some(format!("invalid ':importance' '{}' for {what}", printable(importance)));
    }
    if let Some(from) = call.text_tag("from")
        && let Some(error) = bad_address(from, what)
    {
        return Some(error);
    }
    let uri = call.text(0).as_constant()?;
    if let Err(error) = notify::parse_mailto(uri) {
        return Some(format!("invalid notification URI '{}' for {what}: {error}", printable(uri)));
    }
    let options = call.list_tag("options").unwrap_or_default();
    constants(options)
        .find(|o| {
            // RFC 5435 3.6: l-d-token
            let token = |n: &str| {
                n.starts_with(|c: char| c.is_ascii_alphanumeric())
                    && n.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
            };
            o.split_once('=').is_none_or(|(name, value)| !token(name) || value.chars().any(char::is_control))
        })
        .map(|o| format!("invalid option '{}' for {what}", printable(o)))
}

fn bad_break(checker: &Checker<'_, '_>, call: &Call) -> Option<String> {
    if checker.loops.is_empty() {
        return Some("break stands outside of any foreverypart loop".into());
    }
    let name = call.text_tag("name").and_then(Text::as_constant)?;
    let known = checker.loops.iter().any(|l| l.as_deref() == Some(name));
    (!known).then(|| format!("no loop named '{}' around this break", printable(name)))
}

fn bad_program(checker: &Checker<'_, '_>, call: &Call, what: &str) -> Option<String> {
    if let Some(name) = call.text(0).as_constant().filter(|n| !program::valid_program(n)) {
        return Some(format!("invalid program name '{}' for {what}", printable(name)));
    }
    if constants(call.list(1)).any(|a| !program::valid_argument(a)) {
        return Some(format!("an argument for {what} has a character it may not have"));
    }
    let output = call.text_tag("output")?;
    match output.as_constant() {
        Some(name) if crate::text::is_identifier(name) => None,
        Some(name)
            if checker.has("include") && name.strip_prefix("global.").is_some_and(crate::text::is_identifier) =>
        {
            None
        }
        _ => Some(format!("':output' of {what} needs the name of a variable")),
    }
}

fn bad_report(call: &Call, what: &str) -> Option<String> {
    if let Some(kind) = call.text(0).as_constant().filter(|k| !report::valid_feedback_type(k)) {
        return Some(format!("'{}' is no feedback type for {what}", printable(kind)));
    }
    bad_address(call.text(2), what)
}

fn bad_mailbox_tags(call: &Call, what: &str) -> Option<String> {
    if let Some(flag) = call.text_tag("specialuse").and_then(Text::as_constant)
        && !valid_special_use(flag)
    {
        return Some(format!("invalid special-use flag '{}' for {what}", printable(flag)));
    }
    if call.spec.name == "specialuse_exists" {
        let bad = constants(call.list(1)).find(|f| !valid_special_use(f));
        return bad.map(|f| format!("invalid special-use flag '{}' for {what}", printable(f)));
    }
    None
}

/// RFC 6154 6: a backslash and an atom.
fn valid_special_use(flag: &str) -> bool {
    let name = flag.strip_prefix('\\').unwrap_or("");
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}
