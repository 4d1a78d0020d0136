//! imapd: NOTIFY (RFC 5465): changes are told while the client says nothing, in the selected mailbox and in others.

#[path = "support/imap.rs"]
mod imap;

use imap::{Home, Live};

fn deliver(h: &Home, folder: &str, name: &str) {
    let text = format!("From: Ann <ann@example.org>\nSubject: {name}\n\nx\n");
    let dir = if folder.is_empty() { "home/Maildir".to_owned() } else { format!("home/Maildir/.{folder}") };
    h.dir.write(format!("{dir}/tmp/{name}"), text);
    let base = h.dir.join(dir);
    std::fs::rename(base.join("tmp").join(name), base.join("new").join(name)).unwrap();
}

/// All lines up to one that holds the text.
fn up_to(s: &Live, text: &str) -> String {
    let mut seen = String::new();
    loop {
        let line = s.until("").join("\n");
        seen.push_str(&line);
        seen.push('\n');
        if line.contains(text) {
            return seen;
        }
    }
}

#[test]
fn the_selected_mailbox_is_told_at_once() {
    let h = Home::with_mail();
    let (mut a, mut b) = (h.live(), h.live());
    a.ask("a", "SELECT INBOX");
    let text = a.ask(
        "b",
        "NOTIFY SET (selected (MessageNew (UID BODY.PEEK[HEADER.FIELDS (SUBJECT)]) MessageExpunge FlagChange))",
    );
    assert!(text.ends_with("b OK NOTIFY completed"), "{text}");
    deliver(&h, "", "9.new");
    let text = up_to(&a, "Subject: 9.new");
    assert!(text.contains("* 4 EXISTS") && text.contains("* 4 FETCH (UID 4 BODY[HEADER.FIELDS (SUBJECT)]"), "{text}");
    b.ask("a", "SELECT INBOX");
    b.ask("b", "STORE 2 +FLAGS (\\Deleted)");
    up_to(&a, "* 2 FETCH (UID 2 FLAGS (\\Deleted");
    b.ask("c", "EXPUNGE");
    up_to(&a, "* 2 EXPUNGE");
    // the new message stays unseen: only its header was told
    assert!(a.ask("c", "FETCH 3 FLAGS").contains("FETCH (FLAGS (\\Recent))"), "seen");
}

#[test]
fn delayed_expunges_wait_and_flags_not_asked_for_are_not_told() {
    let h = Home::with_mail();
    let (mut a, mut b) = (h.live(), h.live());
    a.ask("a", "SELECT INBOX");
    a.ask("b", "NOTIFY SET (selected-delayed (MessageNew MessageExpunge))");
    b.ask("a", "SELECT INBOX");
    b.ask("b", "STORE 1 +FLAGS (\\Deleted)");
    b.ask("c", "EXPUNGE");
    deliver(&h, "", "9.new");
    let text = up_to(&a, "* 4 EXISTS");
    assert!(!text.contains("EXPUNGE") && !text.contains("FETCH"), "{text}");
    let text = a.ask("c", "NOOP");
    assert!(text.contains("* 1 EXPUNGE") && !text.contains("FETCH"), "{text}");
}

#[test]
fn other_mailboxes_are_told_by_status() {
    let h = Home::with_mail();
    h.script("a CREATE Work\r\nb CREATE Lists\r\nc CREATE Lists/A\r\n");
    let (mut a, mut b) = (h.live(), h.live());
    a.ask("a", "SELECT INBOX");
    let text = a.ask(
        "b",
        "NOTIFY SET STATUS (selected (MessageNew MessageExpunge)) (mailboxes Work NONE) (personal (MessageNew MessageExpunge FlagChange))",
    );
    assert!(
        text.contains("* STATUS Lists/A (MESSAGES 0 UIDNEXT 1 UIDVALIDITY ") && text.contains(" UNSEEN 0)"),
        "{text}"
    );
    assert!(!text.contains("STATUS Work") && !text.contains("STATUS INBOX"), "{text}");
    deliver(&h, "Work", "1.w");
    deliver(&h, "Lists.A", "1.l");
    let text = up_to(&a, "* STATUS Lists/A (MESSAGES 1 UIDNEXT 2");
    assert!(!text.contains("STATUS Work") && !text.contains("EXISTS"), "{text}");
    b.ask("a", "SELECT Lists/A");
    b.ask("b", "STORE 1 +FLAGS (\\Seen)");
    up_to(&a, "UNSEEN 0)");
    // another mailbox selected: now INBOX is one of the others
    a.ask("c", "SELECT Lists/A");
    deliver(&h, "", "9.new");
    up_to(&a, "* STATUS INBOX (MESSAGES 4 UIDNEXT 5");
    deliver(&h, "Lists.A", "2.l");
    up_to(&a, "* 2 EXISTS");
    // in IDLE as well
    a.say("d IDLE");
    a.until("+ idling");
    deliver(&h, "Lists", "3.l");
    up_to(&a, "* STATUS Lists (MESSAGES 1");
    deliver(&h, "Lists.A", "3.l");
    up_to(&a, "* 3 EXISTS");
    a.say("DONE");
    a.until("d OK");
}

#[test]
fn names_subscriptions_and_annotations_are_told() {
    let h = Home::with_mail();
    let (mut a, mut b) = (h.live(), h.live());
    a.ask("a", "NOTIFY SET (personal (MailboxName SubscriptionChange MailboxMetadataChange ServerMetadataChange))");
    for (command, told) in [
        ("CREATE one", "* LIST () \"/\" one"),
        ("SUBSCRIBE one", "* LIST (\\Subscribed) \"/\" one"),
        ("UNSUBSCRIBE one", "* LIST () \"/\" one"),
        (
            "SETMETADATA one (/private/comment \"x\" /shared/comment \"y\")",
            "* METADATA one /private/comment /shared/comment",
        ),
        ("SETMETADATA \"\" (/private/vendor/x \"y\")", "* METADATA \"\" /private/vendor/x"),
        ("RENAME one two", "* LIST () \"/\" two (\"OLDNAME\" (one))"),
        ("DELETE two", "* LIST (\\NonExistent) \"/\" two"),
    ] {
        b.ask("a", command);
        up_to(&a, told);
    }
}

#[test]
fn what_cannot_be_told_is_refused_and_none_ends_it() {
    let h = Home::with_mail();
    let mut a = h.live();
    a.ask("a", "SELECT INBOX");
    let text = a.ask("b", "NOTIFY SET (personal (MessageNew MessageExpunge Flux))");
    assert!(text.contains("b NO [BADEVENT (MessageNew MessageExpunge FlagChange "), "{text}");
    assert!(a.ask("c", "NOTIFY SET (personal (MessageNew))").contains("c BAD"));
    // no events of the selected mailbox at all: not even behind a command
    a.ask("d", "NOTIFY SET (selected NONE)");
    deliver(&h, "", "9.new");
    assert!(!a.ask("e", "NOOP").contains("EXISTS"));
    let text = a.ask("f", "NOTIFY NONE") + &a.ask("g", "NOOP");
    assert!(text.contains("* 4 EXISTS"), "{text}");
}
