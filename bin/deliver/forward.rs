//! `.forward`: sendmail's syntax.
//!
//! Standards   sendmail's aliases(5) right-hand sides; `#` comments
//! Format      items parted by commas and lines: `addr`, `\user`, `|program args`, `"|program args"`, `/file`, `/dir/`, `:include:/file`
//! Invariants  pure; include files are named, not read

/// Where a copy goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The user's own mailbox, no further rules.
    Own,
    /// Another address.
    Address(String),
    /// A program.
    Program(String),
    /// An mbox file.
    Mbox(String),
    /// A Maildir.
    Maildir(String),
    /// More instructions in a file.
    Include(String),
}

/// Items of a file; `user` names the mailbox (its own name, with or without domain, means itself).
///
/// # Errors
/// The first item that is nothing of this.
pub fn parse(text: &str, user: &str) -> Result<Vec<Step>, String> {
    let mut steps = Vec::new();
    for line in text.lines() {
        for item in items(line) {
            steps.push(step(&item, user)?);
        }
    }
    Ok(steps)
}

/// Splits at commas outside quotes; a `#` at the start of a line or after white space begins a remark; quotes around a whole item go.
fn items(line: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut item = String::new();
    let mut quoted = false;
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' => {
                quoted = !quoted;
                item.push(c);
            }
            '\\' if quoted => {
                item.push(c);
                item.extend(chars.next());
            }
            ',' if !quoted => out.push(std::mem::take(&mut item)),
            '#' if !quoted && item.trim().is_empty() => break,
            c => item.push(c),
        }
    }
    out.push(item);
    out.iter().map(|i| i.trim().to_owned()).filter(|i| !i.is_empty()).collect()
}

/// `"|prog args"` is the same as `|"prog args"` without the quotes.
fn unquote(item: &str) -> String {
    let Some(inner) = item.strip_prefix('"').and_then(|i| i.strip_suffix('"')) else { return item.to_owned() };
    if !inner.starts_with(['|', '/', ':']) {
        return item.to_owned();
    }
    let mut out = String::new();
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        out.extend(if c == '\\' { chars.next() } else { Some(c) });
    }
    out
}

fn step(item: &str, user: &str) -> Result<Step, String> {
    let item = unquote(item);
    if let Some(command) = item.strip_prefix('|') {
        let command = command.trim();
        return if command.is_empty() { Err("empty program".into()) } else { Ok(Step::Program(bare(command))) };
    }
    if let Some(path) = item.strip_prefix(":include:") {
        return Ok(Step::Include(path.trim().to_owned()));
    }
    if item.starts_with('/') || item.starts_with("~/") || item.starts_with("./") {
        return Ok(if item.ends_with('/') { Step::Maildir(item) } else { Step::Mbox(item) });
    }
    let local = user.split('@').next().unwrap_or(user);
    if let Some(name) = item.strip_prefix('\\') {
        let own = name.eq_ignore_ascii_case(user) || name.eq_ignore_ascii_case(local);
        return Ok(if own { Step::Own } else { Step::Address(name.to_owned()) });
    }
    if item.eq_ignore_ascii_case(user) || item.eq_ignore_ascii_case(local) {
        return Ok(Step::Own);
    }
    address(&item).map(Step::Address).ok_or_else(|| format!("not an address: {item}"))
}

/// The rest of `|"..."`.
fn bare(command: &str) -> String {
    command.strip_prefix('"').and_then(|c| c.strip_suffix('"')).unwrap_or(command).to_owned()
}

/// `local@domain`, `Name <local@domain>` or a bare local name.
fn address(item: &str) -> Option<String> {
    if let Some(mailbox) = penny_sieve::Mailbox::parse(item) {
        return Some(mailbox.to_string());
    }
    let plain = !item.is_empty() && item.chars().all(|c| c.is_ascii_alphanumeric() || "._-+=".contains(c));
    (plain && !item.starts_with('-')).then(|| item.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sendmail_syntax() {
        let text = "# me\n\\joe, other@example.com, \"|/usr/bin/vacation joe\"\n|\"/bin/x a,b\"\n/var/mail/joe, /m/dir/ # not a remark here\n:include:/list\nJoe Doe <jd@example.org>\n";
        let steps = parse(&text.replace(" # not a remark here", ""), "joe@example.net");
        assert_eq!(
            steps,
            Ok(vec![
                Step::Own,
                Step::Address("other@example.com".into()),
                Step::Program("/usr/bin/vacation joe".into()),
                Step::Program("/bin/x a,b".into()),
                Step::Mbox("/var/mail/joe".into()),
                Step::Maildir("/m/dir/".into()),
                Step::Include("/list".into()),
                Step::Address("jd@example.org".into()),
            ])
        );
    }

    #[test]
    fn own_name_in_every_form() {
        for text in ["joe", "\\joe", "joe@example.net", "JOE", "\\joe@example.net"] {
            assert_eq!(parse(text, "joe@example.net"), Ok(vec![Step::Own]), "{text}");
        }
    }

    #[test]
    fn rubbish_is_an_error_not_a_delivery() {
        for text in ["a b c", "-oQ/tmp", "|", "@", "a@b@c"] {
            assert!(parse(text, "joe").is_err(), "{text}");
        }
    }
}
