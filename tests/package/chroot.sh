#!/bin/sh
# chroot.sh DEBS: inside a mount and network namespace of its own (tests/package.rs makes them with unshare). An overlay of
# this system is entered, the packages are installed there by the real dpkg on its real ports, a server is set up, sends
# and receives under each super-server, and is purged. Nothing outside the overlay is touched. Prints TAP.
set -u
debs=$1
if [ -z "${INSIDE:-}" ]; then
  top=$(mktemp -d)
  mount -t tmpfs none "$top" && mkdir "$top/upper" "$top/work" "$top/root" &&
    mount -t overlay overlay -o "lowerdir=/,upperdir=$top/upper,workdir=$top/work" "$top/root" || { echo "SKIP no overlay file system here"; exit 0; }
  ip link set lo up 2>/dev/null || { echo "SKIP no loopback here"; exit 0; }
  mount --rbind /proc "$top/root/proc" && mount --rbind /dev "$top/root/dev"
  mount -t tmpfs none "$top/root/run" && mount -t tmpfs none "$top/root/tmp" && chmod 1777 "$top/root/tmp"
  mkdir "$top/root/tmp/debs"; cp "$debs"/*.deb "$top/root/tmp/debs/"; cp "$0" "$top/root/tmp/chroot.sh"
  INSIDE=1 LC_ALL=C HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin chroot "$top/root" /bin/sh /tmp/chroot.sh /tmp/debs
  code=$?
  umount -l "$top/root/proc" "$top/root/dev" "$top/root" "$top" 2>/dev/null
  exit $code
fi

n=0 failed=0
ok() { # WHAT COMMAND...
  n=$((n+1)); what=$1; shift
  if "$@" >/tmp/out 2>&1; then echo "ok $n - $what"
  else failed=1; echo "not ok $n - $what"; sed 's/^/# /' /tmp/out | tail -20; fi
}
until_() { i=0; until "$@" >/dev/null 2>&1; do i=$((i+1)); [ "$i" -lt 600 ] || return 1; sleep 0.1; done; }
open_() { bash -c "exec 3<>/dev/tcp/127.0.0.1/$1"; }

# other mailers of this system make room, as apt would have them do
for p in $(dpkg-query -W -f '${Package} ${Provides}\n' | awk '/mail-transport-agent/ { print $1 }'); do
  dpkg --purge --force-all --no-triggers "$p" >/dev/null 2>&1
done
# the base system that openbsd-inetd and the like wait for is not run here
printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d; chmod 755 /usr/sbin/policy-rc.d

ok "both packages install" dpkg -i --no-triggers $debs/*.deb
ok "they are configured" sh -c "dpkg-query -W -f '\${db:Status-Abbrev}\n' pennypost pennypost-filters | sort -u | grep -qx 'ii '"
ok "it is the mail transport agent" sh -c 'test -x /usr/sbin/sendmail && test -x /usr/lib/sendmail && test -x /usr/bin/mailq'
ok "the roles have accounts" id ppauth
ok "owners and modes are those of hier" pennypost hier
ok "a filter works alone" sh -c 'printf "Subject: x\n\nhello\n" | spamcheck --pass | grep -qi "^X-Spam"'
ok "pages are there" sh -c 'test -e /usr/share/man/man1/pennypost.1.gz && test -e /usr/share/man/man8/smtpd.8.gz && test -e /usr/share/man/man1/spamcheck.1.gz'
ok "the completion knows the commands" bash -c '. /usr/share/bash-completion/completions/pennypost; COMP_WORDS=(pennypost user ""); COMP_CWORD=2; _pennypost; [[ " ${COMPREPLY[*]} " == *" suspend "* ]]'
[ "$failed" = 0 ] || { echo "1..$n"; exit 1; }
ok "setup" sh -c 'pennypost setup example.test --hostname mx.example.test --postmaster ann --filters dkimsign --listen 0.0.0.0 --ip 192.0.2.1 --start none >/tmp/setup'
password=$(sed -n 's/.* logs in with the password //p' /tmp/setup)
ok "check" pennypost check

# the resident services, as setup says
pids=
resident() { sed -n '/^start these/,$p' /tmp/setup | sed -n '2,5p' | sed 's/ (.*//'; }
resident >/tmp/resident
while read -r line; do
  setsid sh -c "exec $line" </dev/null >>/tmp/log 2>&1 & pids="$pids $!"
  s=$(echo "$line" | sed -n 's#.*/\(spawn\|lookup\|enqueue\|qrun\) -c.*#\1#p')
  ok "$s starts" until_ test -S "/run/pennypost/$s/socket"
done </tmp/resident

inbox() { find /var/mail/pennypost/example.test/ann/Maildir/new /var/mail/pennypost/example.test/ann/Maildir/cur -type f 2>/dev/null | wc -l; }
more() { [ "$(inbox)" -gt "$1" ]; }
smtp() { # a whole conversation with the port, by a client of this system
  before=$(inbox)
  printf 'From: x@far.test\r\nTo: ann@example.test\r\nSubject: %s\r\n\r\nhello\r\n' "$1" >/tmp/mail
  curl -sS --max-time 60 smtp://127.0.0.1:25/client.test --mail-from x@far.test --mail-rcpt ann@example.test -T /tmp/mail &&
    until_ more "$before"
}
starttls() { curl -sS --max-time 60 --insecure --ssl-reqd smtp://127.0.0.1:25/client.test --mail-from x@far.test --mail-rcpt ann@example.test -T /tmp/mail; }
imap() { curl -sS --max-time 60 --insecure --user "ann@example.test:$password" 'imaps://127.0.0.1/INBOX?ALL' | grep -q 'SEARCH 1'; }
submit() { curl -sS --max-time 60 --insecure --user "ann@example.test:$password" smtps://127.0.0.1:465/client.test --mail-from ann@example.test --mail-rcpt ann@example.test -T /tmp/mail2; }
printf 'From: ann@example.test\r\nTo: ann@example.test\r\nSubject: signed\r\n\r\nhello\r\n' >/tmp/mail2
both() { # WHO
  ok "$1: mail comes in on port 25" smtp "$1"
  ok "$1: STARTTLS" starttls
  ok "$1: it is read over IMAP with TLS" imap
}
stop() { kill "$1" 2>/dev/null; i=0; while open_ 25 2>/dev/null; do i=$((i+1)); [ "$i" -lt 100 ] || break; sleep 0.1; done; }

ok "sendmail(1) as an ordinary user" sh -c 'echo hello | setpriv --reuid nobody --regid nogroup --clear-groups /usr/sbin/sendmail ann@example.test'
ok "it arrives" until_ more 0
/usr/libexec/pennypost/listen </dev/null >>/tmp/log 2>&1 & listener=$!
until_ open_ 993
both listen
ok "listen: submission" submit
ok "listen: what was submitted is signed" until_ sh -c 'grep -rl "^DKIM-Signature:.*d=example.test" /var/mail/pennypost/example.test/ann/Maildir | xargs grep -l "Subject: signed"'
ok "status" pennypost status --log /tmp/log
ok "trace" pennypost trace x@far.test --log /tmp/log

stop $listener

if command -v inetd >/dev/null; then
  : >/etc/inetd.conf
  ok "setup adds the lines of inetd" pennypost setup example.test --start inetd
  inetd -i & pid=$!
  until_ open_ 993; both openbsd-inetd; stop $pid
else echo "# SKIP openbsd-inetd is not installed"; fi
if command -v xinetd >/dev/null; then
  { sed 's/^/ /' /usr/share/doc/pennypost/examples/inetd/xinetd.conf | sed 's/^ //'
    sed 's/service smtp/service imaps/; s/tlsd$/tlsd/; s/smtpd -r mx/-i imapd/' /usr/share/doc/pennypost/examples/inetd/xinetd.conf; } >/tmp/xinetd.conf
  xinetd -dontfork -f /tmp/xinetd.conf >/dev/null 2>&1 & pid=$!
  until_ open_ 993; both xinetd; stop $pid
else echo "# SKIP xinetd is not installed"; fi
if command -v tcpserver >/dev/null; then
  setsid sh -c '. /usr/share/doc/pennypost/examples/inetd/tcpserver.run' >>/tmp/log 2>&1 & pid=$!
  tcpserver -H -R -l 0 0 993 /usr/libexec/pennypost/tlsd -i imapd >>/tmp/log 2>&1 & pid2=$!
  until_ open_ 25; until_ open_ 993; both tcpserver; stop $pid; kill $pid2
else echo "# SKIP tcpserver is not installed"; fi
if command -v systemd-socket-activate >/dev/null; then
  systemd-socket-activate --inetd --accept -l 127.0.0.1:25 /usr/libexec/pennypost/tlsd smtpd -r mx >>/tmp/log 2>&1 & pid=$!
  systemd-socket-activate --inetd --accept -l 127.0.0.1:993 /usr/libexec/pennypost/tlsd -i imapd >>/tmp/log 2>&1 & pid2=$!
  until_ open_ 25; until_ open_ 993; both systemd-socket-activate; stop $pid; kill $pid2
else echo "# SKIP systemd-socket-activate is not installed"; fi
command -v systemd-analyze >/dev/null && ok "the units are understood" sh -c 'systemd-analyze verify /lib/systemd/system/pennypost*.service /lib/systemd/system/pennypost*.socket 2>&1 | grep -i pennypost | grep -v "not executable\|Command .man" | { ! grep .; }'

kill $pids 2>/dev/null
[ "$failed" = 0 ] || sed 's/^/# log: /' /tmp/log | tail -40
before=$(inbox)
ok "remove" dpkg --remove --force-depends --no-triggers pennypost pennypost-filters
ok "removal keeps the configuration" test -s /etc/pennypost/pennypost.toml
ok "purge" dpkg --purge --force-depends --no-triggers pennypost pennypost-filters
ok "nothing is left but the mail" sh -c 'for p in /etc/pennypost /var/lib/pennypost /usr/libexec/pennypost /etc/logrotate.d/pennypost /usr/sbin/sendmail; do ! test -e $p || { echo $p; exit 1; }; done'
ok "the mail is still there" test "$(inbox)" = "$before"
echo "1..$n"
exit $failed
