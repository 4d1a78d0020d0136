//! imapd: searches beyond SEARCH: over several mailboxes (RFC 7377), saved (RFC 5466), kept up to date (RFC 5267), in
//! batches (RFC 10022), with signs of life (RFC 9585), by i;unicode-casemap (RFC 5255), with the full-text index.

#[path = "support/imap.rs"]
mod imap;

use imap::{CONFIG, Home, Live};

/// INBOX with three mails, Work with one, Work/Old with two.
fn with_folders() -> Home {
    let h = Home::with_mail();
    h.script(
        "a CREATE Work\r\nb CREATE Work/Old\r\nc CREATE Work/Old/Er\r\nd SELECT INBOX\r\ne COPY 1 Work\r\nf COPY 1,3 Work/Old\r\n\
         g COPY 2 Work/Old/Er\r\nh SUBSCRIBE Work\r\n",
    );
    h
}

#[test]
fn one_search_over_several_mailboxes() {
    let h = with_folders();
    let out = h.script(
        "a ESEARCH IN (mailboxes (Work \"Work/Old\")) SUBJECT one\r\nb ESEARCH IN (subtree Work) RETURN (COUNT MIN) ALL\r\n\
         c ESEARCH IN (subtree-one Work) RETURN (COUNT) ALL\r\nd ESEARCH IN (subscribed) ALL\r\ne ESEARCH IN (personal) RETURN (COUNT) FROM ann\r\n\
         f ESEARCH IN (mailboxes (nowhere INBOX)) SUBJECT nothing\r\ng ESEARCH ALL\r\nh ESEARCH IN (selected) ALL\r\n\
         i ESEARCH IN (mailboxes INBOX) RETURN (SAVE) ALL\r\nj ESEARCH IN (mailboxes INBOX) 1:2\r\n",
    );
    let box_of = |text: &str, name: &str| {
        let line =
            text.lines().find(|l| l.contains(&format!("MAILBOX {name} "))).unwrap_or_else(|| panic!("{name}: {text}"));
        let at = line.find(" UIDVALIDITY ").unwrap();
        line[at + 13..].split_once(')').unwrap().1.to_owned()
    };
    let of = |tag: &str| -> String {
        out.lines().filter(|l| l.contains(&format!("TAG \"{tag}\""))).map(|l| format!("{l}\n")).collect()
    };
    assert_eq!(box_of(&of("a"), "Work"), " UID ALL 1");
    assert_eq!(box_of(&of("a"), "Work/Old"), " UID ALL 1:2");
    assert_eq!(box_of(&of("b"), "Work/Old/Er"), " UID MIN 1 COUNT 1");
    assert_eq!((of("b").lines().count(), of("c").lines().count(), of("d").lines().count()), (3, 2, 1));
    assert_eq!((box_of(&of("e"), "INBOX"), of("e").lines().count()), (" UID COUNT 2".to_owned(), 3));
    assert_eq!(of("f"), "", "no mention of what has no hits");
    for want in ["f OK", "g BAD", "h BAD", "i BAD", "j BAD"] {
        assert!(out.contains(want), "{want}: {out}");
    }
    let out = h.script(
        "a SELECT Work/Old\r\nb ESEARCH RETURN (SAVE) SUBJECT Re\r\nc UID FETCH $ UID\r\nd ESEARCH IN (selected mailboxes \"Work/Old\") RETURN (COUNT) 1\r\n",
    );
    assert!(out.contains("FETCH (UID 2)\r\nc OK"), "{out}");
    assert!(out.matches("* ESEARCH").count() == 1 && out.contains(") UID COUNT 1\r\nd OK"), "{out}");
}

#[test]
fn saved_searches() {
    let h = Home::with_mail();
    let out = h.script(
        "a SETMETADATA \"\" (/private/filters/values/fromann \"FROM ann\")\r\n\
         b SETMETADATA \"\" (/private/filters/values/both \"FILTER fromann SUBJECT {2+}\r\nRe\")\r\nc NOOP\r\n",
    );
    assert!(out.contains("a OK"), "{out}");
    let criteria = "FILTER fromann SUBJECT \"Re\"";
    let out = h.script(&format!(
        "a SETMETADATA \"\" (/private/filters/values/both {{{}+}}\r\n{criteria} /private/filters/values/loop \"FILTER loop\")\r\n\
         b SELECT INBOX\r\nc SEARCH FILTER fromann\r\nd SEARCH NOT FILTER both\r\ne SEARCH OR FILTER nothing SEEN\r\nf SEARCH FILTER loop\r\n\
         g ESEARCH IN (personal) RETURN (COUNT) FILTER both\r\n",
        criteria.len()
    ));
    for want in [
        "a OK",
        "* SEARCH 1 3\r\nc OK",
        "* SEARCH 1 2\r\nd OK",
        "e NO [UNDEFINED-FILTER nothing]",
        "f NO [UNDEFINED-FILTER loop]",
        ") UID COUNT 1\r\ng OK",
    ] {
        assert!(out.contains(want), "{want}: {out}");
    }
}

#[test]
fn results_are_kept_up_to_date() {
    let h = Home::with_mail();
    let (mut a, mut b) = (h.live(), h.live());
    a.ask("a", "SELECT INBOX");
    b.ask("a", "SELECT INBOX");
    let text = a.ask("b", "UID SEARCH RETURN (UPDATE COUNT) UNSEEN");
    assert!(text.contains("* ESEARCH (TAG \"b\") UID COUNT 3"), "{text}");
    let text = a.ask("c", "SEARCH RETURN (UPDATE ALL) FLAGGED");
    assert!(text.contains("* ESEARCH (TAG \"c\")\n"), "{text}");
    // what this session changes itself
    let text = a.ask("d", "STORE 2 +FLAGS (\\Seen \\Flagged)");
    assert!(text.contains("* ESEARCH (TAG \"b\") UID REMOVEFROM (0 2)"), "{text}");
    assert!(text.contains("* ESEARCH (TAG \"c\") ADDTO (0 2)"), "{text}");
    // what others change
    b.ask("b", "STORE 1 +FLAGS (\\Flagged)");
    assert!(a.ask("e", "NOOP").contains("* ESEARCH (TAG \"c\") ADDTO (0 1)"));
    h.dir.write("home/Maildir/new/4.d", "Subject: four\n\nx\n");
    let text = a.ask("f", "NOOP");
    assert!(text.contains("* 4 EXISTS") && text.contains("* ESEARCH (TAG \"b\") UID ADDTO (0 4)"), "{text}");
    // an expunged message leaves first
    b.ask("c", "UID STORE 1 +FLAGS (\\Deleted)");
    b.ask("d", "EXPUNGE");
    let text = a.ask("g", "NOOP");
    let removed = text.find("* ESEARCH (TAG \"c\") REMOVEFROM (0 1)").unwrap_or_else(|| panic!("{text}"));
    assert!(removed < text.find("* 1 EXPUNGE").unwrap(), "{text}");
    let text = a.ask("h", "CANCELUPDATE \"b\"");
    assert!(text.contains("h OK"), "{text}");
    assert!(!a.ask("i", "STORE 2 +FLAGS (\\Seen)").contains("TAG \"b\""));
    assert!(a.ask("j", "CANCELUPDATE \"b\"").contains("j BAD"));
    assert!(a.ask("c", "SEARCH RETURN (UPDATE) ALL").contains("c BAD"), "a tag twice");
    for n in 0..15 {
        a.ask(&format!("k{n}"), "SEARCH RETURN (UPDATE) ALL");
    }
    let text = a.ask("l", "SEARCH RETURN (UPDATE COUNT) ALL");
    assert!(text.contains("* OK [NOUPDATE \"l\"]") && text.contains("COUNT 3"), "{text}");
}

#[test]
fn a_sorted_result_is_kept_with_its_places() {
    let h = Home::with_mail();
    let (mut a, mut b) = (h.live(), h.live());
    a.ask("a", "SELECT INBOX");
    b.ask("a", "SELECT INBOX");
    let text = a.ask("b", "UID SORT RETURN (UPDATE ALL) (REVERSE DATE) UTF-8 UNDELETED");
    assert!(text.contains("* ESEARCH (TAG \"b\") UID ALL 3,2,1"), "{text}");
    h.dir.write("home/Maildir/new/4.d", "Date: Mon, 1 Jan 2024 12:00:00 +0000\n\nbetween one and two\n");
    h.dir.write("home/Maildir/new/5.e", "Date: Mon, 1 Jan 2025 12:00:00 +0000\n\nlast\n");
    let text = a.ask("c", "NOOP");
    assert!(text.contains("* ESEARCH (TAG \"b\") UID ADDTO (1 5 4 4)"), "{text}");
    assert!(b.ask("c", "NOOP").contains("* 5 EXISTS"));
    b.ask("b", "UID STORE 2,5 +FLAGS (\\Deleted)");
    let text = a.ask("d", "NOOP");
    assert!(text.contains("* ESEARCH (TAG \"b\") UID REMOVEFROM (3 2 1 5)"), "{text}");
}

#[test]
fn a_window_is_told_in_order() {
    let h = Home::with_mail();
    let out =
        h.script("a SELECT INBOX\r\nb SEARCH RETURN (PARTIAL 3:2) ALL\r\nc UID SEARCH RETURN (PARTIAL -1:-2) ALL\r\n");
    assert!(out.contains("* ESEARCH (TAG \"b\") PARTIAL (2:3 2:3)\r\n"), "{out}");
    assert!(out.contains("* ESEARCH (TAG \"c\") UID PARTIAL (-1:-2 2:3)\r\n"), "{out}");
}

#[test]
fn batches_of_uids() {
    let h = Home::with_mail();
    for n in 4..=25 {
        h.dir.write(format!("home/Maildir/new/{n}.x"), "A: b\n\nx\n");
    }
    let out = h.script(
        "a UIDBATCHES 10\r\nb SELECT INBOX\r\nc STORE 3:5,20 +FLAGS (\\Deleted)\r\nd EXPUNGE\r\ne UIDBATCHES 10\r\nf UIDBATCHES 10 2:3\r\n\
         g UIDBATCHES 10 4:9\r\nh UIDBATCHES 0\r\ni UIDBATCHES 5 3:2\r\nj UIDBATCHES 5 0:2\r\nk UIDBATCHES 1000\r\nl UIDBATCHES 21 1:1\r\n",
    );
    let uids: Vec<u32> = (1..=25).filter(|n| ![3, 4, 5].contains(n)).collect();
    assert_eq!(uids.len(), 22);
    for want in [
        "a BAD",
        "* UIDBATCHES (TAG \"e\") 25:15,14:2,1:1\r\ne OK",
        "* UIDBATCHES (TAG \"f\") 14:2,1:1\r\nf OK",
        "* UIDBATCHES (TAG \"g\")\r\ng OK",
        "h BAD [CLIENTBUG]",
        "i BAD [CLIENTBUG]",
        "j BAD [CLIENTBUG]",
        "* UIDBATCHES (TAG \"k\") 25:1\r\nk OK",
        "* UIDBATCHES (TAG \"l\") 25:1\r\nl OK",
    ] {
        assert!(out.contains(want), "{want}: {out}");
    }
}

#[test]
fn a_long_search_says_that_it_goes_on() {
    let h = Home::with_mail();
    h.dir.write("p.toml", CONFIG.replace("[imapd]\n", "[imapd]\nprogress = 0\n"));
    let out = h.script("a SELECT INBOX\r\nb SEARCH BODY first\r\nx] SEARCH ALL\r\n");
    assert!(out.contains("* OK [INPROGRESS (\"b\" 0 3)]") && out.contains("* OK [INPROGRESS (\"b\" 2 3)]"), "{out}");
    assert!(out.contains("* SEARCH 1\r\nb OK") && out.contains("* OK [INPROGRESS (NIL 1 3)]"), "{out}");
    assert!(!Home::with_mail().script("a SELECT INBOX\r\nb SEARCH BODY first\r\n").contains("[INPROGRESS"));
}

/// I18NLEVEL=1 (RFC 5255): SEARCH and SORT compare by i;unicode-casemap.
#[test]
fn letters_compare_however_they_are_written() {
    let h = Home::with_mail();
    for (name, subject) in [("4.d", "=?utf-8?Q?Z=C3=BCrich?="), ("5.e", "Zurzach"), ("6.f", "=?utf-8?Q?ZU=CC=88RICH?=")]
    {
        h.dir.write(format!("home/Maildir/new/{name}"), format!("Subject: {subject}\n\ncaf\u{e9}\n"));
    }
    let literal = |text: &str| format!("{{{}+}}\r\n{text}\r\n", text.len());
    let out = h.script(&format!(
        "a SELECT INBOX\r\nb SEARCH CHARSET UTF-8 SUBJECT {}c SEARCH CHARSET UTF-8 SUBJECT {}d SORT (SUBJECT) UTF-8 4:6\r\ne CAPABILITY\r\n",
        literal("z\u{fc}RICH"),
        literal("zu\u{308}rich"),
    ));
    assert!(out.contains("* SEARCH 4 6\r\nb OK") && out.contains("* SEARCH 4 6\r\nc OK"), "{out}");
    // a decomposed letter sorts behind the plain one
    assert!(out.contains("* SORT 5 4 6\r\n") && out.contains(" I18NLEVEL=1 "), "{out}");
}

/// imapd.fulltext: the same is found with the index and without, and bodies that cannot hold the text are not read.
#[test]
fn the_full_text_index_changes_nothing_but_the_time() {
    let h = Home::with_mail();
    h.dir.write("p.toml", format!("{CONFIG}fulltext = true\n"));
    let file = h.maildir().join("pennypost.fulltext");
    let searches = |s: &mut Live| {
        let keys = [
            "BODY first",
            "TEXT third",
            "BODY \"st bo\"",
            "NOT BODY first",
            "OR BODY first TEXT Bob",
            "BODY ir",
            "TEXT nothing",
        ];
        keys.map(|key| s.ask("s", &format!("SEARCH {key}"))).join("\n")
    };
    let mut s = h.live();
    s.ask("a", "SELECT INBOX");
    let without = searches(&mut s);
    assert!(without.contains("* SEARCH 1\n") && without.contains("* SEARCH 2 3\n"), "{without}");
    // written while the client says nothing
    let full = penny_testkit::until("the index", || {
        let bytes = std::fs::read(&file).unwrap_or_default();
        let mut f = penny_maildir::fulltext::Fulltext::new(&h.maildir(), validity(&bytes));
        f.refresh();
        (1..=3).all(|uid| f.knows(uid)).then_some(bytes)
    });
    assert_eq!(searches(&mut s), without);
    // what stands in the file now is not looked for where the index says that it cannot be there
    let mut files = std::fs::read_dir(h.maildir().join("cur")).unwrap().flatten().map(|e| e.path());
    let path = files.find(|p| p.to_str().unwrap().contains("/3.c")).unwrap();
    let text = std::fs::read_to_string(&path).unwrap().replace("third", "fouls");
    std::fs::write(&path, text).unwrap();
    assert!(!s.ask("b", "SEARCH BODY fouls").contains("* SEARCH 3"));
    // damaged or gone, it is no answer
    h.dir.write("torn", &full[..full.len() - 1]);
    std::fs::rename(h.dir.join("torn"), &file).unwrap();
    assert!(selected(&h).ask("c", "SEARCH BODY fouls").contains("* SEARCH 3"));
    let _ = std::fs::remove_file(&file);
    assert!(s.ask("d", "SEARCH BODY fouls").contains("* SEARCH 3"));
}

fn selected(h: &Home) -> Live {
    let mut s = h.live();
    s.ask("a", "SELECT INBOX");
    s
}

fn validity(bytes: &[u8]) -> u32 {
    bytes.get(12..16).map_or(0, |b| u32::from_le_bytes(b.try_into().unwrap()))
}
