# upgrade.sh: conversations that a reload and an upgrade must not break. Sourced by systemd.t, which is run by bash.
say() { printf '%s\r\n' "$1" >&"$2"; }
hear() { # FD PATTERN: a line that begins so, perhaps after others
  while IFS= read -r -t 60 line <&"$1"; do case $line in $2) return 0 ;; esac; done; echo "last heard: $line"; return 1
}
ask() { say "$2" "$1"; hear "$1" "$3"; }

exec 5<>/dev/tcp/127.0.0.1/25 6<>/dev/tcp/127.0.0.1/143 7<>/dev/tcp/127.0.0.1/25
ok "an SMTP transaction begins" eval 'hear 5 "220 *" && ask 5 "EHLO client.test" "250 *" && ask 5 "MAIL FROM:<y@far.test>" "250 *" && ask 5 "RCPT TO:<ann@example.test>" "250 *" && ask 5 DATA "354 *"'
say 'Subject: written across an upgrade' 5; say '' 5; say 'first half' 5
ok "another one, before its recipients" eval 'hear 7 "220 *" && ask 7 "EHLO client.test" "250 *" && ask 7 "MAIL FROM:<z@far.test>" "250 *"'
ok "an IMAP session waits for mail" eval 'hear 6 "\* OK*" && ask 6 "a LOGIN ann@example.test $password" "a OK*" && ask 6 "b SELECT INBOX" "b OK*" && ask 6 "c IDLE" "+*"'

before=$(main_pid listen)
main_pids() { for u in spawn lookup enqueue qrun listen; do main_pid $u; done; }
all=$(main_pids)
ok "reload" systemctl reload pennypost-listen pennypost-spawn pennypost-lookup pennypost-enqueue pennypost-qrun
for u in spawn lookup enqueue qrun listen; do
  ok "$u read the configuration again" until_ sh -c "journalctl -u pennypost-$u -o cat | grep -q ev=reloaded"
done
ok "the processes are the same" test "$(main_pids)" = "$all"
say 'second half' 5
ok "the waiting session hears of new mail after the reload" eval 'smtp "after the reload" && hear 6 "\* * EXISTS*"'

# mail that waits: its host does not answer
echo 'away.test smtp:[127.0.0.1]:9' >>/etc/pennypost/routes
ok "mail that cannot leave yet" sh -c 'printf "From: ann@example.test\nTo: x@away.test\nSubject: waits\n\nhello\n" | sendmail -f ann@example.test x@away.test'
ok "it is queued" until_ sh -c 'mailq | grep -q away.test'
waiting=$(find /var/spool/pennypost/queue/new /var/spool/pennypost/queue/cur -type f | sed 's#.*/##; s/:.*//' | sort)
echo '# a remark of the administrator' >>/etc/pennypost/pennypost.toml
echo '# another' >>/etc/logrotate.d/pennypost
sum=$(cat /etc/pennypost/pennypost.toml /etc/pennypost/users /etc/pennypost/routes | md5sum)
pids="$(main_pid spawn) $(main_pid lookup) $(main_pid enqueue) $(main_pid qrun) $before"

# one who connects again and again is never refused
(n=0; while [ -e /tmp/knock ]; do bash -c 'exec 3<>/dev/tcp/127.0.0.1/25 && read -r -t 60 l <&3 && case $l in 220*) ;; *) exit 1 ;; esac' || n=$((n+1)); done 2>/dev/null; echo $n >/tmp/refused) & knocking=$!
: >/tmp/knock
ok "the upgrade" apt_ install -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold /srv/test/debs/*.deb
new() { # UNIT: its main process is a new one, of the program that is installed now
  active "pennypost-$1" && case " $pids " in *" $(main_pid "$1") "*) return 1 ;; esac && cmp /usr/libexec/pennypost/"$1" "/proc/$(main_pid "$1")/exe"
}
for u in spawn lookup enqueue qrun listen; do ok "$u is new" until_ new $u; done
rm /tmp/knock; wait $knocking
ok "nobody was refused meanwhile" grep -qx 0 /tmp/refused
ok "the configuration is the same" sh -c "cat /etc/pennypost/pennypost.toml /etc/pennypost/users /etc/pennypost/routes | md5sum | grep -q '${sum%% *}'"
ok "an edited file is kept, and the new one beside it" sh -c 'grep -q "# another" /etc/logrotate.d/pennypost && grep -q "rotate 4" /etc/logrotate.d/pennypost && grep -q "rotate 8" /etc/logrotate.d/pennypost.dpkg-dist'

say 'third half' 5
ok "the SMTP transaction ends well" ask 5 . '250 *'
ok "its mail is delivered" until_ came "written across an upgrade"
ok "whole" sh -c 'grep -rlx "first half" /var/mail/pennypost | xargs grep -lx "second half" | xargs grep -qx "third half"'
ok "the waiting session hears of it" hear 6 '\* * EXISTS*'
ok "and goes on" eval 'say DONE 6; hear 6 "c OK*" && ask 6 "d FETCH 1:* UID" "d OK*" && ask 6 "e LOGOUT" "e OK*"'
ok "the other transaction goes on with the new services" eval 'ask 7 "RCPT TO:<ann@example.test>" "250 *" && ask 7 DATA "354 *" && say "Subject: begun before an upgrade" 7 && say "" 7 && ask 7 . "250 *"'
ok "its mail is delivered too" until_ came "begun before an upgrade"
ok "what waits in the queue is the same" sh -c "find /var/spool/pennypost/queue/new /var/spool/pennypost/queue/cur -type f | sed 's#.*/##; s/:.*//' | sort | grep -qx '$waiting'"
ok "and is tried on" sh -c 'qctl list | grep -q away.test'
exec 5>&- 6>&- 7>&-
old() { for p in $pids; do ! kill -0 "$p" 2>/dev/null || { ps -p "$p" 2>/dev/null || echo "$p"; return 1; }; done; }
ok "the old processes end with their last conversation" until_ old
both "after the upgrade"
ok "no unit failed" running
