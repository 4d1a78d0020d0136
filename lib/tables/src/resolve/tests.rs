use super::*;

fn directory(files: &[(&str, &str)]) -> (Config, PathBuf) {
    let path = std::env::temp_dir().join(format!("penny-tables-{:x}", penny_sys::random::u64()));
    std::fs::create_dir(&path).unwrap();
    for (name, text) in files {
        std::fs::write(path.join(name), text).unwrap();
    }
    let mut config = Config::default();
    config.paths.tables = path.clone();
    config.top.hostname = "mx.example.test".into();
    config.queue.postmaster = "joe@example.test".into();
    config.mail.home = "/mail/%d/%u".into();
    (config, path)
}

fn expand(files: &[(&str, &str)], address: &str) -> Vec<End> {
    let (config, path) = directory(files);
    let tables = Tables::open(&config);
    let ends = Resolver::new(&tables, &config).expand(address);
    std::fs::remove_dir_all(path).unwrap();
    ends
}

const USERS: (&str, &str) = ("users", "joe@example.test:{PLAIN}x\nann@example.test:{PLAIN}y\n");

fn local(a: &str) -> End {
    End::Local(a.into())
}

#[test]
fn a_mailbox_with_and_without_extension() {
    assert_eq!(expand(&[USERS], "joe@example.test"), [local("joe@example.test")]);
    assert_eq!(expand(&[USERS], "JOE+list@Example.TEST"), [local("JOE+list@example.test")]);
    assert!(matches!(&expand(&[USERS], "nobody@example.test")[..], [End::Error(e)] if e.starts_with("5.1.1")));
}

#[test]
fn foreign_addresses_stay() {
    assert_eq!(expand(&[USERS], "a@elsewhere.test"), [End::Remote("a@elsewhere.test".into())]);
}

#[test]
fn virtual_then_aliases_then_mailboxes() {
    let files = [
        USERS,
        ("virtual", "sales@example.test joe, out@elsewhere.test\n@catch.test ann@example.test\n"),
        ("domains", "catch.test local\nalso.test alias example.test\n"),
        ("aliases", "team: joe, ann, |/bin/log x\njoe: joe, copy@elsewhere.test\n"),
    ];
    let out = |a: &str| End::Remote(format!("{a}@elsewhere.test"));
    assert_eq!(expand(&files, "sales@example.test"), [local("joe@example.test"), out("copy"), out("out")]);
    assert_eq!(expand(&files, "any@catch.test"), [local("ann@example.test")]);
    assert_eq!(expand(&files, "ann@also.test"), [local("ann@example.test")]);
    let team = expand(&files, "team@example.test");
    assert_eq!(team.last(), Some(&End::Pipe("/bin/log x".into())));
    assert_eq!(team.len(), 4);
}

#[test]
fn a_catch_all_does_not_take_own_mailboxes() {
    let files = [USERS, ("virtual", "@example.test joe@example.test\n")];
    assert_eq!(expand(&files, "ann@example.test"), [local("ann@example.test")]);
    assert_eq!(expand(&files, "else@example.test"), [local("joe@example.test")]);
}

#[test]
fn cycles_end() {
    let files = [USERS, ("aliases", "a: b\nb: c\nc: a, joe\n")];
    let ends = expand(&files, "a@example.test");
    assert_eq!(ends, [local("joe@example.test")]);
    let deep: String = (0..40).map(|i| format!("d{i}: d{}\n", i + 1)).collect();
    let ends = expand(&[USERS, ("aliases", &deep)], "d0@example.test");
    assert!(matches!(&ends[..], [End::Error(e)] if e.starts_with("5.4.6")), "{ends:?}");
}

#[test]
fn postmaster_exists_everywhere() {
    assert_eq!(expand(&[USERS], "Postmaster@mx.example.test"), [local("joe@example.test")]);
    assert_eq!(expand(&[USERS], "postmaster"), [local("joe@example.test")]);
}

#[test]
fn a_list_from_a_file() {
    let (config, path) = directory(&[USERS]);
    let list = path.join("list");
    std::fs::write(&list, "# members\njoe@example.test, out@elsewhere.test\n").unwrap();
    std::fs::write(path.join("aliases"), format!("list: :include:{}\ngone: :include:/nonexistent\n", list.display()))
        .unwrap();
    let tables = Tables::open(&config);
    let ends = Resolver::new(&tables, &config).expand("list@example.test");
    assert_eq!(ends, [local("joe@example.test"), End::Remote("out@elsewhere.test".into())]);
    let ends = Resolver::new(&tables, &config).expand("gone@example.test");
    assert!(matches!(&ends[..], [End::Error(e)] if e.starts_with("4.")));
    std::fs::remove_dir_all(path).unwrap();
}

#[test]
fn the_place_of_a_mailbox() {
    let (config, path) = directory(&[USERS]);
    let tables = Tables::open(&config);
    let user = mailbox_of(&tables, &config, "joe+x@example.test").unwrap();
    assert_eq!(user.name, "joe@example.test");
    assert_eq!(user.maildir, PathBuf::from("/mail/example.test/joe/Maildir"));
    assert!(mailbox_of(&tables, &config, "../../etc@example.test").is_none());
    std::fs::remove_dir_all(path).unwrap();
}
