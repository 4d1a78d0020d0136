//! One command line as a checked value.
//!
//! Standards   RFC 5321 4.1.1, 4.1.2; RFC 6531 3.4 (SMTPUTF8 at MAIL, UTF-8 in VRFY and EXPN); RFC 3030 (BDAT); RFC 4954
//! Invariants  no control character is in any value
//! Quirks      `quirk_space_after_colon`: `MAIL FROM: <a@b>` is taken (4.1.1: spaces there are not allowed, yet common);
//!             trailing spaces are dropped (RFC 5321 4.1.1 asks receivers to)

use penny_addr::{AddrError, Charset, ForwardPath, MailParams, RcptParams, ReversePath};

/// Which greeting was used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HelloVerb {
    /// HELO
    Helo,
    /// EHLO
    Ehlo,
    /// LHLO (RFC 2033)
    Lhlo,
}

/// A command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// HELO, EHLO, LHLO.
    Hello(HelloVerb, String),
    /// MAIL FROM
    Mail(ReversePath, Box<MailParams>),
    /// RCPT TO
    Rcpt(ForwardPath, Box<RcptParams>),
    /// DATA
    Data,
    /// BDAT size, LAST
    Bdat(u64, bool),
    /// RSET
    Rset,
    /// NOOP
    Noop,
    /// QUIT
    Quit,
    /// VRFY
    Vrfy(String),
    /// EXPN
    Expn(String),
    /// HELP
    Help,
    /// STARTTLS
    StartTls,
    /// AUTH mechanism, initial response (base64, or `=` for an empty one)
    Auth(String, Option<String>),
    /// XCLIENT
    Xclient(String),
    /// XFORWARD
    Xforward(String),
    /// ETRN, TURN and the like: known, not offered
    NotOffered,
}

/// Why a line is no command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandError {
    /// Control characters or not UTF-8.
    BadOctet,
    /// A verb nobody knows.
    Unknown,
    /// A request of HTTP: close.
    Http,
    /// Wrong arguments for a known verb; the text says what is expected.
    Syntax(&'static str),
    /// A path or parameter; `true` for the sender.
    Address(AddrError, bool),
    /// A chunk size that is no number: close, for the octets after it cannot be told from commands.
    ChunkSize,
}

/// Parses a line without its CRLF. `transaction` is the character set MAIL has agreed on.
pub fn parse(line: &[u8], transaction: Charset) -> Result<Command, CommandError> {
    let text = std::str::from_utf8(line).map_err(|_| CommandError::BadOctet)?;
    if text.chars().any(char::is_control) {
        return Err(CommandError::BadOctet);
    }
    let text = text.trim_end_matches(' ');
    let (verb, rest) = text.split_once(' ').unwrap_or((text, ""));
    let rest = rest.trim_start_matches(' ');
    match verb.to_ascii_uppercase().as_str() {
        "HELO" => hello(HelloVerb::Helo, rest),
        "EHLO" => hello(HelloVerb::Ehlo, rest),
        "LHLO" => hello(HelloVerb::Lhlo, rest),
        "MAIL" => mail(rest),
        "RCPT" => rcpt(rest, transaction),
        "DATA" => bare(rest, Command::Data, "DATA takes no argument"),
        "BDAT" => bdat(rest),
        "RSET" => bare(rest, Command::Rset, "RSET takes no argument"),
        "NOOP" => Ok(Command::Noop),
        "QUIT" => bare(rest, Command::Quit, "QUIT takes no argument"),
        "VRFY" => named(rest, Command::Vrfy, "VRFY address"),
        "EXPN" => named(rest, Command::Expn, "EXPN list"),
        "HELP" => Ok(Command::Help),
        "STARTTLS" => bare(rest, Command::StartTls, "STARTTLS takes no argument"),
        "AUTH" => auth(rest),
        "XCLIENT" => named(rest, Command::Xclient, "XCLIENT name=value ..."),
        "XFORWARD" => named(rest, Command::Xforward, "XFORWARD name=value ..."),
        "ETRN" | "ATRN" | "TURN" | "SEND" | "SOML" | "SAML" | "BURL" => Ok(Command::NotOffered),
        "GET" | "POST" | "PUT" | "HEAD" | "OPTIONS" | "CONNECT" | "PRI" | "TRACE" | "DELETE" => Err(CommandError::Http),
        _ => Err(CommandError::Unknown),
    }
}

fn bare(rest: &str, command: Command, usage: &'static str) -> Result<Command, CommandError> {
    if rest.is_empty() { Ok(command) } else { Err(CommandError::Syntax(usage)) }
}

fn named(rest: &str, make: fn(String) -> Command, usage: &'static str) -> Result<Command, CommandError> {
    if rest.is_empty() { Err(CommandError::Syntax(usage)) } else { Ok(make(rest.to_owned())) }
}

/// RFC 5321 4.1.1.1 wants a domain or address literal; names in use are worse, so any visible ASCII word is taken here
/// and judged by policy. RFC 6531 3.7.1: no U-labels.
fn hello(verb: HelloVerb, rest: &str) -> Result<Command, CommandError> {
    let visible = !rest.is_empty() && rest.len() <= 255 && rest.bytes().all(|b| b.is_ascii_graphic());
    let usage = CommandError::Syntax("a host name or address literal is required");
    if visible { Ok(Command::Hello(verb, rest.to_owned())) } else { Err(usage) }
}

/// Strips `FROM:` or `TO:` without regard to case.
fn keyword<'a>(rest: &'a str, word: &str) -> Option<&'a str> {
    let head = rest.get(..word.len())?;
    head.eq_ignore_ascii_case(word).then(|| rest.get(word.len()..).unwrap_or_default().trim_start_matches(' '))
}

fn mail(rest: &str) -> Result<Command, CommandError> {
    let text = keyword(rest, "FROM:").ok_or(CommandError::Syntax("MAIL FROM:<address> [parameters]"))?;
    let address = |e| CommandError::Address(e, true);
    let (path, tail) = ReversePath::take(text, Charset::Utf8).map_err(address)?;
    let params = MailParams::parse(tail, Charset::Utf8).map_err(address)?;
    // RFC 6531 3.4: UTF-8 may stand in the command only with the parameter
    if !params.smtputf8 && !text.is_ascii() {
        return Err(address(AddrError::NeedsSmtpUtf8));
    }
    Ok(Command::Mail(path, Box::new(params)))
}

fn rcpt(rest: &str, charset: Charset) -> Result<Command, CommandError> {
    let text = keyword(rest, "TO:").ok_or(CommandError::Syntax("RCPT TO:<address> [parameters]"))?;
    let address = |e| CommandError::Address(e, false);
    let (path, tail) = ForwardPath::take(text, charset).map_err(address)?;
    let params = RcptParams::parse(tail, charset).map_err(address)?;
    Ok(Command::Rcpt(path, Box::new(params)))
}

/// RFC 3030 2: chunk-size = 1*DIGIT, optionally LAST. A number that does not fit counts as the largest.
fn bdat(rest: &str) -> Result<Command, CommandError> {
    let mut words = rest.split(' ').filter(|word| !word.is_empty());
    let size = words.next().unwrap_or_default();
    let last = words.next();
    let number = (1..=20).contains(&size.len()) && size.bytes().all(|b| b.is_ascii_digit());
    let last_ok = last.is_none_or(|word| word.eq_ignore_ascii_case("LAST"));
    if !number || !last_ok || words.next().is_some() {
        return Err(CommandError::ChunkSize);
    }
    Ok(Command::Bdat(size.parse().unwrap_or(u64::MAX), last.is_some()))
}

/// RFC 4954 4: AUTH mechanism [initial-response].
fn auth(rest: &str) -> Result<Command, CommandError> {
    let usage = CommandError::Syntax("AUTH mechanism [initial response]");
    let mut words = rest.split(' ').filter(|word| !word.is_empty());
    let mechanism = words.next().ok_or(usage)?.to_ascii_uppercase();
    let initial = words.next();
    let name_ok = mechanism.len() <= 20 && mechanism.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    if !name_ok || words.next().is_some() {
        return Err(usage);
    }
    match initial {
        Some(data) if data != "=" && !super::is_base64(data) => Err(CommandError::Syntax("invalid base64")),
        _ => Ok(Command::Auth(mechanism, initial.map(str::to_owned))),
    }
}
