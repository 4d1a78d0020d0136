//! Pulls a whole account from another IMAP server: folders, flags, keywords, dates, subscriptions.
//!
//! Standards   RFC 9051 and RFC 3501; RFC 2342 (NAMESPACE), RFC 4959 (SASL-IR), RFC 4616 (PLAIN), RFC 7628 (OAUTHBEARER; XOAUTH2 as deployed)
//! Invariants  1. nothing changes on the server: EXAMINE and BODY.PEEK only   2. a message is known by folder, UIDVALIDITY and UID, so a
//!             second run with the same notes fetches what is new   3. passwords travel only inside TLS or a tunnel, unless the caller says so
//! Failures    one message or folder that cannot be read is reported and left out; the rest still comes

mod url;
mod value;
mod wire;

use std::collections::{BTreeMap, HashMap};
use std::io::{Read, Write};
use std::time::{Duration, UNIX_EPOCH};

use anyhow::{Context, bail, ensure};
use penny_maildir::{FlagSet, FolderName, NameStyle};
use url::Account;
pub use url::is_url;
use value::{Chunk, Value, pair, parse};
use wire::Wire;

use crate::args::Import;
use crate::output;
use crate::source::{Item, Sink, copy_lf};

/// Messages asked for in one command.
const FETCHED: usize = 50;
/// Longest message whose UID comes after it.
const EARLY_MAX: u64 = 64 << 20;
/// UIDs in one question about flags.
const LISTED: usize = 500;

/// A folder of the server.
pub struct Remote {
    /// As the server writes it.
    raw: String,
    /// As it will be called here.
    pub name: FolderName,
}

/// A session that is logged in.
pub struct Session {
    wire: Wire,
    capabilities: Vec<String>,
    /// What could not be read, for the exit code.
    pub failed: u64,
}

/// Connects, protects the connection, logs in.
pub fn login(options: &Import, url: &str) -> anyhow::Result<Session> {
    let account =
        Account::parse(url).ok_or_else(|| crate::args::Usage(format!("{url}: not imap[s]://user@host[:port]/")))?;
    let mut wire = match &options.tunnel {
        Some(command) => Wire::tunnel(command)?,
        None => Wire::connect(&account.host, account.port)?,
    };
    let direct = options.tunnel.is_none();
    if direct && account.implicit {
        wire.start_tls(&account.host, options.ca_file.as_deref())?;
    }
    let mut session = Session { wire, capabilities: Vec::new(), failed: 0 };
    let greeting = session.untagged()?;
    let known = greeting.first().is_some_and(|g| g.is("PREAUTH"));
    ensure!(known || greeting.first().is_some_and(|g| g.is("OK")), "the server refuses: {}", words(&greeting));
    if direct && !account.implicit && !options.plaintext {
        ensure!(!known, "the server logs in before STARTTLS"); // RFC 9051 11.1: PREAUTH would skip the protection
        session.command("STARTTLS").context("STARTTLS (--plaintext does without)")?;
        session.wire.start_tls(&account.host, options.ca_file.as_deref())?;
    }
    session.learn()?;
    if !known {
        session.authenticate(&account.user, &secret(options)?, options.oauth2)?;
        session.learn()?;
    }
    Ok(session)
}

/// The first line of the password file, or of standard input.
fn secret(options: &Import) -> anyhow::Result<String> {
    let text = match &options.password_file {
        Some(path) => std::fs::read_to_string(path).with_context(|| path.display().to_string())?,
        None => {
            let mut line = String::new();
            std::io::stdin().read_line(&mut line).context("reading the password")?;
            line
        }
    };
    let first = text.lines().next().unwrap_or_default().to_owned();
    ensure!(
        !first.is_empty(),
        crate::args::Usage("no password: the first line of --password-file or standard input".into())
    );
    Ok(first)
}

impl Session {
    /// The next response without its `*`.
    fn untagged(&mut self) -> anyhow::Result<Vec<Value>> {
        let mut values = parse(&self.wire.response(&mut nothing)?);
        ensure!(values.first().is_some_and(|v| v.is("*")), "not an IMAP server: {}", words(&values));
        values.remove(0);
        Ok(values)
    }

    /// Runs a command to its end; all untagged responses.
    fn command(&mut self, text: &str) -> anyhow::Result<Vec<Vec<Value>>> {
        let tag = self.wire.send(text)?;
        self.finish(&tag)
    }

    fn finish(&mut self, tag: &str) -> anyhow::Result<Vec<Vec<Value>>> {
        let mut all = Vec::new();
        loop {
            let mut values = parse(&self.wire.response(&mut nothing)?);
            ensure!(!values.is_empty(), "the server sent an empty line");
            let first = values.remove(0);
            if first.is(tag) {
                ensure!(values.first().is_some_and(|v| v.is("OK")), Refused(words(&values)));
                all.push(values);
                return Ok(all);
            }
            if values.first().is_some_and(|v| v.is("BYE")) {
                bail!("the server closes: {}", words(&values));
            }
            all.push(values);
        }
    }

    fn learn(&mut self) -> anyhow::Result<()> {
        let lines = self.command("CAPABILITY")?;
        let line = lines.iter().find(|l| l.first().is_some_and(|w| w.is("CAPABILITY")));
        self.capabilities =
            line.into_iter().flatten().filter_map(Value::text).map(|c| c.to_ascii_uppercase()).collect();
        Ok(())
    }

    fn can(&self, capability: &str) -> bool {
        self.capabilities.iter().any(|c| c == capability)
    }

    fn authenticate(&mut self, user: &str, secret: &str, oauth2: bool) -> anyhow::Result<()> {
        let said = if oauth2 && self.can("AUTH=OAUTHBEARER") {
            // RFC 5801 4: what separates fields of the header is escaped
            let name = user.replace('=', "=3D").replace(',', "=2C");
            self.sasl("OAUTHBEARER", &format!("n,a={name},\x01auth=Bearer {secret}\x01\x01"))
        } else if oauth2 {
            self.sasl("XOAUTH2", &format!("user={user}\x01auth=Bearer {secret}\x01\x01"))
        } else if self.can("AUTH=PLAIN") {
            self.sasl("PLAIN", &format!("\0{user}\0{secret}"))
        } else {
            ensure!(!self.can("LOGINDISABLED"), "the server takes no password here");
            self.command(&format!("LOGIN {} {}", quoted(user)?, quoted(secret)?)).map(drop)
        };
        said.with_context(|| format!("logging in as {user}"))
    }

    fn sasl(&mut self, mechanism: &str, response: &str) -> anyhow::Result<()> {
        // the answer to a challenge that only tells why a token is refused: RFC 7628 3.2.3, and nothing for XOAUTH2
        let dummy = if mechanism == "OAUTHBEARER" { "AQ==" } else { "" };
        let encoded = penny_sasl::base64_encode(response.as_bytes());
        if self.can("SASL-IR") {
            let tag = self.wire.send(&format!("AUTHENTICATE {mechanism} {encoded}"))?;
            return self.answer_challenges(&tag, None, dummy);
        }
        let tag = self.wire.send(&format!("AUTHENTICATE {mechanism}"))?;
        self.answer_challenges(&tag, Some(encoded), dummy)
    }

    /// The response once; a further challenge gets `dummy`.
    fn answer_challenges(&mut self, tag: &str, mut response: Option<String>, dummy: &str) -> anyhow::Result<()> {
        for _ in 0..20 {
            let values = parse(&self.wire.response(&mut nothing)?);
            match values.first() {
                Some(v) if v.is("+") => {
                    let line = format!("{}\r\n", response.take().unwrap_or_else(|| dummy.into()));
                    self.wire.raw(line.as_bytes())?;
                }
                Some(v) if v.is(tag) => {
                    let ok = values.get(1).is_some_and(|v| v.is("OK"));
                    ensure!(ok, Refused(words(values.get(1..).unwrap_or_default())));
                    return Ok(());
                }
                _ => {}
            }
        }
        bail!("the login does not end")
    }

    /// All folders that can be opened.
    pub fn folders(&mut self) -> anyhow::Result<Vec<Remote>> {
        let prefix = if self.can("NAMESPACE") { self.personal_prefix()? } else { String::new() };
        let lines = self.command("LIST \"\" \"*\"")?;
        let mut folders = Vec::new();
        for line in lines.iter().filter(|l| l.first().is_some_and(|w| w.is("LIST"))) {
            let flags = line.get(1).map_or(&[][..], Value::list);
            if flags.iter().any(|f| f.is("\\Noselect") || f.is("\\NonExistent")) {
                continue;
            }
            let separator = line.get(2).and_then(Value::text).filter(|s| s != "NIL");
            let Some(raw) = line.get(3).and_then(Value::text) else { continue };
            match local_name(&raw, separator.as_deref(), &prefix) {
                Ok(name) => folders.push(Remote { raw, name }),
                Err(e) => self.report(&raw, &e.to_string()),
            }
        }
        // INBOX first, and each once
        folders.sort_by(|a, b| a.name.cmp(&b.name));
        folders.dedup_by(|a, b| a.raw == b.raw);
        Ok(folders)
    }

    fn personal_prefix(&mut self) -> anyhow::Result<String> {
        let lines = self.command("NAMESPACE")?;
        let line = lines.iter().find(|l| l.first().is_some_and(|w| w.is("NAMESPACE")));
        let personal = line.and_then(|l| l.get(1)).and_then(|v| v.list().first());
        Ok(personal.and_then(|p| p.list().first()).and_then(Value::text).unwrap_or_default())
    }

    /// Names the user is subscribed to.
    pub fn subscriptions(&mut self, folders: &[Remote]) -> anyhow::Result<Vec<FolderName>> {
        let lines = self.command("LSUB \"\" \"*\"")?;
        let names: Vec<String> = lines
            .iter()
            .filter(|l| l.first().is_some_and(|w| w.is("LSUB")))
            .filter_map(|l| l.get(3).and_then(Value::text))
            .collect();
        Ok(folders.iter().filter(|f| names.contains(&f.raw)).map(|f| f.name.clone()).collect())
    }

    /// How many messages the folders hold, as far as the server says.
    pub fn total(&mut self, folders: &[Remote]) -> anyhow::Result<u64> {
        let mut sum = 0;
        for folder in folders {
            let Ok(lines) = self.command(&format!("STATUS {} (MESSAGES)", quoted(&folder.raw)?)) else { continue };
            let items = lines.iter().find(|l| l.first().is_some_and(|w| w.is("STATUS"))).and_then(|l| l.get(2));
            let count = items.and_then(|i| pair(i.list(), "MESSAGES")).and_then(Value::text);
            sum += count.and_then(|c| c.parse::<u64>().ok()).unwrap_or(0);
        }
        Ok(sum)
    }

    /// Hands every message of a folder to the sink.
    pub fn read(&mut self, folder: &Remote, at: &mut u64, sink: &mut impl Sink) -> anyhow::Result<()> {
        let opened = self.command(&format!("EXAMINE {}", quoted(&folder.raw)?));
        let lines = match opened {
            Ok(lines) => lines,
            Err(e) if e.is::<Refused>() => {
                self.report(&folder.raw, &e.to_string());
                return Ok(());
            }
            Err(e) => return Err(e),
        };
        let validity = lines.iter().find_map(|l| code(l, "UIDVALIDITY")).unwrap_or_default();
        let mut uids = self.uids()?;
        uids.sort_unstable();
        let place = Place { folder, key: format!("imap:{}:{validity}:", folder.raw) };
        for some in uids.chunks(LISTED) {
            let listed = self.list(some)?;
            self.bodies(&place, listed, at, sink)?;
        }
        Ok(())
    }

    fn uids(&mut self) -> anyhow::Result<Vec<u32>> {
        let lines = self.command("UID SEARCH ALL")?;
        let found = lines.iter().filter(|l| l.first().is_some_and(|w| w.is("SEARCH")));
        Ok(found.flatten().filter_map(|v| v.text()?.parse().ok()).collect())
    }

    /// Flags and dates of messages.
    fn list(&mut self, uids: &[u32]) -> anyhow::Result<Vec<Listed>> {
        let set = uids.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
        let lines = self.command(&format!("UID FETCH {set} (UID FLAGS INTERNALDATE)"))?;
        let mut known = HashMap::new();
        for items in lines.iter().filter_map(|l| fetch_items(l)) {
            let uid = pair(items, "UID").and_then(Value::text).and_then(|u| u.parse::<u32>().ok());
            let (Some(uid), Some(flags)) = (uid, pair(items, "FLAGS")) else { continue };
            let date = pair(items, "INTERNALDATE").and_then(Value::text);
            known.insert(uid, Listed { uid, set: FlagSet::of(flags.list().iter().filter_map(Value::text)), date });
        }
        Ok(uids.iter().filter_map(|uid| known.remove(uid)).collect())
    }

    /// Fetches the bodies that the sink wants, a set at a time.
    fn bodies(
        &mut self,
        place: &Place<'_>,
        listed: Vec<Listed>,
        at: &mut u64,
        sink: &mut impl Sink,
    ) -> anyhow::Result<()> {
        let mut wanted = Vec::new();
        for one in listed {
            *at += 1;
            if sink.wants(&place.item(&one, *at)) {
                wanted.push(one);
            }
        }
        let mut rest = wanted.into_iter().peekable();
        while rest.peek().is_some() {
            let set: BTreeMap<u32, Listed> = rest.by_ref().take(FETCHED).map(|one| (one.uid, one)).collect();
            let left = self.fetch(place, set, *at, sink)?;
            // the server refused the set: each alone, so that one bad message costs only itself
            for one in left {
                let uid = one.uid;
                let alone = self.fetch(place, BTreeMap::from([(uid, one)]), *at, sink)?;
                if !alone.is_empty() {
                    self.report(&format!("{} UID {uid}", place.folder.raw), "the server does not give this message");
                }
            }
        }
        Ok(())
    }

    /// Fetches messages; those that a server that says NO has not sent.
    fn fetch<S: Sink>(
        &mut self,
        place: &Place<'_>,
        mut wanted: BTreeMap<u32, Listed>,
        at: u64,
        sink: &mut S,
    ) -> anyhow::Result<Vec<Listed>> {
        let set = wanted.keys().map(u32::to_string).collect::<Vec<_>>().join(",");
        let tag = self.wire.send(&format!("UID FETCH {set} (UID BODY.PEEK[])"))?;
        loop {
            let mut taken: Option<(u32, S::Out)> = None;
            let mut early: Vec<u8> = Vec::new();
            let chunks = self.wire.response(&mut |before, data| {
                let Some(uid) = uid_of(before) else {
                    // told only after the message: kept until then
                    let limit = EARLY_MAX + 1;
                    data.take(limit).read_to_end(&mut early).context("reading a message")?;
                    ensure!(
                        (early.len() as u64) < limit,
                        "a message comes before its UID, and is too long to wait for that"
                    );
                    return Ok(());
                };
                let Some(one) = wanted.get(&uid).filter(|_| taken.is_none()) else { return Ok(()) };
                if let Some(mut out) = sink.begin(&place.item(one, at))? {
                    copy_lf(&mut &mut *data, &mut out).context("storing a message")?;
                    taken = Some((uid, out));
                }
                Ok(())
            })?;
            let values = parse(&chunks);
            if values.first().is_some_and(|v| v.is(&tag)) {
                let ok = values.get(1).is_some_and(|v| v.is("OK"));
                // OK, and no message: it went away meanwhile
                return Ok(if ok { Vec::new() } else { wanted.into_values().collect() });
            }
            let closing = values.get(1).is_some_and(|v| v.is("BYE"));
            ensure!(!closing, "the server closes: {}", words(&values));
            let items = fetch_items(values.get(1..).unwrap_or_default()).unwrap_or_default();
            let whole = match pair(items, "BODY[]") {
                Some(Value::Streamed) => Some(early.as_slice()),
                Some(Value::Text(text)) => Some(text.as_slice()),
                _ => None,
            };
            if let (None, Some(whole), Some(uid)) = (&taken, whole, uid_of(&chunks))
                && let Some(one) = wanted.get(&uid)
                && let Some(mut out) = sink.begin(&place.item(one, at))?
            {
                copy_lf(&mut &whole[..], &mut out).context("storing a message")?;
                taken = Some((uid, out));
            }
            if let Some((uid, out)) = taken
                && let Some(one) = wanted.remove(&uid)
            {
                sink.done(place.item(&one, at), out)?;
            }
        }
    }

    fn report(&mut self, what: &str, why: &str) {
        self.failed += 1;
        let line = output::one_line(&format!("maildirctl: {what}: {why}"));
        let _ = writeln!(std::io::stderr(), "{line}");
    }

    /// Says good-bye; no answer is waited for.
    pub fn logout(mut self) {
        let _ = self.wire.send("LOGOUT");
    }
}

/// The server said NO or BAD.
#[derive(Debug)]
pub struct Refused(String);

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

/// The folder being read.
struct Place<'a> {
    folder: &'a Remote,
    key: String,
}

impl<'a> Place<'a> {
    fn item(&self, one: &Listed, at: u64) -> Item<'a> {
        let date = one.date.as_deref().and_then(internal_date);
        Item {
            key: format!("{}{}", self.key, one.uid),
            folder: &self.folder.name,
            set: one.set.clone(),
            date: date.map(|d| UNIX_EPOCH + Duration::from_secs(d)),
            at,
        }
    }
}

/// What is known of a message before it is read.
struct Listed {
    uid: u32,
    set: FlagSet,
    date: Option<String>,
}

fn nothing(_: &[Chunk], _: &mut dyn Read) -> anyhow::Result<()> {
    Ok(())
}

/// The UID that a FETCH response (or its start) names.
fn uid_of(chunks: &[Chunk]) -> Option<u32> {
    let values = parse(chunks);
    pair(fetch_items(values.get(1..)?)?, "UID")?.text()?.parse().ok()
}

/// The list of `n FETCH (...)`.
fn fetch_items(values: &[Value]) -> Option<&[Value]> {
    values.get(1).filter(|v| v.is("FETCH"))?;
    values.get(2).map(Value::list)
}

/// `[NAME value]` in a status response.
fn code(line: &[Value], name: &str) -> Option<String> {
    let text = line.iter().filter_map(Value::text).collect::<Vec<_>>().join(" ");
    let at = text.find(&format!("[{name} "))?;
    Some(text.get(at + name.len() + 2..)?.chars().take_while(char::is_ascii_digit).collect())
}

fn words(values: &[Value]) -> String {
    values.iter().filter_map(Value::text).collect::<Vec<_>>().join(" ").chars().take(300).collect()
}

/// A quoted string; names and passwords with other octets than these have none.
fn quoted(text: &str) -> anyhow::Result<String> {
    ensure!(!text.contains(['\r', '\n', '\0']), crate::args::Usage("a name or password with a line end".into()));
    Ok(format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")))
}

/// `17-Jul-1996 02:44:25 -0700`, seconds since 1970.
fn internal_date(text: &str) -> Option<u64> {
    let spaced = text.trim().replacen('-', " ", 2);
    penny_mime::DateTime::parse(spaced.as_bytes()).and_then(|d| u64::try_from(d.unix()).ok())
}

/// The name here: without the personal prefix, levels as levels; characters a Maildir cannot hold become `_`.
fn local_name(raw: &str, separator: Option<&str>, prefix: &str) -> anyhow::Result<FolderName> {
    if raw.eq_ignore_ascii_case("INBOX") {
        return Ok(FolderName::inbox());
    }
    let bare = raw.get(..prefix.len()).filter(|p| p.eq_ignore_ascii_case(prefix)).map_or(raw, |_| &raw[prefix.len()..]);
    let decoded = penny_maildir::mutf7::decode(bare).unwrap_or_else(|| bare.to_owned());
    let separator = separator.and_then(|s| s.chars().next());
    let parts: Vec<String> = match separator {
        Some(c) => decoded.split(c).map(storable).collect(),
        None => vec![storable(&decoded)],
    };
    Ok(FolderName::from_parts(&parts.into_iter().filter(|p| !p.is_empty()).collect::<Vec<_>>())?)
}

fn storable(part: &str) -> String {
    part.chars().map(|c| if matches!(c, '.' | '/') || c.is_control() { '_' } else { c }).collect()
}

/// A folder named on the command line.
pub fn named(folder: &Remote, names: &[String]) -> bool {
    let local = folder.name.to_utf8(&NameStyle::default());
    names.iter().any(|n| *n == folder.raw || *n == local || n.eq_ignore_ascii_case("INBOX") && folder.name.is_inbox())
}

#[cfg(test)]
mod tests {
    use super::*;
    use penny_maildir::Flags;

    #[test]
    fn names_of_other_servers() {
        let name = |raw, sep, prefix| local_name(raw, sep, prefix).map(|n| n.parts().join("|")).unwrap_or_default();
        assert_eq!(name("INBOX.Sent.2024", Some("."), "INBOX."), "Sent|2024");
        assert_eq!(name("Entw&APw-rfe", Some("/"), ""), "Entwürfe");
        assert_eq!(name("a.b/c", Some("/"), ""), "a_b|c");
        assert_eq!(name("../../etc", Some("/"), ""), "__|__|etc");
        assert_eq!(name("[Gmail]/All Mail", Some("/"), ""), "[Gmail]|All Mail");
    }

    #[test]
    fn dates_and_flags() {
        assert_eq!(internal_date("17-Jul-1996 02:44:25 -0700"), Some(837_596_665));
        assert_eq!(internal_date(" 1-Jan-1970 00:00:10 +0000"), Some(10));
        assert_eq!(internal_date("rubbish"), None);
        let list = parse(&[Chunk::Line(b"(\\Seen \\Recent $Work \\X)".to_vec())]);
        let set = FlagSet::of(list[0].list().iter().filter_map(Value::text));
        assert_eq!((set.flags, set.keywords), (Flags::SEEN, vec!["$Work".to_string()]));
    }
}
