//! pennypost import-postfix and import-dovecot.

#[path = "support/admin.rs"]
mod admin;

use admin::Admin;

#[test]
fn a_postfix_is_taken_over() {
    let place = Admin::new("hostname = \"mx.example.test\"", "");
    let at = place.dir.path().display().to_string();
    place.dir.write("postfix/aliases", "# names\nroot: ann\npostmaster: old\n");
    place.dir.write("postfix/virtual", "sales@example.test\tann@example.test,\n  joe@example.test\n");
    place.dir.write("postfix/transport", "far.test smtp:[192.0.2.9]:2525\n");
    let main = format!(
        "myhostname = mail.example.test\nmydestination = $myhostname, localhost, example.test\nrelay_domains = backup.test\n\
         mynetworks = 127.0.0.0/8\n  [::1]/128\nmessage_size_limit = 1000000\nrecipient_delimiter = +\nrelayhost =\n\
         alias_maps = hash:{at}/postfix/aliases\nvirtual_alias_maps = hash:{at}/postfix/virtual, mysql:/etc/x.cf\n\
         transport_maps = texthash:{at}/postfix/transport\nsmtpd_milters = inet:127.0.0.1:8891\n"
    );
    place.dir.write("postfix/main.cf", main);
    place.dir.write("etc/aliases", "postmaster: new\n");
    let dry = place.run(&format!("import-postfix --dry-run {at}/postfix"));
    dry.expect_code(1);
    assert_eq!(place.table("virtual"), "");
    let out = place.run(&format!("import-postfix {at}/postfix"));
    out.expect_code(1).expect_out("hostname = \"mail.example.test\"").expect_out("max_size = 1000000");
    out.expect_out("relay_clients = [\"127.0.0.0/8\", \"::1/128\"]").expect_out("separators = \"+\"");
    out.expect_out("NOT carried: virtual_alias_maps = mysql:/etc/x.cf");
    out.expect_out("NOT carried: smtpd_milters = inet:127.0.0.1:8891").expect_out("postmaster is here already, kept");
    assert_eq!(place.table("aliases"), "postmaster: new\nroot: ann\n");
    assert_eq!(place.table("virtual"), "sales@example.test ann@example.test, joe@example.test\n");
    assert_eq!(place.table("routes"), "far.test smtp:[192.0.2.9]:2525\n");
    for line in ["example.test local\n", "mail.example.test local\n", "backup.test relay\n"] {
        assert!(place.table("domains").contains(line), "{}", place.table("domains"));
    }
    place.run("check").expect_code(0);
}

#[test]
fn users_of_dovecot_log_in_with_their_passwords() {
    let place = Admin::new("", "");
    let users = "# d\nann@example.test:{PLAIN}secret:1001:1001::/home/ann::userdb_quota_rule=*:storage=1G\nold@example.test:{MD4}x\n";
    let file = place.dir.write("passwd", users);
    let out = place.run(&format!("import-dovecot {}", file.display()));
    out.expect_code(1).expect_out("# users: ann@example.test").expect_out("NOT carried: old@example.test");
    assert_eq!(place.log_in("ann@example.test", "secret"), "OK user=ann@example.test\n");
    place.run("user list").expect_out("1G");
    place.run(&format!("import-dovecot {}", file.display())).expect_out("is here already, kept");
}
