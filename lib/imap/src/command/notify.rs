//! NOTIFY.
//!
//! Standards   RFC 5465 3 to 5, 8
//! Invariants  at most [`GROUPS_MAX`] event groups
use super::sources::{Source, source};
use super::{Command, Item, fetch};
use crate::parse::{Bad, Cursor, Parse};

/// Event groups in one command.
const GROUPS_MAX: usize = 100;

/// NOTIFY SET.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NotifySet {
    /// STATUS: tell how things stand first.
    pub status: bool,
    /// The groups in order; the first that fits a mailbox counts.
    pub groups: Vec<(Source, Events)>,
}

/// What the client wants to hear of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Events {
    /// MessageNew (and MessageExpunge, which go together).
    pub messages: bool,
    /// What MessageNew in the selected mailbox is to tell of each.
    pub items: Vec<Item>,
    /// FlagChange
    pub flags: bool,
    /// MailboxName
    pub names: bool,
    /// SubscriptionChange
    pub subscriptions: bool,
    /// MailboxMetadataChange
    pub metadata: bool,
    /// ServerMetadataChange
    pub server_metadata: bool,
    /// An event that we do not know was asked for (BADEVENT).
    pub unknown: bool,
}

pub(super) fn parse(word: &str, c: &mut Cursor<'_>) -> Option<Parse<Command>> {
    (word == "NOTIFY").then(|| notify(c).map(Command::Notify))
}

/// "NOTIFY" SP ("SET" [SP "STATUS"] SP event-groups / "NONE")
fn notify(c: &mut Cursor<'_>) -> Parse<Option<NotifySet>> {
    c.space()?;
    match c.atom_upper()?.as_str() {
        "NONE" => return Ok(None),
        "SET" => {}
        _ => return Err(Bad("NOTIFY needs SET or NONE")),
    }
    c.space()?;
    let mut set = NotifySet::default();
    if c.keyword("STATUS") {
        set.status = true;
        c.space()?;
    }
    loop {
        set.groups.push(group(c)?);
        if c.is_end() {
            break;
        }
        c.space()?;
    }
    check(&set)?;
    Ok(Some(set))
}

/// event-group = "(" filter-mailboxes SP events ")"
fn group(c: &mut Cursor<'_>) -> Parse<(Source, Events)> {
    c.expect(b'(', "Missing parenthesis")?;
    let source = source(c)?;
    c.space()?;
    let events = events(c)?;
    c.expect(b')', "Missing parenthesis")?;
    Ok((source, events))
}

fn events(c: &mut Cursor<'_>) -> Parse<Events> {
    let mut events = Events::default();
    if c.keyword("NONE") {
        return Ok(events);
    }
    let mut expunge = false;
    c.list(1, |c| {
        match c.atom_upper()?.as_str() {
            "MESSAGENEW" => {
                events.messages = true;
                if c.rest().starts_with(b" (") {
                    c.space()?;
                    events.items = c.list(1, fetch::item)?;
                }
            }
            "MESSAGEEXPUNGE" => expunge = true,
            "FLAGCHANGE" => events.flags = true,
            "MAILBOXNAME" => events.names = true,
            "SUBSCRIPTIONCHANGE" => events.subscriptions = true,
            "MAILBOXMETADATACHANGE" => events.metadata = true,
            "SERVERMETADATACHANGE" => events.server_metadata = true,
            _ => events.unknown = true,
        }
        Ok(())
    })?;
    // RFC 5465 5: both or none, and FlagChange only with both
    if events.messages != expunge || (events.flags && !expunge) {
        return Err(Bad("MessageNew and MessageExpunge go together, and FlagChange with both"));
    }
    Ok(events)
}

fn check(set: &NotifySet) -> Parse<()> {
    if set.groups.len() > GROUPS_MAX {
        return Err(Bad("Too many event groups"));
    }
    let is_own = |s: &Source| matches!(s, Source::Selected | Source::SelectedDelayed);
    if set.groups.iter().filter(|(s, _)| is_own(s)).count() > 1 {
        return Err(Bad("The selected mailbox twice"));
    }
    let own = set.groups.iter().find(|(s, _)| is_own(s)).map(|(_, e)| e);
    // RFC 5465 6.1: no mailbox events for it; 5.1: what to fetch is only said of it
    if own.is_some_and(|e| e.names || e.subscriptions || e.metadata || e.server_metadata) {
        return Err(Bad("Only message events in the selected mailbox"));
    }
    if set.groups.iter().any(|(s, e)| !is_own(s) && !e.items.is_empty()) {
        return Err(Bad("Items are fetched from the selected mailbox only"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::command;

    fn set(text: &str) -> NotifySet {
        match command(text) {
            Ok(Command::Notify(Some(set))) => set,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn rfc5465_examples() {
        let s = set(
            "NOTIFY SET STATUS (selected MessageNew (uid body.peek[header.fields (from to subject)]) MessageExpunge)"
                .replace("selected M", "selected (M")
                .replace("MessageExpunge)", "MessageExpunge))")
                .as_str(),
        );
        assert!(s.status && s.groups[0].1.messages && s.groups[0].1.items.len() == 2);
        let s = set(
            "NOTIFY SET (mailboxes INBOX (Messagenew messageexpunge)) (personal (MailboxName)) (subtree Lists NONE)",
        );
        assert!(s.groups[1].1.names && !s.groups[1].1.messages && s.groups[2].1 == Events::default());
        assert_eq!(command("NOTIFY NONE"), Ok(Command::Notify(None)));
        assert!(set("NOTIFY SET (personal (AnnotationChange))").groups[0].1.unknown);
    }

    #[test]
    fn what_is_wrong() {
        for bad in [
            "NOTIFY",
            "NOTIFY SET",
            "NOTIFY SET STATUS",
            "NOTIFY SET (foo (MessageNew MessageExpunge))",
            "NOTIFY SET (personal (MessageNew))",
            "NOTIFY SET (personal (FlagChange))",
            "NOTIFY SET (personal (MessageExpunge FlagChange))",
            "NOTIFY SET (selected (MailboxName))",
            "NOTIFY SET (personal (MessageNew (uid) MessageExpunge))",
            "NOTIFY SET (selected NONE) (selected-delayed NONE)",
            "NOTIFY SET (mailboxes () (MessageNew MessageExpunge))",
            "NOTIFY SET (personal ())",
        ] {
            assert!(command(bad).is_err(), "{bad}");
        }
    }
}
