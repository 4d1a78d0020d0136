//! imapd: rights (RFC 4314), in listings (RFC 8440), and what a missing one forbids.

#[path = "support/imap.rs"]
mod imap;

use imap::Home;

const ALL: &str = "lrwstipekxacd";

#[test]
fn rights_are_told_given_and_taken() {
    let h = Home::new();
    let out = h.script(
        "a GETACL INBOX\r\nb MYRIGHTS INBOX\r\nc CREATE Box\r\nd SETACL Box bob lrs\r\ne SETACL Box bob +wd\r\nf SETACL Box bob -l\r\n\
         g SETACL Box $staff lr\r\nh SETACL Box -bob x\r\ni GETACL Box\r\nj DELETEACL Box bob\r\nk DELETEACL Box -bob\r\nl GETACL Box\r\n\
         m LISTRIGHTS Box joe\r\nn LISTRIGHTS Box bob\r\no SETACL Box bob lQ\r\np MYRIGHTS nowhere\r\nq SETACL Box bob \"\"\r\n",
    );
    for want in [
        &format!("* ACL INBOX joe {ALL}\r\na OK"),
        &format!("* MYRIGHTS INBOX {ALL}\r\nb OK"),
        &format!("* ACL Box joe {ALL} $staff lr\r\nl OK"),
        "* LISTRIGHTS Box joe la r w s t i p e k x c d\r\nm OK",
        "* LISTRIGHTS Box bob \"\" l r w s t i p e k x a c d\r\nn OK",
        "o BAD",
        "p NO [NONEXISTENT]",
        "q OK",
    ] {
        assert!(out.contains(want), "{want}: {out}");
    }
    // the order of lines is that of the file
    let acl = out.lines().find(|l| l.starts_with("* ACL Box") && l.contains("bob")).unwrap();
    for part in [" $staff lr", " -bob xc", " bob rwsted"] {
        assert!(acl.contains(part), "{part}: {acl}");
    }
    assert_eq!(std::fs::read_to_string(h.maildir().join(".Box/dovecot-acl")).unwrap(), "group=staff lr\n");
}

#[test]
fn listings_return_rights() {
    let h = Home::new();
    h.script("a CREATE Box\r\nb SETACL Box joe lr\r\n");
    let out = h.script("a LIST \"\" * RETURN (MYRIGHTS)\r\n");
    assert!(out.contains("\"/\" Box\r\n* MYRIGHTS Box lra\r\n"), "{out}");
    assert!(out.contains(&format!("\"/\" INBOX\r\n* MYRIGHTS INBOX {ALL}\r\n")), "{out}");
}

#[test]
fn a_missing_right_forbids() {
    let h = Home::with_mail();
    let message = "A: b\r\n\r\nx\r\n";
    let append = |tag: &str| format!("{tag} APPEND Box (\\Seen \\Flagged) {{{}+}}\r\n{message}\r\n", message.len());
    h.script("a CREATE Box\r\nb SELECT INBOX\r\nc COPY 1 Box\r\nd CREATE Box/Sub\r\n");
    // only reading
    let out = h.script(&format!(
        "a SETACL Box joe r\r\nb SELECT Box\r\nc STORE 1 +FLAGS (\\Seen)\r\nd EXPUNGE\r\n{}f CREATE Box/More\r\ng DELETE Box\r\n\
         h RENAME Box Other\r\ni FETCH 1 BODY[]\r\nj MYRIGHTS Box\r\nk SETMETADATA Box (/shared/comment \"x\")\r\n",
        append("e")
    ));
    for want in ["b OK [READ-ONLY]", "c NO", "d NO", "e NO [NOPERM]", "f NO [NOPERM]", "g NO [NOPERM]", "h NO [NOPERM]"]
    {
        assert!(out.contains(want), "{want}: {out}");
    }
    assert!(out.contains("i OK") && out.contains("MYRIGHTS Box lra") && out.contains("k NO [NOPERM]"), "{out}");
    // seen and insert only: other flags are left out
    let out = h.script(&format!(
        "a SETACL Box joe rsi\r\nb SELECT Box\r\nc STORE 1 +FLAGS (\\Seen \\Flagged)\r\nd STORE 1 +FLAGS (\\Deleted)\r\n\
         e STORE 1 FLAGS (\\Seen)\r\nf EXPUNGE\r\ng MOVE 1 INBOX\r\n{}i FETCH 2 FLAGS\r\nj COPY 1 INBOX\r\n",
        append("h")
    ));
    assert!(out.contains("[PERMANENTFLAGS (\\Seen)]") && out.contains("b OK [READ-WRITE]"), "{out}");
    assert!(out.contains("FLAGS (\\Seen") && !out.contains("FETCH (UID 1 FLAGS (\\Flagged"), "{out}");
    for want in ["c OK", "d NO [NOPERM]", "e NO [NOPERM]", "f NO [NOPERM]", "g NO [NOPERM]", "h OK", "j OK"] {
        assert!(out.contains(want), "{want}: {out}");
    }
    assert!(out.contains("* 2 FETCH (FLAGS (\\Seen"), "{out}");
    // without r nothing is read, without i nothing comes in; what was given away can be taken back
    let out = h.script(&format!(
        "a SETACL Box joe \"\"\r\nb SELECT Box\r\nc STATUS Box (MESSAGES)\r\nd SELECT INBOX\r\ne COPY 1 Box\r\n{}g SETACL Box joe lrwstipekxa\r\n\
         h SELECT Box\r\n",
        append("f")
    ));
    for want in ["b NO [NOPERM]", "c NO [NOPERM]", "e NO [NOPERM]", "f NO [NOPERM]", "g OK", "h OK [READ-WRITE]"] {
        assert!(out.contains(want), "{want}: {out}");
    }
}

#[test]
fn rights_of_dovecots_file_hold() {
    let h = Home::with_mail();
    h.dir.write("home/Maildir/dovecot-acl", "owner :lookup read write-seen\nuser=bob lr\n");
    let out =
        h.script("a SELECT INBOX\r\nb STORE 1 +FLAGS (\\Deleted)\r\nc STORE 1 +FLAGS (\\Seen)\r\nd GETACL INBOX\r\n");
    assert!(out.contains("b NO [NOPERM]") && out.contains("c OK"), "{out}");
    assert!(out.contains("* ACL INBOX joe lrs bob lr\r\n"), "{out}");
}
