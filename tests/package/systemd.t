#!/bin/sh
# systemd.t: a new Debian with its systemd running: installed, set up with sockets and with listen, reloaded, upgraded with
# conversations under way, removed. Run by enter.sh as a service of that systemd.
set -u
. /srv/test/lib.sh
active() { for u in "$@"; do systemctl --quiet is-active "$u" || { systemctl status --no-pager "$u"; return 1; }; done; }
running() { until_ sh -c 'systemctl is-system-running | grep -qx running' || { systemctl --failed --no-pager; return 1; }; }
main_pid() { systemctl show -P MainPID "pennypost-$1.service"; }

# the version before: same programs, and a file of the administrator's that reads otherwise
older() { # DIR
  mkdir "$1"
  for d in /srv/test/debs/*.deb; do
    dpkg-deb -R "$d" /tmp/unpacked &&
      sed -i 's/^Version: .*/Version: 0.0.9/; s/(= [^)]*)/(= 0.0.9)/' /tmp/unpacked/DEBIAN/control &&
      { [ ! -d /tmp/unpacked/etc ] || sed -i 's/rotate 8/rotate 4/' /tmp/unpacked/etc/logrotate.d/pennypost; } &&
      dpkg-deb --root-owner-group -Zgzip -z1 -b /tmp/unpacked "$1" && rm -rf /tmp/unpacked || return 1
  done
}

ok "systemd is up and content" running
ok "a package of an older version" older /tmp/older
ok "apt reads its list" apt_ update
ok "the older version installs" apt_ install /tmp/older/*.deb
ok "clients" apt_ install --no-install-recommends curl
ok "nothing is started before there is a configuration" sh -c '! systemctl --quiet is-active pennypost.target'
ok "setup with sockets" sh -c 'pennypost setup example.test --hostname mx.example.test --postmaster ann --filters dkimsign --listen 0.0.0.0 --ip 192.0.2.1 --start systemd-sockets >/tmp/setup'
password=$(sed -n 's/.* logs in with the password //p' /tmp/setup)
ok "sockets and services are active" active pennypost-smtp.socket pennypost-imaps.socket pennypost-submissions.socket pennypost-spawn pennypost-lookup pennypost-enqueue pennypost-qrun
both "socket activation"
ok "all sockets answer" sh -c 'for p in 25 587 465 143 993 110 995 4190; do bash -c "exec 3<>/dev/tcp/127.0.0.1/$p" || { echo "$p"; exit 1; }; done'
ok "no unit failed" running
ok "every unit is understood" verify
ok "timers" systemctl enable --now pennypost-reports.timer pennypost-tls-reports.timer
ok "what a timer starts" systemctl start pennypost-tls-reports.service

ok "sockets go" systemctl disable --now $(cd /lib/systemd/system && ls pennypost-*.socket | grep -v listen)
ok "setup with listen" pennypost setup example.test --start systemd
ok "listen is active" active pennypost-listen
until_ open_ 993
both listen
# an installed server logs to the journal
ok "trace reads the journal" sh -c 'journalctl -o cat -u "pennypost*" >/tmp/journal; pennypost trace --log /tmp/journal x@far.test'

. /srv/test/upgrade.sh

ok "remove" apt_ remove pennypost pennypost-filters
ok "no unit is left" sh -c '! systemctl list-units --no-legend --all "pennypost*" | grep -v not-found | grep .'
ok "nobody listens" sh -c '! bash -c "exec 3<>/dev/tcp/127.0.0.1/25" 2>/dev/null'
ok "purge" apt_ purge pennypost pennypost-filters
ok "the queue still holds mail, and so it stays" sh -c 'find /var/spool/pennypost/queue -type f | grep -q . && ! test -e /etc/pennypost'
ok "no unit failed" running
[ "$failed" = 0 ] || journalctl -o cat --no-pager | tail -60 | sed 's/^/# log: /'
done_testing
