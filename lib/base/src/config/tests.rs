use super::*;

fn parse(text: &str) -> Result<Config, Mistakes> {
    Config::parse(Path::new("p.toml"), text)
}

#[test]
fn an_empty_file_is_the_defaults() {
    let c = parse("").unwrap();
    assert_eq!(c.smtpd.max_size, Size(50 << 20));
    assert_eq!(c.queue.lifetime, Seconds(432_000));
}

#[test]
fn all_mistakes_at_once_with_their_places() {
    let text = "hostnam = \"x\"\n[smtpd]\nmax_size = \"5 apples\"\n  colour = 1\n[nothing]\na = 1\n";
    let shown = parse(text).unwrap_err().to_string();
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!(lines.len(), 4, "{shown}");
    assert_eq!(lines[0], "p.toml:1:1: unknown key hostnam: is hostname meant?");
    assert!(lines[1].starts_with("p.toml:3:12: smtpd.max_size: expected a size"), "{shown}");
    assert_eq!(lines[2], "p.toml:4:3: unknown key smtpd.colour");
    assert_eq!(lines[3], "p.toml:5:2: unknown section [nothing]");
}

#[test]
fn a_form_of_the_file_that_is_newer_older_or_obsolete() {
    assert!(parse("version = 1\n").is_ok() && parse("").is_ok(), "a file that does not say is of an old form");
    let newer = parse("hostname = \"a\"\nversion = 2\n[smtpd]\nfrom_the_future = 1\n").unwrap_err().to_string();
    assert!(newer.starts_with("p.toml:2:1: version: this file is of form 2, for a newer pennypost"), "{newer}");
    assert_eq!(newer.lines().count(), 1, "its unknown keys are no mistakes of the admin: {newer}");
    assert!(parse("version = 0\n").is_err());
    let old = parse("[queue]\n durability = \"strict\"\n").unwrap_err().to_string();
    assert!(old.starts_with("p.toml:2:2: obsolete key queue.durability: leave it out"), "{old}");
    let misplaced = parse("[imapd]\nmax_size = 1\n").unwrap_err().to_string();
    assert!(misplaced.contains("unknown key imapd.max_size: is smtpd.max_size meant?"), "{misplaced}");
}

#[test]
fn broken_toml_has_a_place_too() {
    let shown = parse("a = \n").unwrap_err().to_string();
    assert!(shown.starts_with("p.toml:1:"), "{shown}");
}

#[test]
fn entries_of_arrays() {
    let c = parse("[[listen]]\nname=\"mx\"\naddress=\"127.0.0.1:0\"\nprogram=\"smtpd\"\ntls=\"implicit\"\n").unwrap();
    assert_eq!(c.listen[0].tls, TlsMode::Implicit);
    let shown = parse("[[listen]]\ntls=\"maybe\"\n").unwrap_err().to_string();
    assert!(shown.contains("p.toml:2:5: listen.tls: expected one of none, starttls, implicit"), "{shown}");
}

#[test]
fn filters_serve_what_there_is() {
    let filter = |more: &str| parse(&format!("[[filter]]\nname=\"f\"\ncommand=[\"f\"]\n{more}\n"));
    assert!(filter("services=[\"mx\",\"forward\",\"own\"]").is_ok());
    assert!(filter("services=[\"mx\"]\nrewrite=true").is_ok());
    for (more, told) in [
        ("services=[\"outgoing\"]", "filter.services: expected mx"),
        ("services=[\"own\"]\nrewrite=true", "filter.rewrite: mail that leaves"),
    ] {
        let shown = filter(more).unwrap_err().to_string();
        assert!(shown.starts_with("p.toml:1:1: ") && shown.contains(told), "{shown}");
    }
}

#[test]
fn the_compiled_form_is_the_same_and_goes_stale() {
    let dir = std::env::temp_dir().join(format!("penny-config-{:x}", penny_sys::random::u64()));
    std::fs::create_dir(&dir).unwrap();
    let file = dir.join("p.toml");
    let text = "hostname = \"a\\tb\"\n[smtpd]\nrelay_clients = []\n[[listen]]\nname=\"x\"\naddress=\"a:1\"\n\
                program=\"smtpd\"\nargs=[\"-r\",\"a b\"]\n";
    std::fs::write(&file, text).unwrap();
    Config::load_source(&file).unwrap().write_compiled().unwrap();
    let c = compiled::load(&file).unwrap();
    assert_eq!(c.top.hostname, "a\tb");
    assert!(c.smtpd.relay_clients.is_empty());
    assert_eq!(c.listen[0].args, ["-r", "a b"]);
    std::fs::write(&file, "hostname = \"other\"\n").unwrap();
    assert!(compiled::load(&file).is_none());
    assert_eq!(Config::load(Some(&file)).unwrap().top.hostname, "other");
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn fractions_with_and_without_quotes() {
    let text = "[spamcheck]\nspam_cut = 0.95\nham_cut = \"0.2\"\n";
    let config = Config::parse(Path::new("f"), text).unwrap();
    assert_eq!((config.spamcheck.spam_cut, config.spamcheck.ham_cut), (Chance(0.95), Chance(0.2)));
    let wrong = Config::parse(Path::new("f"), "[spamcheck]\nspam_cut = 1.5\n").unwrap_err().to_string();
    assert_eq!(wrong, "f:2:12: spamcheck.spam_cut: expected a number from 0 to 1, such as 0.95");
    let wrong = Config::parse(Path::new("f"), "hostname = 1.5\n").unwrap_err().to_string();
    assert!(wrong.contains("hostname: expected a string"), "{wrong}");
}
