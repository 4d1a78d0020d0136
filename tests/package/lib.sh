# lib.sh: what the tests in this directory share: TAP, waiting, packages, clients. Sourced by sh; enter.sh sets SYSTEM.
n=0 failed=0
ok() { # WHAT COMMAND...
  n=$((n+1)); what=$1; shift
  if "$@" >/tmp/out 2>&1; then echo "ok $n - $what"
  else failed=1; echo "not ok $n - $what"; sed 's/^/# /' /tmp/out | tail -20; fi
}
done_testing() { echo "1..$n"; exit $failed; }
until_() { i=0; until "$@" >/dev/null 2>&1; do i=$((i+1)); [ "$i" -lt 1800 ] || return 1; sleep 0.1; done; }
# its file is there some time before it listens
listens() { grep -qE "^[^ ]+ [^ ]+ [^ ]+ 00010000 .* $1\$" /proc/net/unix; }
open_() { bash -c "exec 3<>/dev/tcp/127.0.0.1/$1"; }

# apt_ WHAT...: of a new Debian, from its own directory of packages
apt_() { apt-get -q -y "$@"; }

# the mailboxes of ann, whom `pennypost setup` makes
inbox() { find /var/mail/pennypost/example.test/ann/Maildir/new /var/mail/pennypost/example.test/ann/Maildir/cur -type f 2>/dev/null | wc -l; }
more() { [ "$(inbox)" -gt "$1" ]; }
came() { grep -rlsqx "Subject: $1" /var/mail/pennypost/example.test/ann/Maildir; }

smtp() { # SUBJECT: a whole conversation with port 25
  printf 'From: x@far.test\r\nTo: ann@example.test\r\nSubject: %s\r\n\r\nhello\r\n' "$1" >/tmp/mail
  curl -sS --max-time 60 smtp://127.0.0.1:25/client.test --mail-from x@far.test --mail-rcpt ann@example.test -T /tmp/mail && until_ came "$1"
}
starttls() { curl -sS --max-time 60 --insecure --ssl-reqd smtp://127.0.0.1:25/client.test --mail-from x@far.test --mail-rcpt ann@example.test -T /tmp/mail; }
imap() { curl -sS --max-time 60 --insecure --user "ann@example.test:$password" 'imaps://127.0.0.1/INBOX?ALL' | grep -q 'SEARCH 1'; }
submit() { # SUBJECT
  printf 'From: ann@example.test\r\nTo: ann@example.test\r\nSubject: %s\r\n\r\nhello\r\n' "$1" >/tmp/mail
  curl -sS --max-time 60 --insecure --user "ann@example.test:$password" smtps://127.0.0.1:465/client.test --mail-from ann@example.test --mail-rcpt ann@example.test -T /tmp/mail
}
both() { # WHO
  ok "$1: mail comes in on port 25" smtp "$1"
  ok "$1: STARTTLS" starttls
  ok "$1: submission" submit "submitted $1"
  ok "$1: it is read over IMAP with TLS" imap
}
# serve SETUP RUN LOG [BECOME]: the resident services, as setup says; their pids are added to $pids
pids=
serve() {
  sed -n '/^start these/,$p' "$1" | sed -n '2,5p' | sed 's/ (.*//' >/tmp/resident
  while read -r line; do
    setsid sh -c "exec ${4:-} $line" </dev/null >>"$3" 2>&1 & pids="$pids $!"
    s=$(echo "$line" | sed -n 's#.*/\(spawn\|lookup\|enqueue\|qrun\) -c.*#\1#p')
    ok "$s starts" until_ listens "$2/$s/socket"
  done </tmp/resident
}
# a unit whose programs are installed has nothing to be told about
verify() {
  systemd-analyze verify --man=no /lib/systemd/system/pennypost* >/tmp/verify 2>&1
  ! grep -i pennypost /tmp/verify
}
