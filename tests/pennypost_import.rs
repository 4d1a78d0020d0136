//! pennypost import-postfix and import-dovecot.

#[path = "support/admin.rs"]
mod admin;

use admin::Admin;
use penny_testkit::Output;
use std::path::Path;

/// What was printed is a configuration without mistakes; the settings of it that are asked for.
fn settings(place: &Admin, out: &Output) -> String {
    let own = std::fs::read_to_string(place.config()).expect("a configuration");
    let paths: Vec<&str> = own.lines().filter(|l| l.starts_with("libexec") || l.starts_with("tables")).collect();
    place.dir.write("new/pennypost.toml", format!("{}\n[paths]\n{}\n", out.out(), paths.join("\n")));
    let new = place.dir.join("new/pennypost.toml");
    let run = penny_testkit::Run::new(admin::programs().join("pennypost")).arg("-c").arg(new);
    let shown = run.args(["check", "-s"]).run();
    assert_eq!(shown.code, Some(0), "{}\n{}", out.out(), shown.out());
    shown.out()
}

fn expect(text: &str, lines: &[&str]) {
    for line in lines {
        assert!(text.lines().any(|l| l == *line), "no line {line:?} in:\n{text}");
    }
}

fn lost(out: &Output) -> Vec<String> {
    out.out().lines().filter_map(|l| l.strip_prefix("# NOT carried: ")).map(str::to_string).collect()
}

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
         transport_maps = texthash:{at}/postfix/transport\nsmtpd_milters = inet:127.0.0.1:8891\n\
         home_mailbox = Maildir/\nheader_checks = regexp:/etc/postfix/header_checks\n"
    );
    place.dir.write("postfix/main.cf", main);
    place.dir.write("etc/aliases", "postmaster: new\n");
    let dry = place.run(&format!("import-postfix --dry-run {at}/postfix"));
    dry.expect_code(1).expect_out("# virtual: sales@example.test").expect_out("postmaster is here already, kept");
    assert_eq!(place.table("virtual"), "");
    let out = place.run(&format!("import-postfix {at}/postfix"));
    out.expect_code(1).expect_out("postmaster is here already, kept");
    assert_eq!(
        lost(&out),
        [
            "header_checks = regexp:/etc/postfix/header_checks",
            "virtual_alias_maps = mysql:/etc/x.cf: a program in place of the table: pennypost-tables(5)",
        ]
    );
    expect(
        &settings(&place, &out),
        &[
            "hostname = \"mail.example.test\"",
            "smtpd.max_size = 1000000",
            "smtpd.relay_clients = [\"127.0.0.0/8\", \"::1/128\"]",
            "smtpd.milters = [\"inet:127.0.0.1:8891\"]",
            "mail.separators = \"+\"",
            "mail.system_users = true",
            "mail.maildir = \"Maildir\"",
        ],
    );
    assert_eq!(place.table("aliases"), "postmaster: new\nroot: ann\n");
    assert_eq!(place.table("virtual"), "sales@example.test ann@example.test, joe@example.test\n");
    assert_eq!(place.table("routes"), "far.test smtp:[192.0.2.9]:2525\n");
    for line in ["example.test local\n", "mail.example.test local\n", "backup.test relay\n"] {
        assert!(place.table("domains").contains(line), "{}", place.table("domains"));
    }
    place.run("check").expect_code(0);
    let again = place.run(&format!("import-postfix {at}/postfix"));
    again.expect_out("# domains: example.test is here already, kept");
}

#[test]
fn keys_are_compared_as_the_tables_have_them() {
    let place = Admin::new("hostname = \"mx.example.test\"", "");
    let at = place.dir.join("postfix").display().to_string();
    place.dir.write("postfix/aliases", "\"all staff\": old\n");
    place.dir.write("postfix/vmailbox", "Ann@a.test a.test/ann/\n");
    let main = format!(
        "alias_maps = hash:{at}/aliases\nhome_mailbox = Maildir/\nvirtual_mailbox_maps = hash:{at}/vmailbox\n\
         virtual_mailbox_base = /m\nvirtual_uid_maps = static:5000\nvirtual_gid_maps = static:5000\n"
    );
    place.dir.write("postfix/main.cf", main);
    let (aliases, users) = ("\"all staff\": new\n", "Ann@a.test:{PLAIN}x::::::\n");
    place.dir.write("etc/aliases", aliases);
    place.dir.write("etc/users", users);
    for line in ["import-postfix --dry-run", "import-postfix"] {
        let out = place.run(&format!("{line} {at}"));
        out.expect_code(0).expect_out("# aliases: all staff is here already").expect_out("# users: Ann@a.test is here");
    }
    assert_eq!((place.table("aliases").as_str(), place.table("users").as_str()), (aliases, users));
}

/// An admin's own: virtual domains, a smarthost with a password, restrictions, submission, policy servers.
const GROWN: &str = "\
# written by hand over the years
mydomain = corp.test
myhostname = mx1.$mydomain
myorigin = /etc/mailname
mydestination = localhost
local_recipient_maps =
virtual_mailbox_domains = hash:AT/vdomains, extra.test
virtual_mailbox_base = /var/vmail
virtual_mailbox_maps = hash:AT/vmailbox
virtual_uid_maps = static:5000
virtual_gid_maps = static:5000
virtual_alias_maps = hash:AT/virtual regexp:AT/catchall
smtpd_sender_login_maps = inline:{ sales@corp.test=ann@corp.test }
relayhost = [smtp.isp.test]:587
smtp_sasl_auth_enable = yes
smtp_sasl_password_maps = hash:AT/sasl
smtp_tls_security_level = encrypt
sender_dependent_relayhost_maps = texthash:AT/senders
smtp_tls_policy_maps = hash:AT/tls
transport_maps = hash:AT/transport
message_size_limit = 52428800
maximal_queue_lifetime = 3
minimal_backoff_time = 600s
smtpd_tls_chain_files = /etc/le/key.pem, /etc/le/full.pem
smtpd_tls_security_level = may
smtpd_tls_mandatory_protocols = >=TLSv1.3
smtpd_client_restrictions = permit_mynetworks, check_client_access cidr:AT/clients,
    reject_unknown_client_hostname
smtpd_recipient_restrictions =
    permit_mynetworks, permit_sasl_authenticated, reject_unauth_destination,
    check_sender_access hash:AT/badsenders,
    reject_unknown_sender_domain,
    reject_rbl_client zen.dnsbl.test, reject_rbl_client bl.test=127.0.0.2,
    check_policy_service inet:127.0.0.1:10023,
    check_policy_service unix:private/spf, reject_unverified_recipient
smtpd_milters = unix:opendkim/opendkim.sock, { inet:localhost:8893, default_action=accept }
non_smtpd_milters = $smtpd_milters
smtpd_client_message_rate_limit = 10
content_filter = smtp-amavis:[127.0.0.1]:10024
inet_protocols = ipv4
";

const MASTER: &str = "\
# name type private unpriv chroot wakeup maxproc command
smtp      inet  n       -       y       -       -       smtpd
10.0.0.5:2525 inet n -  y - - smtpd
    -o content_filter=
submission inet n       -       y       -       -       smtpd
    -o syslog_name=postfix/submission
    -o smtpd_tls_security_level=encrypt
    -o smtpd_sasl_auth_enable=yes
    -o smtpd_relay_restrictions=permit_sasl_authenticated,reject
smtps     inet  n       -       y       -       -       smtpd
    -o smtpd_tls_wrappermode=yes
    -o smtpd_sasl_auth_enable=yes
    -o { smtpd_client_restrictions = permit_sasl_authenticated, reject }
pickup    unix  n       -       y       60      1       pickup
maildrop  unix  -       n       n       -       -       pipe
  flags=DRXhu user=vmail argv=/usr/bin/maildrop -d ${recipient}
";

#[test]
fn a_grown_postfix_with_master_cf() {
    let place = Admin::new("hostname = \"mx.example.test\"", "");
    let at = place.dir.join("pf").display().to_string();
    for (name, text) in [
        ("vdomains", "corp.test OK\nother.test OK\n"),
        ("vmailbox", "ann@corp.test corp.test/ann/\njoe@corp.test corp.test/joe/\nold@corp.test old.mbox\n"),
        ("virtual", "info@corp.test ann@corp.test joe@corp.test\nsold.test anything\nx@sold.test ann@corp.test\n"),
        ("catchall", "/^.*@other\\.test$/ ann@corp.test\n/^(.*)@three\\.test$/ $1@corp.test\n"),
        ("sasl", "[smtp.isp.test]:587 isp:secret\n@other.test me:hidden\n"),
        ("senders", "@other.test [relay.other.test]:587\nann@corp.test [x.test]\n"),
        ("tls", "bank.test secure\nodd.test verify match=nexthop\n"),
        ("transport", "fax.test maildrop:\nback.test lmtp:inet:127.0.0.1:24\nfree.test smtp:\n"),
        ("clients", "192.0.2.0/24 REJECT no\n198.51.100.7 OK\n203.0.113.0/24 FILTER smtp:[x]\n"),
        ("badsenders", "spam.test 554 5.7.1 never\n"),
        ("main.cf", GROWN),
        ("master.cf", MASTER),
    ] {
        place.dir.write(format!("pf/{name}"), text.replace("AT", &at));
    }
    let out = place.run(&format!("import-postfix {at}"));
    out.expect_code(1);
    assert!(!out.out().contains("secret") && !out.out().contains("hidden"), "{}", out.out());
    expect(
        &settings(&place, &out),
        &[
            "hostname = \"mx1.corp.test\"",
            "smtpd.max_size = \"50MiB\"",
            "smtpd.need_client_name = true",
            "smtpd.check_sender_domain = true",
            "smtpd.dnsbl = [\"bl.test=127.0.0.2\", \"zen.dnsbl.test\"]",
            "smtpd.policy = [\"inet:127.0.0.1:10023\", \"unix:/var/spool/postfix/private/spf\"]",
            "smtpd.milters = [\"inet:127.0.0.1:8893\", \"unix:/var/spool/postfix/opendkim/opendkim.sock\"]",
            "smtpd.rate_messages = 600",
            "queue.lifetime = \"3d\"",
            "queue.retry_min = \"10m\"",
            "tls.certificate = \"/etc/le/full.pem\"",
            "tls.key = \"/etc/le/key.pem\"",
            "tls.min_version = \"1.3\"",
            "mail.system_users = false",
        ],
    );
    let text = out.out();
    for listen in [
        "name = \"smtp\"\naddress = \"0.0.0.0:25\"\nprogram = \"smtpd\"\nargs = [\"-r\", \"mx\"]\n",
        "name = \"smtp-2525\"\naddress = \"10.0.0.5:2525\"\n",
        "name = \"submission\"\naddress = \"0.0.0.0:587\"\nprogram = \"smtpd\"\nargs = [\"-r\", \"submission\"]\n",
        "name = \"submissions\"\naddress = \"0.0.0.0:465\"\nprogram = \"smtpd\"\nargs = [\"-r\", \"submission\"]\ntls = \"implicit\"",
    ] {
        assert!(text.contains(listen), "{listen}\nin {text}");
    }
    let user = "ann@corp.test::5000:5000::/var/vmail/corp.test/ann::userdb_mail=maildir:~/\n";
    assert!(place.table("users").contains(user), "{}", place.table("users"));
    assert_eq!(
        place.table("routes"),
        "back.test lmtp:127.0.0.1:24\nfree.test mx\n* smtp:[smtp.isp.test]:587 tls=must auth=isp:secret\n\
               from:other.test smtp:[relay.other.test]:587 tls=must auth=me:hidden\nbank.test mx tls=must\n"
    );
    assert_eq!(
        place.table("access"),
        "client 192.0.2.0/24 reject no\nclient 198.51.100.7 ok\nsender spam.test reject 5.7.1 never\n\
         sender .spam.test reject 5.7.1 never\n"
    );
    assert_eq!(
        place.table("virtual"),
        "info@corp.test ann@corp.test, joe@corp.test\nx@sold.test ann@corp.test\n@other.test ann@corp.test\n"
    );
    assert_eq!(place.table("senders"), "sales@corp.test ann@corp.test\n");
    for domain in ["corp.test", "other.test", "extra.test", "sold.test"] {
        assert!(place.table("domains").contains(&format!("{domain} local\n")), "{}", place.table("domains"));
    }
    let lost = lost(&out).join("\n");
    for what in [
        "content_filter = smtp-amavis:[127.0.0.1]:10024",
        "smtpd_milters: inet:localhost:8893: default_action=accept",
        "smtpd_recipient_restrictions: reject_unverified_recipient",
        "sender_dependent_relayhost_maps: ann@corp.test [x.test]",
        "smtp_tls_policy_maps: odd.test verify match=nexthop",
        "transport_maps: fax.test maildrop:",
        "/^(.*)@three\\.test$/ $1@corp.test",
        "203.0.113.0/24 FILTER smtp:[x]",
        "virtual_mailbox_maps: old@corp.test old.mbox is no Maildir: maildirctl import",
        "master.cf: 10.0.0.5:2525: -o content_filter=",
    ] {
        assert!(lost.contains(what), "{what}\nnot in:\n{lost}");
    }
    place.run("check").expect_code(0);
    place.run("route info@corp.test").expect_out("ends in: local ann@corp.test");
}

#[test]
fn what_postconf_printed_is_read_from_standard_input() {
    let place = Admin::new("hostname = \"mx.example.test\"", "");
    let text = "compatibility_level = 3.6\nhome_mailbox = Maildir/\ninet_interfaces = all\nmailbox_size_limit = 0\n\
                mydestination = $myhostname, a.test, localhost.localdomain, localhost\n\
                mynetworks = 127.0.0.0/8 [::ffff:127.0.0.0]/104 [::1]/128\nreadme_directory = no\nrelayhost =\n\
                smtp_tls_CApath = /etc/ssl/certs\nsmtp_tls_session_cache_database = btree:${data_directory}/smtp_scache\n\
                smtpd_banner = $myhostname ESMTP $mail_name (Debian/GNU)\nsmtpd_tls_cert_file = /etc/ssl/certs/x.pem\n\
                smtpd_relay_restrictions = permit_mynetworks permit_sasl_authenticated defer_unauth_destination\n";
    let out = place.with("import-postfix -", text);
    out.expect_code(0).expect_out("certificate = \"/etc/ssl/certs/x.pem\"");
    assert!(place.table("domains").contains("a.test local\n") && !place.table("domains").contains("localhost"));
    settings(&place, &out);
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
    for again in ["import-dovecot", "import-dovecot --dry-run"] {
        place.run(&format!("{again} {}", file.display())).expect_out("# users: ann@example.test is here already, kept");
    }
}

#[test]
fn a_large_passwd_file_is_taken_over_in_one_pass() {
    const USERS: usize = 30_000;
    let place = Admin::new("", "");
    let line = |n: usize| format!("user{n}@example.test:{{PLAIN}}p{n}::::::\n");
    let file = place.dir.write("passwd", (0..USERS).map(line).collect::<String>());
    // half of them are known without a password, as import-postfix leaves them
    let known = |n: usize| format!("user{n}@example.test::5000:5000::/home/{n}::\n");
    place.dir.write("etc/users", (0..USERS / 2).map(known).collect::<String>());
    let out = place.run(&format!("import-dovecot {}", file.display()));
    out.expect_code(0);
    assert_eq!(out.out().lines().filter(|l| l.starts_with("# users: user")).count(), USERS);
    let table = place.table("users");
    assert_eq!(table.lines().count(), USERS);
    assert_eq!(table.lines().next(), Some("user0@example.test:{PLAIN}p0:5000:5000::/home/0::"));
    assert_eq!(table.lines().last(), Some(line(USERS - 1).trim_end()));
    let again = place.run(&format!("import-dovecot --dry-run {}", file.display()));
    assert_eq!(again.out().matches("is here already, kept").count(), USERS);
}

const DOVECOT_23: &str = "\
!include conf.d/*.conf
!include_try local.conf
protocols = imap pop3 lmtp sieve
mail_location = maildir:~/Maildir:INDEX=/var/index/%u
ssl = required
ssl_cert = </etc/le/full.pem
ssl_key = </etc/le/key.pem
auth_mechanisms = plain login cram-md5
disable_plaintext_auth = no
service imap-login {
  inet_listener imap {
    port = 0
  }
  inet_listener imaps {
    port = 1993
    ssl = yes
  }
}
service lmtp {
  unix_listener /var/spool/postfix/private/dovecot-lmtp {
    mode = 0600
  }
}
plugin {
  quota = maildir:User quota
  quota_rule = *:storage=2G:messages=5000
  quota_rule2 = Trash:storage=+100M
  sieve = file:~/sieve;active=~/.dovecot.sieve
  sieve_before = /var/vmail/before.d
  sieve_max_redirects = 8
}
protocol imap {
  mail_max_userip_connections = 40
  mail_plugins = $mail_plugins imap_quota zlib
}
";

const AUTH_23: &str = "\
passdb {
  driver = passwd-file
  args = scheme=PLAIN username_format=%u AT/users   # not CRYPT
}
userdb {
  driver = static
  args = uid=vmail gid=vmail home=/var/vmail/%d/%n
}
namespace inbox {
  inbox = yes
  separator = /
  mailbox Trash {
    auto = subscribe
    special_use = \\Trash
    autoexpunge = 30d
  }
  mailbox \"Junk Mail\" {
    auto = create
    special_use = \\Junk
  }
}
";

#[test]
fn a_dovecot_configuration_of_2_3_is_taken_over() {
    let place = Admin::new("", "");
    let at = place.dir.join("dc").display().to_string();
    place.dir.write("dc/dovecot.conf", DOVECOT_23);
    place.dir.write("dc/conf.d/10-auth.conf", AUTH_23.replace("AT", &at));
    place.dir.write("dc/users", "ann@a.test:geheim::::::\nbob@a.test:{SHA512-CRYPT}$6$abc$x:::::\n");
    // import-postfix has been here: the user is known, without a password
    place.dir.write("etc/users", "ann@a.test::5000:5000::/var/vmail/a.test/ann::userdb_mail=maildir:~/\n");
    let out = place.run(&format!("import-dovecot {at}"));
    out.expect_code(1);
    assert!(!out.out().contains("geheim"), "{}", out.out());
    assert_eq!(place.log_in("ann@a.test", "geheim"), "OK user=ann@a.test\n");
    assert!(place.table("users").contains("ann@a.test:{PLAIN}geheim:5000:5000::/var/vmail/a.test/ann::userdb_mail="));
    expect(
        &settings(&place, &out),
        &[
            "ids.mail = \"vmail\"",
            "mail.home = \"/var/vmail/%d/%u\"",
            "mail.maildir = \"Maildir\"",
            "mail.quota = \"2GiB\"",
            "mail.quota_messages = 5000",
            "mail.junk_folder = \"Junk Mail\"",
            "mail.autocreate = [\"Junk Mail\", \"Trash\"]",
            "imapd.separator = \"/\"",
            "imapd.max_sessions = 40",
            "tls.certificate = \"/etc/le/full.pem\"",
            "tls.key = \"/etc/le/key.pem\"",
            "auth.mechanisms = [\"LOGIN\", \"PLAIN\"]",
            "deliver.sieve_before = \"/var/vmail/before.d\"",
            "deliver.sieve_redirects = 8",
        ],
    );
    let text = out.out();
    assert!(
        text.contains("name = \"imaps\"\naddress = \"[::]:1993\"\nprogram = \"imapd\"\ntls = \"implicit\"\n"),
        "{text}"
    );
    assert!(
        !text.contains("name = \"imap\"") && text.contains("name = \"sieve\"") && !text.contains("name = \"lmtp\"")
    );
    assert_eq!(
        lost(&out),
        [
            "auth_mechanisms: CRAM-MD5",
            "disable_plaintext_auth = no: no password is taken without TLS, but from loopback",
            "autoexpunge of Trash = 30d: pennypost domain set DOMAIN 'retention=Trash:30d'",
            "quota_rule2 = Trash:storage=+100M",
            "mail_plugins: zlib: messages that are compressed on disk: doveadm sync to a plain Maildir",
        ]
    );
}

const DOVECOT_24: &str = "\
dovecot_config_version = 2.4.1
dovecot_storage_version = 2.4.1
protocols {
  imap = yes
  lmtp = yes
}
mail_driver = maildir
mail_home = /srv/mail/%{user | domain}/%{user | username}
mail_path = ~/mail
mailbox_list_layout = fs
mail_uid = vmail
mail_gid = mail
ssl_server_cert_file = /etc/le/full.pem
ssl_server_key_file = /etc/le/key.pem
passdb passwd-file {
  passwd_file_path = AT/users
  default_password_scheme = plain
}
userdb passwd-file {
  passwd_file_path = AT/more
}
passdb sql {
  query = SELECT 1
}
namespace inbox {
  inbox = yes
}
quota \"User quota\" {
  storage_size = 512M
}
sieve_script personal {
  path = ~/sieve
  active_path = ~/.dovecot.sieve
}
sieve_script first {
  type = before
  path = /etc/first.sieve
}
";

#[test]
fn a_dovecot_configuration_of_2_4_is_taken_over() {
    let place = Admin::new("", "");
    let at = place.dir.join("dc").display().to_string();
    let file = place.dir.write("dc/dovecot.conf", DOVECOT_24.replace("AT", &at));
    place.dir.write("dc/users", "ann@a.test:geheim\n");
    place.dir.write("dc/more", "ann@a.test::1001:1002::/home/ann::\n");
    let dry = place.run(&format!("import-dovecot --dry-run {}", file.display()));
    dry.expect_code(1).expect_out("# users: ann@a.test");
    assert_eq!(place.table("users"), "");
    let out = place.run(&format!("import-dovecot {}", file.display()));
    assert_eq!(place.table("users"), "ann@a.test:{plain}geheim:1001:1002::/home/ann::\n");
    assert_eq!(place.log_in("ann@a.test", "geheim"), "OK user=ann@a.test\n");
    expect(
        &settings(&place, &out),
        &[
            "ids.mail = \"vmail:mail\"",
            "mail.home = \"/srv/mail/%d/%u\"",
            "mail.maildir = \"mail\"",
            "mail.quota = \"512MiB\"",
            "imapd.separator = \".\"",
            "tls.key = \"/etc/le/key.pem\"",
            "deliver.sieve_before = \"/etc/first.sieve\"",
        ],
    );
    assert!(out.out().contains("name = \"imap\"\naddress = \"[::]:143\"\n"), "{}", out.out());
    let sql = "passdb sql: a program in place of the table users: pennypost-tables(5)";
    assert_eq!(lost(&out), [sql, "mail_location: LAYOUT=fs"]);
}

#[test]
fn what_is_not_there_is_no_passing_trouble() {
    let place = Admin::new("", "");
    for line in ["import-postfix /nonexistent", "import-dovecot /nonexistent", "report /nonexistent"] {
        place.run(line).expect_code(64).expect_err("text=\"/nonexistent: No such file or directory");
    }
}

#[test]
fn the_configurations_of_debian() {
    const TEST: &str = "the_configurations_of_debian";
    let place = Admin::new("hostname = \"mx.example.test\"", "");
    if penny_testkit::have(TEST, "doveconf") {
        let shown = penny_testkit::Run::new("doveconf").arg("-n").run();
        let out = place.with("import-dovecot -", &shown.out());
        assert!(matches!(out.code, Some(0 | 1)), "{}", out.describe());
        settings(&place, &out);
        place.run("import-dovecot --dry-run /usr/share/dovecot").expect_code(1).expect_out("mail_location = mbox:");
    }
    for main in
        ["/usr/share/postfix/main.cf.debian", "/etc/postfix/main.cf"].into_iter().filter(|m| Path::new(m).exists())
    {
        let out = place.run(&format!("import-postfix --dry-run {main}"));
        assert!(matches!(out.code, Some(0 | 1)), "{}", out.describe());
        settings(&place, &out);
    }
}
