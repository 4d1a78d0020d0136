//! checkauth with PAM: services of a directory of the test's own, modules as they come with Linux-PAM.

#[path = "support/admin.rs"]
mod admin;

use admin::Admin;
use penny_testkit::skip;

/// Where Debian, others and other architectures have the modules.
fn modules() -> bool {
    let places = ["/lib", "/usr/lib", "/lib64", "/usr/lib64"].iter().flat_map(|d| {
        let below = std::fs::read_dir(d).into_iter().flatten().flatten().map(|e| e.path().join("security"));
        below.chain([std::path::Path::new(d).join("security")])
    });
    places.into_iter().any(|d| d.join("pam_exec.so").is_file())
}

fn place(test: &str, service: &str) -> Option<Admin> {
    if !modules() {
        skip::skip(test, "the modules of Linux-PAM are not installed");
        return None;
    }
    let text = "system_users = false\n[auth]\nsource = \"pam\"\npam_directory = \"PAM\"\n";
    let place = Admin::new("hostname = \"mx.example.test\"", text);
    let pam = place.dir.join("pam.d").display().to_string();
    let config = std::fs::read_to_string(place.config()).unwrap().replace("PAM", &pam);
    std::fs::write(place.config(), config).unwrap();
    let root = place.dir.path().display().to_string();
    place.dir.write("pam.d/pennypost", service.replace("HOME", &root));
    place.dir.write("etc/users", "joe@example.test:!:1001:1001::/h::\nann@example.test:!:1002:1002::/h::\n");
    Some(place)
}

#[test]
fn what_pam_permits_and_denies() {
    let Some(permit) = place("what_pam_permits", "auth required pam_permit.so\naccount required pam_permit.so\n")
    else {
        return;
    };
    assert_eq!(permit.log_in("joe@example.test", "any"), "OK user=joe@example.test\n");
    assert_eq!(permit.log_in("Joe@example.test", "any"), "OK user=joe@example.test\n");
    assert!(permit.log_in("nobody@example.test", "any").starts_with("NO AUTHENTICATIONFAILED"), "no mailbox");
    assert!(permit.log_in("joe@example.test", "").starts_with("NO AUTHENTICATIONFAILED"), "never without a password");
    let deny = |service| place("what_pam_denies", service).unwrap().log_in("joe@example.test", "any");
    assert!(deny("auth required pam_deny.so\naccount required pam_permit.so\n").starts_with("NO AUTHENTICATIONFAILED"));
    let account = deny("auth required pam_permit.so\naccount required pam_deny.so\n");
    assert!(account.starts_with("NO "), "the account counts too: {account}");
    let missing = deny("auth required pam_no_such_module.so\naccount required pam_permit.so\n");
    assert!(missing.starts_with("NO "), "{missing}");
}

#[test]
fn a_program_of_pam_exec_sees_name_password_and_address() {
    let service = "auth required pam_exec.so expose_authtok quiet HOME/check\naccount required pam_permit.so\n";
    let Some(place) = place("pam_exec", service) else { return };
    // the password comes without a line end, with NUL behind it
    let check = "#!/bin/sh\nIFS= read -r password || :\n[ \"$PAM_USER/$password/$PAM_RHOST/$PAM_SERVICE\" = \
                 'joe@example.test/open sesame/192.0.2.1/pennypost' ]\n";
    place.dir.script("check", check);
    assert_eq!(place.log_in("joe@example.test", "open sesame"), "OK user=joe@example.test\n");
    assert!(place.log_in("joe@example.test", "wrong").starts_with("NO "));
    assert!(place.log_in("ann@example.test", "open sesame").starts_with("NO "));
}
