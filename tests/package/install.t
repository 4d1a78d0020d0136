#!/bin/sh
# install.t: the packages are installed, a server is set up, sends and receives under each super-server, and is purged. On
# a new Debian this is done by apt and with the mail programs people have; else by dpkg, with curl. Run by enter.sh.
set -u
debs=/srv/test/debs
. /srv/test/lib.sh

# there is no service manager here that maintainer scripts could start something with
printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d; chmod 755 /usr/sbin/policy-rc.d
if [ "$SYSTEM" = fresh ]; then
  ok "apt reads its list" apt_ update
  find / -xdev -not -path '/tmp/*' -not -path '/srv/test/*' | sort >/tmp/before
  ok "the server installs alone" apt_ install $debs/pennypost_*.deb
  alone() {
    pennypost setup alone.test --root /tmp/alone --ids 64301 --port-offset 20000 --ip 192.0.2.1 --start none &&
      ! grep '^\[\[filter' /tmp/alone/etc/pennypost.toml && pennypost -c /tmp/alone/etc/pennypost.toml check
  }
  ok "and is set up without filters then" alone
  rm -rf /tmp/alone
  ok "the filters install" apt_ install $debs/pennypost-filters_*.deb
  ok "with all they recommend" sh -c 'test "$(dpkg-query -W -f "\${db:Status-Abbrev}" openssl ca-certificates netbase)" = "ii ii ii "'
  ok "mail programs, which need a mail transport agent" apt_ install --no-install-recommends bsd-mailx curl swaks libnet-ssleay-perl msmtp mutt
else
  # other mailers of this system make room, as apt would have them do
  for p in $(dpkg-query -W -f '${Package} ${Provides}\n' | awk '/mail-transport-agent/ { print $1 }'); do
    dpkg --purge --force-all --no-triggers "$p" >/dev/null 2>&1
  done
  ok "both packages install" dpkg -i --no-triggers $debs/*.deb
fi
ok "they are configured" sh -c "dpkg-query -W -f '\${db:Status-Abbrev}\n' pennypost pennypost-filters | sort -u | grep -qx 'ii '"
ok "it is the mail transport agent" sh -c 'test -x /usr/sbin/sendmail && test -x /usr/lib/sendmail && test -x /usr/bin/mailq'
ok "the roles have accounts" id ppauth
ok "owners and modes are those of hier" pennypost hier
ok "a filter works alone" sh -c 'printf "Subject: x\n\nhello\n" | spamcheck --pass | grep -qi "^X-Spam"'
page() { ls /usr/share/man/man?/"$1".[1578].gz; }
pages() { for p in $(dpkg -L pennypost pennypost-filters | sed -n 's#^/usr/s\?bin/\|^/usr/libexec/pennypost/##p'); do page "$p" || page "penny-$p" || return 1; done; }
ok "every command has its page" pages
ok "the completion knows the commands" bash -c '. /usr/share/bash-completion/completions/pennypost; COMP_WORDS=(pennypost user ""); COMP_CWORD=2; _pennypost; [[ " ${COMPREPLY[*]} " == *" suspend "* ]]'
[ "$failed" = 0 ] || done_testing
ok "setup" sh -c 'pennypost setup example.test --hostname mx.example.test --postmaster ann --filters dkimsign --listen 0.0.0.0 --ip 192.0.2.1 --start none >/tmp/setup'
password=$(sed -n 's/.* logs in with the password //p' /tmp/setup)
ok "check" pennypost check

serve /tmp/setup /run/pennypost /tmp/log
# stop PID...: ends servers; their ports are free afterwards
closed() { for p in 25 465 993; do ! open_ "$p" 2>/dev/null || return 1; done; }
stop() { kill "$@" 2>/dev/null; until_ closed; }

ok "sendmail(1) as an ordinary user" sh -c 'printf "Subject: by sendmail\n\nhello\n" | setpriv --reuid nobody --regid nogroup --clear-groups /usr/sbin/sendmail ann@example.test'
ok "it arrives" until_ came "by sendmail"
/usr/libexec/pennypost/listen </dev/null >>/tmp/log 2>&1 & listener=$!
until_ open_ 993
both listen
signed() { grep -rl "^DKIM-Signature:.*d=example.test" /var/mail/pennypost/example.test/ann/Maildir | xargs grep -l "Subject: submitted listen"; }
ok "listen: what was submitted is signed" until_ signed
ok "status" pennypost status --log /tmp/log
ok "trace" pennypost trace x@far.test --log /tmp/log
[ "$SYSTEM" != fresh ] || . /srv/test/programs.sh
stop $listener

if [ "$SYSTEM" = fresh ]; then ok "openbsd-inetd installs" apt_ install --no-install-recommends openbsd-inetd; fi
if command -v inetd >/dev/null; then
  : >/etc/inetd.conf
  ok "setup adds the lines of inetd" pennypost setup example.test --start inetd
  inetd -i & pid=$!
  until_ open_ 993; both openbsd-inetd
  ok "openbsd-inetd: every line is served" sh -c 'for p in 25 587 465 143 993 110 995 4190; do bash -c "exec 3<>/dev/tcp/127.0.0.1/$p" || { echo "$p"; exit 1; }; done'
  stop $pid
else echo "# SKIP openbsd-inetd is not installed"; fi
if [ "$SYSTEM" = fresh ]; then ok "xinetd takes its place" apt_ install --no-install-recommends xinetd; fi
if command -v xinetd >/dev/null; then
  pattern=/usr/share/doc/pennypost/examples/inetd/xinetd.conf
  { cat $pattern
    sed 's/service smtp/service imaps/; s/smtpd -r mx/-i imapd/' $pattern
    sed 's/service smtp/service submissions/; s/smtpd -r mx/-i smtpd -r submission/' $pattern; } >/tmp/xinetd.conf
  xinetd -dontfork -f /tmp/xinetd.conf >/dev/null 2>&1 & pid=$!
  until_ open_ 993; both xinetd; stop $pid
else echo "# SKIP xinetd is not installed"; fi
if [ "$SYSTEM" = fresh ]; then ok "ucspi-tcp installs" apt_ install --no-install-recommends ucspi-tcp; fi
if command -v tcpserver >/dev/null; then
  setsid sh -c '. /usr/share/doc/pennypost/examples/inetd/tcpserver.run' >>/tmp/log 2>&1 & pid=$!
  tcpserver -H -R -l 0 0 993 /usr/libexec/pennypost/tlsd -i imapd >>/tmp/log 2>&1 & pid2=$!
  tcpserver -H -R -l 0 0 465 /usr/libexec/pennypost/tlsd -i smtpd -r submission >>/tmp/log 2>&1 & pid3=$!
  until_ open_ 25; until_ open_ 465; until_ open_ 993; both tcpserver; stop $pid $pid2 $pid3
else echo "# SKIP tcpserver is not installed"; fi
if command -v systemd-socket-activate >/dev/null; then
  activate() { systemd-socket-activate --inetd --accept -l "127.0.0.1:$1" /usr/libexec/pennypost/tlsd $2 >>/tmp/log 2>&1 & pid=$!; }
  activate 993 '-i imapd'; pid2=$pid; activate 465 '-i smtpd -r submission'; pid3=$pid; activate 25 'smtpd -r mx'
  until_ open_ 25; until_ open_ 465; until_ open_ 993; both systemd-socket-activate; stop $pid $pid2 $pid3
else echo "# SKIP systemd-socket-activate is not installed"; fi
command -v systemd-analyze >/dev/null && ok "the units are understood" verify

kill $pids 2>/dev/null
[ "$failed" = 0 ] || sed 's/^/# log: /' /tmp/log | tail -40
before=$(inbox)
if [ "$SYSTEM" = fresh ]; then ok "remove" apt_ remove pennypost pennypost-filters
else ok "remove" dpkg --remove --force-depends --no-triggers pennypost pennypost-filters; fi
ok "removal keeps the configuration" test -s /etc/pennypost/pennypost.toml
if [ "$SYSTEM" = fresh ]; then ok "purge" apt_ purge pennypost pennypost-filters
else ok "purge" dpkg --purge --force-depends --no-triggers pennypost pennypost-filters; fi
ok "nothing is left but the mail" sh -c 'for p in /etc/pennypost /etc/pam.d/pennypost /var/lib/pennypost /usr/libexec/pennypost /etc/logrotate.d/pennypost /usr/sbin/sendmail; do ! test -e $p || { echo $p; exit 1; }; done'
ok "the mail is still there" test "$(inbox)" = "$before"
if [ "$SYSTEM" = fresh ]; then
  rm -rf /srv/far
  # as piuparts asks: what of ours is on the disk that was not there before? Accounts, their lock and back-up files, apt's
  # and the other packages' own things are not
  ok "other packages go" apt_ purge --autoremove bsd-mailx curl swaks libnet-ssleay-perl msmtp mutt xinetd ucspi-tcp openssl ca-certificates
  ok "no file of ours is left anywhere" sh -c "! { find / -xdev -not -path '/tmp/*' -not -path '/srv/test/*' | sort | comm -13 /tmp/before - | grep -i 'penny\|/pp[a-z]*$' | grep -v '^/var/mail/pennypost\|^/var/lib/systemd/'; }"
fi
done_testing
