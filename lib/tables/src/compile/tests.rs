use super::*;
use crate::set::Tables;
use penny_base::Config;
use std::fs::File;
use std::os::unix::fs::PermissionsExt;

fn directory(files: &[(&str, &str)]) -> (Config, PathBuf) {
    let path = std::env::temp_dir().join(format!("penny-compile-{:x}", penny_sys::random::u64()));
    std::fs::create_dir(&path).unwrap();
    for (name, text) in files {
        std::fs::write(path.join(name), text).unwrap();
    }
    let mut config = Config::default();
    config.paths.tables.clone_from(&path);
    config.top.hostname = "mx.example.test".into();
    (config, path)
}

const FILES: [(&str, &str); 7] = [
    (
        "users",
        "# c\njoe@a.test:{PLAIN}x:1001:1002::/h:/bin/sh:nologin\nJoe@a.test:{PLAIN}1\n  \nAnn@B.test:{PLAIN}y\nAnn@B.test:{X}z\n",
    ),
    ("app-passwords", "joe@a.test:phone:{PLAIN}s:2026-01-02\n# c\njoe@a.test:pad:{PLAIN}t\n"),
    ("aliases", "Root: joe,\n ann\nlist: |/bin/x\n\"q r\": z\n"),
    ("virtual", "a@x.test 1, 2\n@x.test 3\nx.test anything\nbare 4\na@x.test 5\n"),
    ("domains", "One.test\ntwo.test alias one.test\nthree.test relay\n"),
    ("routes", "far.test smtp:[h]:26 tls=must\n.far.test mx\n* lmtp:unix:/x\n"),
    ("senders", "a@x.test joe@a.test, ann\n"),
];

#[test]
fn a_compiled_table_answers_as_its_text() {
    let (config, path) = directory(&FILES);
    let text = Tables::open(&config);
    for name in NAMES {
        assert!(compile(&path, name).unwrap() > 0, "{name}");
    }
    let compiled = Tables::open(&config);
    compiled.begin();
    for (login, fold) in ["joe@a.test", "Joe@a.test", "JOE@A.TEST", "ann@b.test", "Ann@B.test", "x", ""]
        .iter()
        .flat_map(|l| [(l, false), (l, true)])
    {
        assert_eq!(compiled.users.find(login, fold), text.users.find(login, fold), "{login} {fold}");
    }
    assert_eq!(compiled.users.find("ann@b.test", true).unwrap().password, "{X}z", "the last one counts");
    assert!(compiled.users.find("\0domains", false).is_none());
    for name in ["root", "ROOT", "list", "q r", "none"] {
        assert_eq!(compiled.aliases.find(name), text.aliases.find(name), "{name}");
    }
    for key in ["a@x.test", "@x.test", "x.test", "bare", "y"] {
        assert_eq!(compiled.virt.find(key), text.virt.find(key), "{key}");
        assert_eq!(compiled.senders.find(key), text.senders.find(key), "{key}");
    }
    for domain in
        ["one.test", "two.test", "three.test", "a.test", "b.test", "mx.example.test", "localhost", "four.test"]
    {
        assert_eq!(compiled.domains.find(domain), text.domains.find(domain), "{domain}");
    }
    for domain in ["far.test", "x.y.far.test", "else.test"] {
        assert_eq!(compiled.routes.find(domain, ""), text.routes.find(domain, ""), "{domain}");
    }
    assert_eq!(compiled.trouble(), None);
    let Ok(crate::source::From::Compiled(apps)) = crate::source::of(&path, "app-passwords") else { panic!("no cdb") };
    let apps = Apps::compiled(apps);
    let labels: Vec<String> = apps.of("joe@a.test").unwrap().into_iter().map(|a| a.label).collect();
    assert_eq!((labels, apps.is_empty()), (vec!["phone".into(), "pad".into()], false));
    assert!(apps.of("ann").unwrap().is_empty());
    std::fs::remove_dir_all(path).unwrap();
}

#[test]
fn text_that_changed_since_wins_until_it_is_compiled_again() {
    let (config, path) = directory(&[("aliases", "a: one\n")]);
    compile(&path, "aliases").unwrap();
    let mut tables = Tables::open(&config);
    let is = |t: &Tables, name: &str, to: &str| {
        t.aliases.find(name).map(|t| format!("{t:?}")).unwrap_or_default().contains(to)
    };
    assert!(is(&tables, "a", "one"));
    // a file with another time, as an editor leaves it
    std::fs::write(path.join("aliases"), "a: two\n").unwrap();
    let later = std::time::SystemTime::now() + std::time::Duration::from_secs(5);
    File::options().write(true).open(path.join("aliases")).unwrap().set_modified(later).unwrap();
    assert!(tables.refresh() && is(&tables, "a", "two"));
    compile(&path, "aliases").unwrap();
    assert!(tables.refresh() && is(&tables, "a", "two"));
    // a change through the tools compiles it again
    let mut edit = crate::edit::Edit::open(&path, "aliases").unwrap();
    edit.put("b", "b: three");
    edit.save((None, None, 0o644)).unwrap();
    assert!(tables.refresh() && is(&tables, "b", "three") && is(&tables, "a", "two"));
    let text = std::fs::metadata(path.join("aliases")).unwrap();
    assert!(Compiled::open(&path, "aliases", &text).unwrap().is_some());
    std::fs::write(super::path(&path, "aliases"), b"nonsense").unwrap();
    assert!(tables.refresh() && is(&tables, "b", "three"), "a damaged one is no harm");
    std::fs::remove_dir_all(path).unwrap();
}

#[test]
fn text_with_an_older_time_wins_too() {
    let (_, path) = directory(&[("users", "joe:{PLAIN}new\n")]);
    compile(&path, "users").unwrap();
    let open = || Compiled::open(&path, "users", &std::fs::metadata(path.join("users")).unwrap());
    assert!(open().unwrap().is_some());
    // a backup that was put back: another password of the same length, with its old time
    std::fs::write(path.join("users"), "joe:{PLAIN}old\n").unwrap();
    let earlier = std::time::SystemTime::now() - std::time::Duration::from_secs(3600);
    File::options().write(true).open(path.join("users")).unwrap().set_modified(earlier).unwrap();
    assert_eq!(open().unwrap_err().kind(), ErrorKind::InvalidData);
    std::fs::remove_dir_all(path).unwrap();
}

#[test]
fn secrets_stay_secret_and_mistakes_are_not_compiled() {
    let (_, path) = directory(&[("users", "joe:{PLAIN}x\n"), ("aliases", "nonsense\n"), ("access", "client * ok\n")]);
    std::fs::set_permissions(path.join("users"), std::fs::Permissions::from_mode(0o640)).unwrap();
    compile(&path, "users").unwrap();
    assert_eq!(std::fs::metadata(path.join("users.cdb")).unwrap().mode() & 0o777, 0o640);
    assert_eq!(compile(&path, "aliases").unwrap_err().kind(), ErrorKind::InvalidData);
    assert_eq!(compile(&path, "access").unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(compile(&path, "virtual").unwrap_err().kind(), ErrorKind::NotFound);
    let names: Vec<String> =
        std::fs::read_dir(&path).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    assert!(!names.iter().any(|n| n.ends_with(".new")), "{names:?}");
    std::fs::remove_dir_all(path).unwrap();
}
