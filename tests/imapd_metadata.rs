//! imapd: annotations (RFC 5464), in listings (RFC 9590), special use as one of them (RFC 6154 4).

#[path = "support/imap.rs"]
mod imap;

use imap::Home;

#[test]
fn annotations_are_set_told_and_removed() {
    let h = Home::new();
    let out = h.script(
        "a SETMETADATA INBOX (/private/comment \"My mail\" /shared/comment {5+}\r\na\r\nb! /private/vendor/x/y ~{3+}\r\n\0ab)\r\n\
         b GETMETADATA INBOX (/shared/comment /private/comment /private/none)\r\n\
         c GETMETADATA (DEPTH 1) INBOX /private\r\n\
         d GETMETADATA (DEPTH infinity) INBOX (/private)\r\n\
         e GETMETADATA \"INBOX\" (MAXSIZE 5) (/private/comment /shared/comment)\r\n\
         f SETMETADATA INBOX (/PRIVATE/Comment NIL)\r\n\
         g GETMETADATA INBOX /private/comment\r\n",
    );
    for want in [
        "a OK",
        "* METADATA INBOX (/shared/comment {5}\r\na\r\nb! /private/comment \"My mail\" /private/none NIL)\r\nb OK",
        "* METADATA INBOX (/private/comment \"My mail\")\r\nc OK",
        "* METADATA INBOX (/private/comment \"My mail\" /private/vendor/x/y ~{3}\r\n\0ab)\r\nd OK",
        "* METADATA INBOX (/shared/comment {5}\r\na\r\nb!)\r\ne OK [METADATA LONGENTRIES 7]",
        "f OK",
        "* METADATA INBOX (/private/comment NIL)\r\ng OK",
    ] {
        assert!(out.contains(want), "{want}: {out}");
    }
    let kept = std::fs::read(h.maildir().join("pennypost-metadata")).unwrap();
    assert_eq!(kept, b"/private/vendor/x/y\t\\0ab\n/shared/comment\ta\\r\\nb!\n");
}

#[test]
fn the_server_has_annotations_of_its_own() {
    let h = Home::new();
    let out = h.script(
        "a SETMETADATA \"\" (/private/vendor/c/theme dark)\r\nb GETMETADATA \"\" (/private/vendor/c/theme /shared/admin)\r\n\
         c SETMETADATA \"\" (/shared/comment \"mine\")\r\nd GETMETADATA INBOX /private/vendor/c/theme\r\n",
    );
    assert!(out.contains("a BAD"), "a value is a string: {out}");
    let out2 = h.script(
        "a SETMETADATA \"\" (/private/vendor/c/theme \"dark\")\r\nb GETMETADATA \"\" (/private/vendor/c/theme /shared/admin)\r\n",
    );
    assert!(
        out2.contains("* METADATA \"\" (/private/vendor/c/theme \"dark\" /shared/admin \"mailto:postmaster@"),
        "{out2}"
    );
    assert!(out.contains("c NO [NOPERM]") && out.contains("(/private/vendor/c/theme NIL)"), "{out}");
}

#[test]
fn bounds_and_wrong_names_are_refused_whole() {
    let h = Home::new();
    let long = "x".repeat(64 * 1024 + 1);
    let out = h.script(&format!(
        "a SETMETADATA INBOX (/private/a \"1\" /private/b {{{}+}}\r\n{long})\r\nb GETMETADATA INBOX /private/a\r\n\
         c SETMETADATA INBOX (/private/a* \"1\")\r\nd SETMETADATA nowhere (/private/a \"1\")\r\ne GETMETADATA INBOX comment\r\n",
        long.len()
    ));
    for want in ["a NO [METADATA MAXSIZE 65536]", "(/private/a NIL)", "c BAD", "d NO [NONEXISTENT]", "e BAD"] {
        assert!(out.contains(want), "{want}: {out}");
    }
    let many: String = (0..100).map(|n| format!(" /private/{n} \"\"")).collect();
    let mut script: String = (0..10)
        .map(|i| {
            format!("a{i} SETMETADATA INBOX ({})\r\n", many.trim().replace("/private/", &format!("/private/{i}/")))
        })
        .collect();
    script.push_str("z SETMETADATA INBOX (/private/more \"\")\r\n");
    let out = h.script(&script);
    assert!(out.contains("a9 OK") && out.contains("z NO [METADATA TOOMANY]"), "{out}");
}

#[test]
fn annotations_follow_a_renamed_mailbox_and_go_with_a_deleted_one() {
    let h = Home::new();
    let out = h.script(
        "a CREATE one\r\nb SETMETADATA one (/private/comment \"x\")\r\nc RENAME one two\r\nd GETMETADATA two /private/comment\r\n\
         e DELETE two\r\nf CREATE two\r\ng GETMETADATA two /private/comment\r\n",
    );
    assert!(out.contains("* METADATA two (/private/comment \"x\")\r\nd OK"), "{out}");
    assert!(out.contains("* METADATA two (/private/comment NIL)\r\ng OK"), "{out}");
}

#[test]
fn list_returns_annotations() {
    let h = Home::new();
    let out = h.script(
        "a CREATE foo\r\nb SETMETADATA foo (/shared/vendor/x/color \"#b71c1c\")\r\n\
         c LIST \"\" % RETURN (METADATA (/shared/vendor/x/color /private/comment) SUBSCRIBED)\r\n",
    );
    assert!(
        out.contains("\"/\" foo\r\n* METADATA foo (/shared/vendor/x/color \"#b71c1c\" /private/comment NIL)\r\n"),
        "{out}"
    );
    assert!(out.contains("* METADATA INBOX (/shared/vendor/x/color NIL /private/comment NIL)\r\n"), "{out}");
}

#[test]
fn special_use_is_an_annotation() {
    let h = Home::new();
    let out = h.script(
        "a CREATE Old\r\nb SETMETADATA Old (/private/specialuse \"\\\\Archive\")\r\nc LIST (SPECIAL-USE) \"\" *\r\n\
         d GETMETADATA Old /private/specialuse\r\ne SETMETADATA INBOX (/private/specialuse \"\\\\Nonsense\")\r\n\
         f SETMETADATA Old (/private/specialuse NIL)\r\ng GETMETADATA Old /private/specialuse\r\n",
    );
    for want in [
        "* LIST (\\HasNoChildren \\Archive) \"/\" Old\r\nc OK",
        "* METADATA Old (/private/specialuse \"\\\\Archive\")\r\nd OK",
        "e NO [USEATTR]",
        "* METADATA Old (/private/specialuse NIL)\r\ng OK",
    ] {
        assert!(out.contains(want), "{want}: {out}");
    }
}
