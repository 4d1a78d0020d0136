//! Plays tests/dialog/smtpd: the first word of a file's name is the role.

mod smtpfake;

use penny_testkit::dialog::files;
use penny_testkit::{Dialog, Player};
use smtpfake::instance::Instance;

#[test]
fn dialogues() {
    let all = files(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/dialog/smtpd"));
    assert!(all.len() >= 9, "dialogues are missing");
    for path in all {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let role = name.split('-').next().unwrap_or_default();
        let instance = Instance::usual("");
        let run = if role == "mx" { instance.stranger(role) } else { instance.smtpd(role) };
        assert_eq!(Player::new().over_pipes(&run, &Dialog::load(&path)), Some(0), "{name}");
    }
}
