# Learn from moves into and out of Junk (RFC 6785). Put this file into /etc/pennypost/sieve and learn-sieve.sh into
# /etc/pennypost/sieve-bin; then in pennypost.toml:  [imapd]  imapsieve_script = "learn"
# Out of Junk is ham, but not into Trash: throwing spam away is no praise.
require ["imapsieve", "environment", "vnd.dovecot.pipe", "copy"];

if environment "imap.cause" "COPY" {
    if environment "imap.mailbox" "Junk" {
        if not environment "vnd.dovecot.mailbox-from" "Junk" {
            pipe :copy :try "learn-sieve.sh" "spam";
        }
    } elsif allof (environment "vnd.dovecot.mailbox-from" "Junk",
                   not environment "imap.mailbox" ["Trash", "Deleted Messages", "Deleted Items"]) {
        pipe :copy :try "learn-sieve.sh" "ham";
    }
}
