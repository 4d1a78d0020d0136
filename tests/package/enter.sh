#!/bin/sh
# enter.sh SYSTEM PACKAGES TEST: runs TEST (a file beside this one) in an overlay of SYSTEM, without a trace outside:
#   host    this system, which has its mail transport agents taken out
#   fresh   the new Debian that scripts/test-root made
#   booted  the same with its systemd as the first process
# To be started in mount, network, IPC and UTS namespaces of its own (tests/package.rs). Prints TAP, or SKIP and why.
set -u
system=$1 debs=$2 test=$3
here=$(cd "$(dirname "$0")" && pwd -P)
skip() { echo "SKIP $*"; exit 0; }
clean='env -i LC_ALL=C HOME=/root TERM=dumb DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin'

# the second half: the first process of a process id namespace, in the directory that becomes its root
if [ "${4:-}" = inside ]; then
  mount -t proc proc proc && mount --bind proc/sys proc/sys && mount -o remount,bind,ro proc/sys || skip "no /proc of our own here"
  [ "$system" = booted ] || exec $clean "SYSTEM=$system" chroot . /bin/sh "/srv/test/$test"
  # which hierarchy of control groups it is, the host's systemd has decided
  if grep -q name=systemd: proc/self/cgroup; then
    mount -t tmpfs none sys/fs/cgroup && mkdir sys/fs/cgroup/systemd && mount -t cgroup -o none,name=systemd cgroup sys/fs/cgroup/systemd
  else mount -t cgroup2 cgroup2 sys/fs/cgroup; fi || skip "no control groups for a systemd here"
  pivot_root . mnt || skip "no pivot_root here"
  exec $clean container=other chroot . /lib/systemd/systemd --system --log-target=journal --show-status=no </dev/null >/dev/null 2>&1
fi

lower=/
if [ "$system" != host ]; then
  made=${PENNYPOST_TEST_ROOT:-/var/cache/pennypost-test}
  [ -e "$made/complete" ] || skip "no new Debian in $made: scripts/test-root makes it"
  lower=$made/root
fi
top=$(mktemp -d); root=$top/root
mount -t tmpfs none "$top" && mkdir "$top/upper" "$top/work" "$root" &&
  mount -t overlay overlay -o "lowerdir=$lower,upperdir=$top/upper,workdir=$top/work" "$root" || skip "no overlay file system here"
# the second address is a stranger's: from 127.0.0.1 one may relay
ip link set lo up 2>/dev/null && ip addr add 198.51.100.7/32 dev lo || skip "no loopback here"
for d in run tmp dev; do mount -t tmpfs none "$root/$d"; done
chmod 1777 "$root/tmp"
mount -t sysfs -o ro sysfs "$root/sys" || skip "no /sys here"
for d in null zero full random urandom tty; do touch "$root/dev/$d"; mount --bind "/dev/$d" "$root/dev/$d"; done
mkdir "$root/dev/pts" "$root/dev/shm"; chmod 1777 "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=666 devpts "$root/dev/pts" && ln -s pts/ptmx "$root/dev/ptmx"
for l in fd:/proc/self/fd stdin:fd/0 stdout:fd/1 stderr:fd/2; do ln -s "${l#*:}" "$root/dev/${l%%:*}"; done
echo force-unsafe-io >"$root/etc/dpkg/dpkg.cfg.d/test"
mkdir -p "$root/srv/test/debs"; cp "$debs"/* "$root/srv/test/debs/"; cp "$here"/* "$here/../../INSTALL" "$root/srv/test/"

group=
if [ "$system" = booted ]; then
  cat >"$root/etc/systemd/system/penny-test.service" <<END
[Unit]
After=basic.target
[Service]
Type=exec
Environment=LC_ALL=C HOME=/root TERM=dumb DEBIAN_FRONTEND=noninteractive SYSTEM=booted
ExecStart=/bin/bash /srv/test/$test
StandardOutput=file:/srv/test/tap
StandardError=file:/srv/test/errors
ExecStopPost=/bin/systemctl --force exit
[Install]
WantedBy=multi-user.target
END
  ln -s /etc/systemd/system/penny-test.service "$root/etc/systemd/system/multi-user.target.wants/penny-test.service"
  : >"$root/etc/machine-id"
  group=$(sed -n 's/^[0-9]*:name=systemd:/\/sys\/fs\/cgroup\/systemd/p; s/^0::/\/sys\/fs\/cgroup/p' /proc/self/cgroup | head -1)/pennypost-test.$$
  mkdir "$group" || skip "no control group of our own here"
fi
cd "$root"
sh -c '[ -z "$1" ] || echo $$ >"$1/cgroup.procs"; shift; exec unshare --pid --mount --cgroup --fork --kill-child --propagation private "$@"' _ \
  "$group" /bin/sh "$here/$(basename "$0")" "$system" "$debs" "$test" inside
code=$?
if [ "$system" = booted ]; then
  cat "$root/srv/test/tap" 2>/dev/null || echo "SKIP systemd does not come up here: it ended with $code"
  code=0
  sed 's/^/# /' "$root/srv/test/errors" 2>/dev/null
  find "$group" -depth -type d -exec rmdir {} + 2>/dev/null
fi
cd /; umount -l "$top" 2>/dev/null
exit $code
