//! imapd: folders of other users and public ones (RFC 2342, 4314), by two users of one uid, each confined to what is theirs; by users
//! of several uids through a group.

#[path = "support/imap.rs"]
mod imap;

use imap::{Home, Live};
use penny_testkit::{Run, have, program, skip};
use std::fs::Metadata;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

/// ann has mail and an account; bob is somebody else with a home of his own.
fn two() -> Home {
    let (h, _) = imap::with_login_as("ann@example.test", "");
    let d = h.dir.path().display();
    let config = std::fs::read_to_string(h.dir.join("p.toml")).unwrap();
    let imapd = format!("[imapd]\nshared = \"{d}/shared\"\npublic = [\"Public {d}/public\"]\n");
    h.dir.write("p.toml", config + &imapd);
    for dir in ["shared", "public"] {
        std::fs::create_dir(h.dir.join(dir)).unwrap();
    }
    h.dir.maildir("bob/Maildir");
    h
}

/// A session of a user without a shell: confined where the kernel can.
fn session(h: &Home, user: &str) -> Run {
    let home = if user.starts_with("ann") { "home" } else { "bob" };
    let run = Run::new(program!("imapd")).arg("-c").arg(h.dir.join("p.toml")).arg("--session");
    run.env("USER", user).env("HOME", h.dir.join(home))
}

fn script(h: &Home, user: &str, text: &str) -> String {
    let out = session(h, user).stdin(text).run();
    assert_eq!(out.code, Some(0), "{}", out.describe());
    out.out()
}

fn ann(h: &Home, text: &str) -> String {
    script(h, "ann@example.test", text)
}

fn bob(h: &Home, text: &str) -> String {
    script(h, "bob@example.test", text)
}

#[track_caller]
fn has(out: &str, wanted: &[&str]) {
    for want in wanted {
        assert!(out.contains(want), "{want}: {out}");
    }
}

const MESSAGE: &str = "Subject: from bob\r\n\r\nhello\r\n";

fn append(tag: &str, name: &str) -> String {
    format!("{tag} APPEND {name} (\\Seen \\Flagged) {{{}+}}\r\n{MESSAGE}\r\n", MESSAGE.len())
}

#[test]
fn namespaces_are_told_and_empty_ones_show_nothing() {
    let h = two();
    let out =
        bob(&h, "a NAMESPACE\r\nb LIST \"\" *\r\nc CREATE user/x\r\nd CREATE Public/x\r\ne LIST \"user/\" \"\"\r\n");
    has(&out, &["* NAMESPACE ((\"\" \"/\")) ((\"user/\" \"/\")) ((\"Public/\" \"/\"))\r\na OK"]);
    has(&out, &["c NO [NONEXISTENT]", "d NO", "* LIST (\\Noselect) \"/\" \"user/\"\r\n"]);
    assert_eq!(out.matches("* LIST").count(), 2, "{out}");
}

#[test]
fn a_shared_folder_goes_by_its_rights() {
    let h = two();
    let me = "bob@example.test";
    let out = ann(
        &h,
        &format!(
            "a CREATE Team\r\nb SELECT INBOX\r\nc COPY 1:2 Team\r\nd CREATE Own\r\ne SETACL Team {me} lr\r\nf SETACL Own {me} ri\r\n"
        ),
    );
    has(&out, &["c OK", "e OK", "f OK"]);
    assert_eq!(std::fs::read_to_string(h.dir.join("shared/ann@example.test")).unwrap(), format!("user={me}\n"));
    // seen, read, not written
    let team = "user/ann@example.test/Team";
    let out = bob(
        &h,
        &format!(
            "a LIST \"\" *\r\nb LIST \"\" %\r\nc SELECT {team}\r\nd FETCH 1:* (FLAGS BODY[HEADER.FIELDS (SUBJECT)])\r\n\
             e STORE 1 +FLAGS (\\Seen)\r\nf EXPUNGE\r\n{}h COPY 1 INBOX\r\ni MOVE 1 INBOX\r\nj DELETE {team}\r\nk SETACL {team} {me} lrwstipekxa\r\n\
             l GETACL {team}\r\nm MYRIGHTS {team}\r\nn STATUS {team} (MESSAGES)\r\no SELECT user/ann@example.test/Own\r\n\
             p SELECT user/ann@example.test\r\nq SELECT user/ann@example.test/Nothing\r\nr GETQUOTAROOT {team}\r\ns CREATE {team}/Sub\r\n",
            append("g", team)
        ),
    );
    has(
        &out,
        &[
            &format!("* LIST (\\HasNoChildren) \"/\" {team}\r\n"),
            "* LIST (\\Noselect \\HasChildren) \"/\" user/ann@example.test\r\n",
            "* LIST (\\Noselect \\HasChildren) \"/\" user\r\nb OK",
            "* 2 EXISTS",
            "c OK [READ-ONLY]",
            "Subject: one",
            "e NO [READ-ONLY]",
            "f NO [READ-ONLY]",
            "g NO [NOPERM]",
            "h OK [COPYUID",
            "i NO",
            "j NO [NOPERM]",
            "k NO [NOPERM]",
            "l NO [NOPERM]",
            &format!("* MYRIGHTS {team} lr\r\nm OK"),
            &format!("* STATUS {team} (MESSAGES 2)\r\n"),
            "p NO [NONEXISTENT]",
            "q NO [NONEXISTENT]",
            "s NO [NOPERM]",
        ],
    );
    assert!(!out.contains("Own\r\n"), "{out}");
    // one right after the other
    ann(&h, &format!("a SETACL Team {me} lrswi\r\n"));
    let out = bob(
        &h,
        &format!(
            "a SELECT {team}\r\nb STORE 1 +FLAGS (\\Seen \\Flagged Work)\r\nc STORE 1 +FLAGS (\\Deleted)\r\nd EXPUNGE\r\n{}f SELECT INBOX\r\n\
             g COPY 1 {team}\r\n",
            append("e", team)
        ),
    );
    has(&out, &["a OK [READ-WRITE]", "Work", "c NO [NOPERM]", "d NO [NOPERM]", "e OK [APPENDUID", "g OK [COPYUID"]);
    ann(&h, &format!("a SETACL Team {me} lrteka\r\n"));
    let out = bob(
        &h,
        &format!(
            "a SELECT {team}\r\nb STORE 1 +FLAGS (\\Deleted)\r\nc STORE 2 +FLAGS (\\Flagged)\r\nd EXPUNGE\r\ne GETACL {team}\r\nf SETACL {team} anyone l\r\n"
        ),
    );
    has(
        &out,
        &[
            "b OK",
            "c NO [NOPERM]",
            "* 1 EXPUNGE\r\nd OK",
            &format!("* ACL {team} ann@example.test lrwstipekxacd {me} lrtekacd\r\n"),
            "f OK",
        ],
    );
    // the owner sees all of it
    let out = ann(&h, "a SELECT Team\r\nb FETCH 1:* (FLAGS BODY[HEADER.FIELDS (SUBJECT)])\r\nc GETACL Team\r\n");
    has(&out, &["* 3 EXISTS", "from bob", " anyone l"]);
    // taken back, it is gone
    ann(&h, &format!("a DELETEACL Team {me}\r\nb DELETEACL Team anyone\r\nc DELETEACL Own {me}\r\n"));
    assert!(!h.dir.join("shared/ann@example.test").exists());
    let out = bob(&h, &format!("a LIST \"\" *\r\nb SELECT {team}\r\n"));
    assert!(!out.contains("user/") && out.contains("b NO [NONEXISTENT]"), "{out}");
}

#[test]
fn an_inbox_is_shared_as_the_name_of_its_user() {
    let h = two();
    ann(&h, "a CREATE Secret\r\nb SETACL INBOX anyone lr\r\n");
    let out = bob(
        &h,
        "a LIST \"\" *\r\nb SELECT user/ann@example.test\r\nc SELECT user/ann@example.test/Secret\r\nd SELECT user/ann@example.test/INBOX\r\n",
    );
    has(
        &out,
        &[
            "* LIST (\\HasNoChildren) \"/\" user/ann@example.test\r\n",
            "* 3 EXISTS",
            "b OK",
            "c NO [NONEXISTENT]",
            "d OK",
        ],
    );
    assert!(!out.contains("Secret\r\n"), "{out}");
}

#[test]
fn subscriptions_search_and_notify_reach_shared_folders() {
    let h = two();
    ann(&h, "a CREATE Team\r\nb SELECT INBOX\r\nc COPY 1:2 Team\r\nd SETACL Team authenticated lrs\r\n");
    let team = "user/ann@example.test/Team";
    let out = bob(
        &h,
        &format!(
            "a SUBSCRIBE {team}\r\nb LSUB \"\" *\r\nc LIST (SUBSCRIBED) \"\" *\r\nd ESEARCH IN (mailboxes {team}) RETURN (COUNT) ALL\r\n\
             e ESEARCH IN (personal) RETURN (COUNT) ALL\r\nf SELECT INBOX\r\ng NOTIFY SET STATUS (mailboxes {team} (MessageNew MessageExpunge))\r\n\
             h UNSUBSCRIBE {team}\r\ni LSUB \"\" *\r\nj GETMETADATA {team} /private/comment\r\nk SETMETADATA {team} (/private/comment \"x\")\r\n"
        ),
    );
    has(
        &out,
        &[
            &format!("* LSUB () \"/\" {team}\r\nb OK"),
            &format!("* LIST (\\Subscribed \\HasNoChildren) \"/\" {team}\r\nc OK"),
            &format!("MAILBOX {team} UIDVALIDITY"),
            &format!("* STATUS {team} (MESSAGES 2"),
            "COUNT 2\r\nd OK",
            "g OK",
            "h OK\u{20}",
            "k NO [NOPERM]",
        ],
    );
    assert!(
        out.contains("UNSUBSCRIBE completed\r\ni OK") && !out.contains(&format!("{team} UIDVALIDITY 1\r\ne")),
        "{out}"
    );
}

#[test]
fn public_folders_go_by_the_rights_of_their_root() {
    let h = two();
    h.dir.write("public/dovecot-acl", "authenticated lr\nuser=ann@example.test lrwstipekxa\n");
    let out = ann(
        &h,
        &format!(
            "a CREATE Public/News\r\nb CREATE Public/News/Old\r\n{}d SETACL Public/News bob@example.test lrsi\r\ne GETACL Public/News\r\n",
            append("c", "Public/News")
        ),
    );
    has(
        &out,
        &[
            "a OK",
            "b OK",
            "c OK [APPENDUID",
            "* ACL Public/News authenticated lr ann@example.test lrwstipekxacd bob@example.test lrsi\r\n",
        ],
    );
    let out = bob(
        &h,
        &format!(
            "a LIST \"\" *\r\nb SELECT Public/News\r\nc FETCH 1 BODY[TEXT]\r\n{}e APPEND Public/News/Old {{1+}}\r\nx\r\nf SELECT Public\r\ng DELETE Public/News/Old\r\nh CREATE Public/Mine\r\ni RENAME Public/News Mine\r\n",
            append("d", "Public/News")
        ),
    );
    has(
        &out,
        &[
            "* LIST (\\Noselect \\HasChildren) \"/\" Public\r\n",
            "* LIST (\\HasChildren) \"/\" Public/News\r\n",
            "* LIST (\\HasNoChildren) \"/\" Public/News/Old\r\n",
            "hello",
            "d OK [APPENDUID",
            "e NO [NOPERM]",
            "f NO [NONEXISTENT]",
            "g NO [NOPERM]",
            "h NO [NOPERM]",
            "i NO [NOPERM]",
        ],
    );
    let out = ann(
        &h,
        "a STATUS Public/News (MESSAGES)\r\nb DELETE Public/News/Old\r\nc RENAME Public/News Public/Old\r\nd CREATE Public/Old/x\r\ne GETACL Public/Old/x\r\n",
    );
    has(&out, &["(MESSAGES 2)", "b OK", "c OK", "d OK", "bob@example.test lrsi\r\ne OK"]);
}

#[test]
fn a_session_can_open_only_what_is_shared() {
    let h = two();
    ann(&h, "a CREATE Team\r\nb CREATE Own\r\nc SETACL Team bob@example.test lr\r\n");
    // rights that came after the login are seen at the next one: the session has been confined
    let confined = penny_sys::landlock::abi() > 0;
    let imapd = std::process::Command::new(program!("imapd"));
    let mut live = imap::Live::start_as(imapd, &h.dir, "bob@example.test", "bob", "0");
    assert!(live.ask("a", "SELECT user/ann@example.test/Team").contains("a OK"));
    ann(&h, "a SETACL Own bob@example.test lr\r\n");
    let answer = live.ask("b", "SELECT user/ann@example.test/Own");
    assert_eq!(answer.contains("b NO [NONEXISTENT]"), confined, "{answer}");
    drop(live);
    assert!(bob(&h, "a SELECT user/ann@example.test/Own\r\n").contains("a OK"));
}

#[test]
fn an_administrator_sets_the_quota_of_others() {
    let h = two();
    let config = std::fs::read_to_string(h.dir.join("p.toml")).unwrap();
    let root = penny_sys::ids::own_uid() == 0;
    if root {
        let own = ["bob", "shared"].map(|place| h.dir.join(place));
        Run::new("chown").args(["-R", "54321:54321"]).args(own).run().expect_code(0);
    }
    // as the uid that ann's mail has
    let bob = |text: &str| {
        let run = session(&h, "bob@example.test");
        let run = if root { run.uid(54_321, 54_321) } else { run };
        run.stdin(text).run().out()
    };
    let ann = "\"ann@example.test\"";
    let ask = format!("a CAPABILITY\r\nb SETQUOTA {ann} (STORAGE 512 MESSAGE 4)\r\nc GETQUOTA {ann}\r\n");
    let out = bob(&ask);
    has(&out, &["b NO [NOPERM]", "c NO [NONEXISTENT]"]);
    assert!(!out.contains("QUOTASET"), "{out}");
    h.dir.write("p.toml", format!("{config}admins = [\"bob@example.test\"]\n"));
    let more =
        format!("d SETQUOTA nobody (STORAGE 1)\r\ne SETQUOTA {ann} (ANNOTATION-STORAGE 1)\r\nf GETQUOTA \"\"\r\n");
    let out = bob(&format!("{ask}{more}"));
    has(
        &out,
        &[" QUOTASET", &format!("* QUOTA {ann} (STORAGE 1 512 MESSAGE 3 4)\r\nb OK"), "c OK", "d NO [NONEXISTENT]"],
    );
    has(&out, &["e NO [CANNOT]", "f NO [NONEXISTENT]"]);
    // it holds in the user's own session
    let append = append("b", "INBOX");
    let text = format!("a GETQUOTAROOT INBOX\r\n{append}{}", append.replacen('b', "c", 1));
    let out = script(&h, "ann@example.test", &text);
    has(&out, &["MESSAGE 3 4)\r\na OK", "b OK", "c NO [OVERQUOTA]"]);
    // what the tables say is not overruled
    let users = std::fs::read_to_string(h.dir.join("tables/users")).unwrap();
    h.dir.write("tables/users", users.trim_end().to_owned() + ":userdb_quota_rule=*:storage=40K\n");
    penny_testkit::until("the table, read again", || {
        bob(&format!("a SETQUOTA {ann} (STORAGE 1)\r\n")).contains("a NO [NOPERM]")
    });
}

/// The uid and gid of a user of its own.
const ANN: u32 = 54_331;
const BOB: u32 = 54_332;
const EVE: u32 = 54_333;
/// The group of the public folders: ann's own, one of bob's, none of eve's.
const NEWS: u32 = 54_340;

/// A session of a user with a uid of its own, under a umask that gives the group nothing.
fn of_uid(h: &Home, user: &str, uid: u32, gid: u32, groups: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.arg(format!("--reuid={uid}")).arg(format!("--regid={gid}"));
    command.arg(if groups.is_empty() { "--clear-groups".into() } else { format!("--groups={groups}") });
    command.args(["sh", "-c", "umask 077; exec \"$@\"", "sh"]).arg(program!("imapd"));
    command.env("USER", user).env("HOME", h.dir.join(user));
    command
}

fn said(h: &Home, command: Command, text: &str) -> String {
    let run = command.get_args().fold(Run::new("setpriv"), |run, arg| run.arg(arg));
    let run = run.arg("-c").arg(h.dir.join("p.toml")).arg("--session");
    let user = command.get_envs().filter_map(|(name, value)| Some((name, value?)));
    user.fold(run, |run, (name, value)| run.env(name, value)).stdin(text).run().out()
}

#[test]
fn users_of_one_group_share_public_folders() {
    if penny_sys::ids::own_uid() != 0 {
        skip("users_of_one_group_share_public_folders", "needs root, for sessions of several uids");
        return;
    }
    if !have("users_of_one_group_share_public_folders", "setpriv") {
        return;
    }
    let h = Home::new();
    let (d, public) = (h.dir.path().display(), h.dir.join("public"));
    h.dir.write("p.toml", format!("{}public = [\"Public {d}/public\"]\n", imap::CONFIG));
    h.dir.write("public/dovecot-acl", "authenticated lrswipkxte\n");
    set_mode(&public, 0o2770, (0, NEWS));
    for (user, uid, gid) in [("ann", ANN, NEWS), ("bob", BOB, BOB), ("eve", EVE, EVE)] {
        h.dir.maildir(format!("{user}/Maildir"));
        h.dir.write(format!("{user}/Maildir/new/1.a"), format!("Subject: of {user}\n\nhello\n"));
        Run::new("chown").args(["-R", &format!("{uid}:{gid}")]).arg(h.dir.join(user)).run().expect_code(0);
    }
    Run::new("chmod").arg("a+rX").arg(h.dir.path()).arg(h.dir.join("p.toml")).run().expect_code(0);
    Run::new("chmod").arg("a+r").arg(public.join("dovecot-acl")).run().expect_code(0);

    let ann = of_uid(&h, "ann", ANN, NEWS, "");
    let mut ann = Live::start_as(ann, &h.dir, "ann", "ann", "0");
    has(&ann.ask("a", "CREATE Public/News"), &["a OK"]);
    ann.say(append("b", "Public/News").strip_suffix("\r\n").unwrap());
    ann.until("b OK [APPENDUID");
    ann.ask("c", "SELECT Public/News");
    has(&ann.ask("d", "STORE 1 +FLAGS (\\Deleted Work)"), &["d OK"]);

    // what one has made, the other reads, changes and removes; and adds its own
    let bob = || of_uid(&h, "bob", BOB, BOB, &NEWS.to_string());
    let out = said(
        &h,
        bob(),
        "a NAMESPACE\r\nb SELECT Public/News\r\nc FETCH 1 (FLAGS BODY[TEXT])\r\nd COPY 1 INBOX\r\ne EXPUNGE\r\nf SELECT INBOX\r\n\
         g COPY 1:2 Public/News\r\nh CREATE Public/News/Old\r\ni SELECT Public/News\r\nj STORE 1:* +FLAGS (More)\r\nk SETACL Public/News user=eve lr\r\n",
    );
    has(
        &out,
        &[
            "* NAMESPACE ((\"\" \"/\")) NIL ((\"Public/\" \"/\"))\r\n",
            "b OK [READ-WRITE]",
            "Work",
            "hello",
            "d OK [COPYUID",
        ],
    );
    has(&out, &["* 1 EXPUNGE\r\ne OK", "g OK [COPYUID", "h OK", "j OK"]);
    let out = ann.ask("e", "NOOP");
    has(&out, &["* 1 EXPUNGE", "* 2 EXISTS"]);
    has(&ann.ask("f", "FETCH 1:* (FLAGS BODY[HEADER.FIELDS (SUBJECT)])"), &["More", "of bob", "from bob"]);
    has(&ann.ask("g", "STORE 1 +FLAGS (\\Deleted)"), &["g OK"]);
    has(&ann.ask("h", "EXPUNGE"), &["* 1 EXPUNGE"]);
    has(&ann.ask("i", "RENAME Public/News/Old Public/Older"), &["i OK"]);
    has(&ann.ask("j", "DELETE Public/Older"), &["j OK"]);
    drop(ann);

    // the group has all of it, and nobody has anything of a user's own mail
    for (path, meta) in below(&public) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let mode = if meta.is_dir() { 0o2770 } else { 0o660 };
        let known = name == "dovecot-acl" || name.starts_with("dovecot-uidvalidity.");
        assert!(known || (meta.mode() & 0o7777, meta.gid()) == (mode, NEWS), "{}: {:o}", path.display(), meta.mode());
    }
    let own = below(&h.dir.join("bob"));
    assert!(own.iter().any(|(path, _)| path.ends_with("Maildir/dovecot-uidlist")), "{own:?}");
    let copies = own.iter().filter(|(path, meta)| meta.is_file() && path.parent().unwrap().ends_with("cur"));
    assert_eq!(copies.filter(|(_, meta)| meta.uid() == BOB && meta.nlink() == 1).count(), 2, "{own:?}");
    let open = own.iter().find(|(path, meta)| !path.ends_with("new") && meta.is_file() && meta.mode() & 0o020 != 0);
    assert_eq!(open.map(|(path, _)| path), None);

    // not in the group: the folders are not there, and the name is free
    let eve = of_uid(&h, "eve", EVE, EVE, "");
    let out = said(
        &h,
        eve,
        "a NAMESPACE\r\nb LIST \"\" *\r\nc SELECT Public/News\r\nd CREATE Public/News\r\ne SELECT Public/News\r\n",
    );
    has(&out, &["* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n", "c NO [NONEXISTENT]", "d OK", "* 0 EXISTS"]);
    assert!(!out[..out.find("c NO").unwrap()].contains("Public"), "{out}");
}

fn set_mode(path: &Path, mode: u32, (uid, gid): (u32, u32)) {
    std::os::unix::fs::chown(path, Some(uid), Some(gid)).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// Everything below a directory.
fn below(dir: &Path) -> Vec<(PathBuf, Metadata)> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        let meta = entry.path().symlink_metadata().unwrap();
        if meta.is_dir() {
            all.extend(below(&entry.path()));
        }
        all.push((entry.path(), meta));
    }
    all
}
