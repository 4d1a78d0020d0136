//! Plays tests/dialog/smtpd: the first word of a file's name is the role, `tls` being mx within TLS.
//! Lines `# config: TEXT` of a file are the instance's configuration.

mod smtpfake;

use penny_testkit::dialog::files;
use penny_testkit::{Dialog, Player};
use smtpfake::instance::Instance;

#[test]
fn dialogues() {
    let all = files(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/dialog/smtpd"));
    assert!(all.len() >= 17, "dialogues are missing");
    for path in all {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let role = name.split('-').next().unwrap_or_default();
        let text = std::fs::read_to_string(&path).unwrap();
        let config: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("# config: ")).collect();
        let instance = Instance::usual(&config.join("\n"));
        let run = match role {
            "mx" => instance.stranger("mx"),
            "tls" => instance.stranger("mx").env("SSL_PROTOCOL", "TLSv1.3").env("SSL_CIPHER", "TLS_AES_256_GCM_SHA384"),
            role => instance.smtpd(role),
        };
        assert_eq!(Player::new().over_pipes(&run, &Dialog::load(&path)), Some(0), "{name}");
    }
}
