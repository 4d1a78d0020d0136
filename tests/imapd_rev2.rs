//! imapd: IMAP4rev2 (RFC 9051), UTF8=ACCEPT (RFC 6855, 9755), UIDONLY (RFC 9586): what changes once they are enabled.

#[path = "support/imap.rs"]
mod imap;

use imap::Home;

#[test]
fn rev2_has_no_recent_and_answers_select_with_list() {
    let h = Home::with_mail();
    let out = h.script("a ENABLE IMAP4rev2\r\nb SELECT inbox\r\nc FETCH 1:* FLAGS\r\nd NOOP\r\n");
    assert!(out.contains("* ENABLED IMAP4rev2\r\na OK"), "{out}");
    assert!(out.contains("* LIST () \"/\" INBOX\r\n") && out.contains("* 3 EXISTS"), "{out}");
    assert!(out.contains("[UIDVALIDITY ") && out.contains("[UIDNEXT 4]") && out.contains("[PERMANENTFLAGS "), "{out}");
    assert!(!out.contains("RECENT") && !out.contains("Recent") && !out.contains("[UNSEEN"), "{out}");
    assert!(out.contains("* 1 FETCH (FLAGS ())"), "{out}");
    // without it both are there
    let out = Home::with_mail().script("b SELECT inbox\r\nc FETCH 1:* FLAGS\r\n");
    assert!(out.contains("* 3 RECENT") && out.contains("\\Recent") && out.contains("[UNSEEN 1]"), "{out}");
    assert!(!out.contains("* LIST"), "{out}");
}

#[test]
fn rev2_answers_search_with_esearch() {
    let h = Home::with_mail();
    let out = h.script(
        "a ENABLE IMAP4rev2\r\nb SELECT INBOX\r\nc SEARCH ALL\r\nd UID SEARCH SUBJECT nowhere\r\ne SEARCH RETURN (COUNT) FROM ann\r\n\
         f SEARCH RETURN (SAVE) FROM ann\r\ng UID FETCH $ UID\r\nh UID SEARCH CHARSET UTF-8 SUBJECT gr\u{fc}n\r\ni SORT (SUBJECT) UTF-8 ALL\r\n",
    );
    for want in [
        "* ESEARCH (TAG \"c\") ALL 1:3\r\nc OK",
        "* ESEARCH (TAG \"d\") UID\r\nd OK",
        "* ESEARCH (TAG \"e\") COUNT 2\r\ne OK",
        "* 1 FETCH (UID 1)\r\n* 3 FETCH (UID 3)\r\ng OK",
        "* ESEARCH (TAG \"h\") UID ALL 2\r\nh OK",
        "* SORT 2 1 3\r\ni OK",
    ] {
        assert!(out.contains(want), "{want}: {out}");
    }
}

#[test]
fn rev2_names_are_utf8() {
    let h = Home::new();
    let out = h.script(
        "a CREATE Entw&APw-rfe\r\nb ENABLE IMAP4rev2\r\nc LIST \"\" *\r\nd CREATE \"\u{4f8b}/A&B\"\r\ne STATUS \"\u{4f8b}/A&B\" (MESSAGES DELETED SIZE)\r\n\
         f LIST \"\" \"\u{4f8b}/%\" RETURN (SUBSCRIBED STATUS (MESSAGES))\r\ng SELECT Entw\u{fc}rfe\r\nh CREATE \"\u{fffe}\"\r\ni LIST \"\" \"Entw%\"\r\n",
    );
    for want in [
        "* LIST (\\HasNoChildren) \"/\" \"Entw\u{fc}rfe\"\r\n",
        "d OK",
        "* STATUS \"\u{4f8b}/A&B\" (MESSAGES 0 DELETED 0 SIZE 0)\r\ne OK",
        "* LIST (\\HasNoChildren) \"/\" \"\u{4f8b}/A&B\"\r\n* STATUS \"\u{4f8b}/A&B\" (MESSAGES 0)\r\nf OK",
        "* LIST () \"/\" \"Entw\u{fc}rfe\"\r\n",
        "g OK",
        "i OK",
    ] {
        assert!(out.contains(want), "{want}: {out}");
    }
    let mut dirs: Vec<String> = std::fs::read_dir(h.maildir())
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .filter(|n| n.starts_with('.'))
        .collect();
    dirs.sort();
    // on disk nothing changes: modified UTF-7 as Dovecot reads it
    assert!(dirs.contains(&".Entw&APw-rfe".into()) && dirs.contains(&".&T4s-.A&-B".into()), "{dirs:?}");
    // a rev1 session sees the same folders in modified UTF-7
    assert!(h.script("a LIST \"\" *\r\n").contains("\"/\" Entw&APw-rfe\r\n"));
}

#[test]
fn utf8_accept_takes_utf8_messages_and_forbids_charset() {
    let h = Home::with_mail();
    let message = "Subject: gr\u{fc}\u{df}e\r\nFrom: J\u{f6}e <j\u{f6}e@example.org>\r\n\r\nx\r\n";
    let append = |tag: &str| format!("{tag} APPEND INBOX UTF8 (~{{{}+}}\r\n{message})\r\n", message.len());
    let out = h.script(&format!(
        "{}b ENABLE UTF8=ACCEPT\r\n{}d SELECT INBOX\r\ne SEARCH CHARSET UTF-8 SUBJECT gr\u{fc}\r\nf SEARCH SUBJECT gr\u{fc}\u{df}e\r\n\
         g FETCH 4 BODY.PEEK[HEADER.FIELDS (SUBJECT)]\r\nh LIST \"\" \"\u{fc}\"\r\n",
        append("a"),
        append("c")
    ));
    for want in ["a BAD", "* ENABLED UTF8=ACCEPT\r\nb OK", "c OK [APPENDUID", "e BAD", "* SEARCH 4\r\nf OK", "h OK"] {
        assert!(out.contains(want), "{want}: {out}");
    }
    assert!(out.contains("Subject: gr\u{fc}\u{df}e\r\n"), "{out}");
}

#[test]
fn uidonly_has_no_message_numbers() {
    let h = Home::with_mail();
    let out = h.script(
        "a ENABLE UIDONLY\r\nb SELECT INBOX\r\nc FETCH 1 FLAGS\r\nd STORE 1 FLAGS ()\r\ne SEARCH ALL\r\nf UID SEARCH 1:2\r\ng COPY 1 INBOX\r\n\
         h UID FETCH 2 (FLAGS RFC822.SIZE)\r\ni UID STORE 2:3 +FLAGS (\\Deleted)\r\nj UID SEARCH DELETED\r\nk EXPUNGE\r\nl UID FETCH 1:* UID\r\n\
         m SORT (DATE) UTF-8 ALL\r\nn UID SEARCH OR SEEN (1 UNSEEN)\r\n",
    );
    for tag in ["c", "d", "e", "f", "g", "m", "n"] {
        assert!(out.contains(&format!("{tag} BAD [UIDREQUIRED]")), "{tag}: {out}");
    }
    for want in [
        "* ENABLED UIDONLY\r\na OK",
        "* 2 UIDFETCH (FLAGS (\\Recent) RFC822.SIZE ",
        "* 3 UIDFETCH (FLAGS (\\Deleted \\Recent))\r\n",
        "* SEARCH 2 3\r\nj OK",
        "* VANISHED 2:3\r\nk OK",
        "* 1 UIDFETCH (UID 1)\r\nl OK",
    ] {
        assert!(out.contains(want), "{want}: {out}");
    }
    assert!(!out.contains(" EXPUNGE\r\n") && !out.contains(" FETCH (") && !out.contains("[UNSEEN"), "{out}");
}

#[test]
fn what_is_hidden_cannot_be_enabled() {
    let h = Home::with_mail();
    h.dir.write("p.toml", imap::CONFIG.replace("[imapd]\n", "[imapd]\nhide = [\"IMAP4rev2\", \"UIDONLY\"]\n"));
    let out = h.script("a CAPABILITY\r\nb ENABLE IMAP4rev2 UIDONLY CONDSTORE\r\n");
    assert!(!out.contains("IMAP4rev2 ") && !out.contains("UIDONLY"), "{out}");
    assert!(out.contains("* ENABLED CONDSTORE\r\nb OK"), "{out}");
}
