//! Scripts that run because something happened to a message.
//!
//! Standards   RFC 6785 (IMAPSIEVE): APPEND, COPY and MOVE (at the target), STORE; the script is named by the annotation
//!             `/shared/imapsieve/script` of the mailbox, else of the server, else by `imapd.imapsieve_script`
//! Contract    `deliver --event CAUSE MAILBOX SCRIPT`, as the user: deliver(8)
//! Invariants  1. the client's answer never depends on a script   2. what a script changes starts no script   3. one command runs at most
//!             [`EVENTS_MAX`] of them and waits at most [`PATIENCE`] for each
use super::selected::Selected;
use super::spaces::{Place, Spaces};
use penny_base::{Config, log};
use penny_maildir::{FlagOp, FlagSet, Flags, FolderName, Mailbox};
use std::fs::File;
use std::io::Read;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Most messages of one command.
const EVENTS_MAX: usize = 100;
/// Time for one message.
const PATIENCE: Duration = Duration::from_secs(30);
/// Where the name of the script is written.
const ANNOTATION: &str = "/shared/imapsieve/script";

/// Whether scripts may run at all.
pub fn enabled(config: &Config) -> bool {
    !config.imapd.imapsieve.is_empty() || !config.imapd.imapsieve_script.is_empty()
}

/// What happened to messages.
#[derive(Clone, Copy)]
pub enum What<'a> {
    Append,
    /// COPY or MOVE, out of this mailbox as clients name it.
    Copy(&'a str),
    /// These flags were named by a STORE.
    Flag(&'a str),
}

impl What<'_> {
    /// RFC 6785 4.2.
    fn cause(self) -> &'static str {
        match self {
            What::Append => "APPEND",
            What::Copy(_) => "COPY",
            What::Flag(_) => "FLAG",
        }
    }
}

/// What may start a script in this session.
pub struct Events<'a> {
    pub config: &'a Config,
    pub spaces: &'a Spaces,
}

impl Events<'_> {
    /// Something happened to messages of a mailbox; the UIDs whose flags a script changed. A script is its user's: it does not
    /// run on mail of others.
    pub fn happened(&self, place: &Place, mailbox: &mut Mailbox, uids: &[u32], what: What<'_>) -> Vec<u32> {
        if !enabled(self.config) || uids.is_empty() || !place.is_own() {
            return Vec::new();
        }
        let Some(script) = self.script(&place.folder) else { return Vec::new() };
        let name = self.spaces.text(place);
        let mut touched = Vec::new();
        for &uid in uids.iter().take(EVENTS_MAX) {
            match self.one(mailbox, &name, uid, (what, &script)) {
                Ok(true) => touched.push(uid),
                Ok(false) => {}
                Err(why) => {
                    log::warning("imapsieve-failed", None, &[("mailbox", &name), ("script", &script), ("why", &why)]);
                    break;
                }
            }
        }
        touched
    }

    /// RFC 6785 3.3: the mailbox's own, else the server's; an empty value is none. Without either what the configuration says.
    fn script(&self, folder: &FolderName) -> Option<String> {
        let own = self.spaces.own.annotations(folder).ok().and_then(|a| a.get(ANNOTATION).ok()?);
        let value = own.or_else(|| self.spaces.own.server_annotations().get(ANNOTATION).ok()?);
        let value = value.map(|v| String::from_utf8_lossy(&v).trim().to_owned());
        Some(value.unwrap_or_else(|| self.config.imapd.imapsieve_script.clone())).filter(|s| !s.is_empty())
    }

    fn one(&self, mailbox: &mut Mailbox, name: &str, uid: u32, how: (What<'_>, &str)) -> Result<bool, String> {
        let (what, script) = how;
        let Some(message) = mailbox.get(uid) else { return Ok(false) };
        let before = FlagSet { flags: message.flags, keywords: mailbox.keyword_names(message.keywords).collect() };
        let file = mailbox.open_message(uid).map_err(|e| e.to_string())?;
        let mut command = Command::new(self.config.program("deliver"));
        command.arg("-c").arg(&self.config.file).args(["--event", what.cause(), name, script]);
        command.env("IMAP_FLAGS", words(&before));
        match what {
            What::Append => {}
            What::Copy(from) => drop(command.env("IMAP_MAILBOX_FROM", from)),
            What::Flag(changed) => drop(command.env("IMAP_CHANGED_FLAGS", changed)),
        }
        let answer = run(command, file)?;
        let mut lines = answer.lines();
        let wanted = match lines.next() {
            Some("discard") => FlagSet { flags: before.flags.union(Flags::DELETED), keywords: before.keywords.clone() },
            Some("keep") => lines.next().and_then(|l| l.strip_prefix("flags")).map_or_else(|| before.clone(), set_of),
            _ => return Err("no answer".into()),
        };
        let same = wanted.flags == before.flags && sorted(&wanted.keywords) == sorted(&before.keywords);
        if same {
            return Ok(false);
        }
        mailbox.store(&[uid], FlagOp::Set, &wanted, None).map(|_| true).map_err(|e| e.to_string())
    }
}

fn set_of(words: &str) -> FlagSet {
    FlagSet::of(words.split_ascii_whitespace())
}

fn sorted(words: &[String]) -> Vec<String> {
    let mut all: Vec<String> = words.iter().map(|w| w.to_lowercase()).collect();
    all.sort();
    all
}

/// Flags as a script reads them.
pub fn words(set: &FlagSet) -> String {
    let system = Flags::NAMES.iter().filter(|(_, f)| set.flags.contains(*f)).map(|(n, _)| (*n).to_owned());
    system.chain(set.keywords.iter().cloned()).collect::<Vec<_>>().join(" ")
}

/// Runs deliver to its end or the limit; its answer.
fn run(mut command: Command, message: File) -> Result<String, String> {
    command.stdin(Stdio::from(message)).stdout(Stdio::piped()).stderr(Stdio::inherit());
    let mut child = command.spawn().map_err(|e| e.to_string())?;
    let status = super::child::wait(&mut child, PATIENCE).map_err(|e| e.to_string())?;
    let status = status.ok_or("the script took too long")?;
    let mut text = String::new();
    // an answer is far shorter than a pipe holds, so deliver never waits for us
    if let Some(pipe) = child.stdout.take() {
        pipe.take(64 * 1024).read_to_string(&mut text).map_err(|e| e.to_string())?;
    }
    if status.success() { Ok(text) } else { Err(format!("{status}: {}", text.trim())) }
}

/// Tells the client of the selected mailbox what a script changed in it.
pub fn tell(selected: &mut Selected, out: &mut Vec<u8>, touched: &[u32]) {
    selected.touched.extend(touched);
    touched.iter().for_each(|&uid| selected.tell_flags(out, uid));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_as_words_and_back() {
        let set = set_of(" \\seen \\Flagged Work \\Recent");
        assert_eq!(words(&set), "\\Flagged \\Seen Work");
        assert_eq!(set_of(&words(&set)), set);
        assert_eq!(set_of(""), FlagSet::default());
    }
}
