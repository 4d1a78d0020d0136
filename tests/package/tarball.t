#!/bin/sh
# tarball.t: the archive of `make tarball` on a new Debian, by the commands of INSTALL: unpacked, set up, mail sent and read,
# unpacked again over the server in use, removed. Run by enter.sh.
set -u
. /srv/test/lib.sh
PATH=/usr/local/bin:$PATH

# by_install BEGINNING [MORE]: the command of INSTALL that begins so, with more arguments
by_install() {
  command=$(sed -n '/^Without packages/,/^Moving/s/^       //p' /srv/test/INSTALL | sed 's/   .*//' | grep -m 1 "^$1") || return 1
  command=$(echo "$command" | sed 's#dist/#/srv/test/debs/#; s/example\.org/example.test/')
  echo "$command ${2:-}"
  eval "$command ${2:-}"
}
everything() { find / -xdev -not -path '/tmp/*' -not -path '/srv/test/*' | sort; }
modes() { stat -c '%n %U %G %a' / /etc /usr /usr/local /usr/local/bin /usr/local/share /usr/local/share/man; }
same_modes() { modes | cmp - /tmp/modes; }

ok "apt reads its list" apt_ update
ok "clients" apt_ install --no-install-recommends curl
ok "what INSTALL asks for is there" sh -c 'ldconfig -p | grep -q libssl.so.3 && command -v useradd'
ok "nothing of ours is there" sh -c '! command -v pennypost && ! getent passwd ppauth'
modes >/tmp/modes; everything >/tmp/before
ok "it is unpacked" by_install 'tar -x'
ok "directories that were there are as they were" same_modes
ok "setup" by_install 'pennypost setup' '--hostname mx.example.test --postmaster ann --filters dkimsign --listen 0.0.0.0 --ip 192.0.2.1 --start none >/tmp/setup'
password=$(sed -n 's/.* logs in with the password //p' /tmp/setup)
ok "owners, modes and configuration" by_install 'pennypost hier'
[ "$failed" = 0 ] || done_testing
serve /tmp/setup /run/pennypost /tmp/log
/usr/local/libexec/pennypost/listen </dev/null >>/tmp/log 2>&1 & listener=$!
until_ open_ 993
both "the archive"
ok "sendmail" sh -c 'printf "Subject: by sendmail\n\nhello\n" | sendmail ann@example.test'
ok "it arrives" until_ came "by sendmail"
page() { ls "/usr/local/share/man/man${1##*.}/$1"; }
ok "pages" eval 'page pennypost.1 && page listen.8 && page pennypost.toml.5'

sum=$(cat /etc/pennypost/pennypost.toml /etc/pennypost/users | md5sum)
ok "it is unpacked again" by_install 'tar -x'
ok "configuration and users are the same" sh -c "cat /etc/pennypost/pennypost.toml /etc/pennypost/users | md5sum | grep -q '${sum%% *}'"
kill -USR2 $listener
ok "listen hands over to the new program" until_ grep -q "^listen\[$listener\]: .* ev=handed-over" /tmp/log
both "after unpacking again"

kill $pids $(sed -n 's/^listen\[\([0-9]*\)\]: .* ev=listening .*/\1/p' /tmp/log | sort -u) 2>/dev/null
closed() { ! open_ 25 2>/dev/null; }
ok "the services end" until_ closed
before=$(inbox)
ok "the files are removed" by_install 'tar -t'
ok "and the directories" by_install 'rm -r'
ok "the mail is still there" test "$(inbox)" = "$before"
ours() { everything | comm -13 /tmp/before - | grep -i 'penny\|/pp[a-z]*$' | grep -v '^/var/mail/pennypost\|^/var/spool/pennypost'; }
nothing() { ! ours; }
ok "nothing else of ours is left" nothing
[ "$failed" = 0 ] || sed 's/^/# log: /' /tmp/log | tail -40
done_testing
