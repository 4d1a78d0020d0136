# programs.sh: mail programs that people have, against the server that install.t runs, and a second server: both ways.
# Sourced by install.t on a new Debian.
nobody='setpriv --reuid nobody --regid nogroup --clear-groups'

# another host: all of it below one directory, under one uid
mkdir /srv/far && chown nobody:nogroup /srv/far
ok "a second server is set up by an ordinary user" sh -c "HOME=/srv/far $nobody pennypost setup far.test --root /srv/far --hostname mx.far.test --postmaster bob --filters dkimsign --listen 127.0.0.2 --port-offset 2000 --ip 192.0.2.2 --start none >/tmp/far"
bob=$(sed -n 's/.* logs in with the password //p' /tmp/far)
far=$(sed -n '/^start these/,$s#.*-c \([^ ]*\).*#\1#p' /tmp/far | head -1)
serve /tmp/far "$(find /srv/far -name spawn -type d | head -1 | xargs dirname)" /tmp/far.log "$nobody"
setsid $nobody /usr/libexec/pennypost/listen -c "$far" </dev/null >>/tmp/far.log 2>&1 & pids="$pids $!"
until_ bash -c 'exec 3<>/dev/tcp/127.0.0.2/2025'
echo 'far.test smtp:[127.0.0.2]:2025' >>/etc/pennypost/routes
echo 'example.test smtp:[127.0.0.1]:25' >>"$(dirname "$far")/routes"
far_came() { grep -rlsqx "Subject: $1" /srv/far --include='*,S=*'; }

ok "mail(1)" sh -c "echo hello | $nobody mail -s 'by mailx' ann@example.test"
ok "mail(1): it arrives" until_ came "by mailx"
auth="--auth LOGIN --auth-user ann@example.test --auth-password $password"
ok "swaks: port 25 with STARTTLS" swaks --silent 2 --server 127.0.0.1 --tls --from x@far.test --to ann@example.test --header 'Subject: by swaks'
ok "swaks: it arrives" until_ came "by swaks"
ok "swaks: a stranger may not relay" sh -c '! swaks --silent 3 --server 198.51.100.7 --from x@far.test --to y@else.test --quit-after RCPT'
ok "swaks: submission to another host" swaks --silent 2 --server 127.0.0.1:587 --tls $auth --from ann@example.test --to bob@far.test --header 'Subject: to far'
ok "swaks: it arrives there" until_ far_came "to far"
cat >/tmp/msmtprc <<END
account default
host 127.0.0.1
port 465
tls on
tls_starttls off
tls_certcheck off
auth on
user ann@example.test
password $password
from ann@example.test
END
chmod 600 /tmp/msmtprc
ok "msmtp: submissions" sh -c 'printf "From: ann@example.test\nTo: bob@far.test\nSubject: by msmtp\n\nhello\n" | msmtp -C /tmp/msmtprc -t'
ok "msmtp: it arrives there" until_ far_came "by msmtp"
cat >/tmp/muttrc <<END
set ssl_verify_host=no ssl_verify_dates=no ssl_starttls=yes ssl_force_tls=yes
set certificate_file=/etc/pennypost/tls.pem
set from=ann@example.test realname=Ann copy=yes confirmcreate=no
set smtp_url="smtp://ann%40example.test@127.0.0.1:587/" smtp_pass="$password"
set imap_user=ann@example.test imap_pass="$password"
set folder="imaps://127.0.0.1/" record="imaps://127.0.0.1/Sent"
END
ok "mutt: sends, and keeps a copy over IMAP" sh -c 'echo hello | mutt -n -F /tmp/muttrc -s "by mutt" bob@far.test'
ok "mutt: it arrives there" until_ far_came "by mutt"
ok "mutt: the copy is in Sent" until_ came "by mutt"
ok "the other server's user answers" sh -c "printf 'From: bob@far.test\r\nTo: ann@example.test\r\nSubject: from far\r\n\r\nhello\r\n' >/tmp/answer && curl -sS --insecure --max-time 60 --user 'bob@far.test:$bob' smtps://127.0.0.2:2465/client.test --mail-from bob@far.test --mail-rcpt ann@example.test -T /tmp/answer"
ok "it arrives here" until_ came "from far"
ok "it is signed by that server" sh -c 'grep -rl "^DKIM-Signature:.*d=far.test" /var/mail/pennypost/example.test/ann/Maildir | xargs grep -l "Subject: from far"'
ok "curl: read over IMAP" sh -c "curl -sS --insecure --max-time 60 --user 'ann@example.test:$password' 'imaps://127.0.0.1/INBOX?SUBJECT%20%22from%20far%22' | grep -q 'SEARCH [0-9]'"
ok "curl: read over POP3" sh -c "curl -sS --insecure --max-time 60 --user 'ann@example.test:$password' pop3s://127.0.0.1/1 | grep -q '^Subject: '"
ok "the queues are empty" until_ sh -c 'mailq | grep -qi "empty"'
