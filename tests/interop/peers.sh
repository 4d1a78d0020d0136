# peers.sh: other mail servers from Debian packages that are unpacked, not installed, as they conflict with each other; each
# runs in a mount namespace in which the unpacked files lie over /usr and its configuration over /etc. Sourced.
# Uses: work (directory of the run), lib.sh where servers are started. PENNYPOST_PEERS names a directory that keeps the
# packages (default /var/cache/pennypost-peers).

cache=${PENNYPOST_PEERS:-/var/cache/pennypost-peers}

# unpack NAME PACKAGE...: into $cache/NAME, once, with what they need beyond what the host has
unpack() {
  local name=$1 dir=$cache/$1 deps d; shift
  [ "$(cat "$dir/.complete" 2>/dev/null)" != "$*" ] || return 0
  command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || { echo "no apt"; return 1; }
  rm -rf "$dir"; mkdir -p "$dir/debs" "$dir/root"; chmod 755 "$cache" "$dir" "$dir/root"
  deps=$(apt-get install -s --no-install-recommends "$@" 2>/dev/null | awk '/^Inst /{print $2}' | grep -Ev '^(exim4|postfix|opensmtpd)' || true)
  (cd "$dir/debs" && chmod 777 . && apt-get download $(printf '%s\n' "$@" $deps | sort -u)) >>"$work/unpack.log" 2>&1 ||
    { echo "$* cannot be downloaded"; return 1; }
  for d in "$dir"/debs/*.deb; do dpkg-deb -x "$d" "$dir/root" || return 1; done
  # merged /usr
  for d in bin sbin lib lib64; do
    if [ -d "$dir/root/$d" ]; then mkdir -p "$dir/root/usr/$d"; cp -a "$dir/root/$d/." "$dir/root/usr/$d/"; fi
  done
  mkdir -p "$dir/root/etc" "$dir/root/var/spool" "$dir/root/var/lib"
  rm -rf "$dir/debs"; printf '%s' "$*" >"$dir/.complete"
}

# account DIR NAME ID: a user and group that only the namespace sees
account() {
  mkdir -p "$1/etc"
  if [ ! -e "$1/etc/passwd" ]; then cp /etc/passwd /etc/group "$1/etc/"; printf 'root:*:19000::::::\n' >"$1/etc/shadow"; chmod 600 "$1/etc/shadow"; fi
  sed -i "/^$2:/d" "$1/etc/passwd" "$1/etc/group"
  echo "$2:x:$3:$3::/nonexistent:/usr/sbin/nologin" >>"$1/etc/passwd"; echo "$2:x:$3:" >>"$1/etc/group"
}

# inside NAME DIR COMMAND...: in a namespace of its own; BINDS holds from:to pairs
inside() {
  local root=$cache/$1/root dir=$2; shift 2
  ROOT=$root DIR=$dir unshare -m --propagation private bash -c '
    set -e
    mount -t overlay overlay -o "lowerdir=$ROOT/usr:/usr" /usr
    mount -t overlay overlay -o "lowerdir=$DIR/etc:$ROOT/etc:/etc" /etc
    for d in spool lib; do mount -t overlay overlay -o "lowerdir=$ROOT/var/$d:/var/$d" /var/$d; done
    for b in ${BINDS:-}; do mount --bind "${b%%:*}" "${b#*:}"; done
    cd /; exec "$@"' inside "$@"
}

# certificate FILE NAME: FILE.pem, FILE.key
certificate() {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj "/CN=$2" \
    -addext "subjectAltName=DNS:$2" -keyout "$1.key" -out "$1.pem" 2>/dev/null; chmod 600 "$1.key"
}

# postfix_main DIR HOSTNAME: the head of a main.cf that keeps to DIR
postfix_main() {
  cat <<END
compatibility_level = 3.6
queue_directory = $1/spool
data_directory = $1/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
maillog_file = $1/log/mail.log
maillog_file_prefixes = $1
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = $2
alias_maps =
alias_database =
END
}

# postfix_master: the services of a master.cf that are used by others; none listens or delivers by a program
postfix_master() {
  local s service most command private unprivileged
  for s in cleanup:0 tlsmgr:1 rewrite:-:trivial-rewrite bounce:0 defer:0:bounce trace:0:bounce verify:1 proxymap:- smtp:- \
    relay:-:smtp error:- retry:-:error discard:- local:- virtual:- anvil:1 scache:1; do
    IFS=: read -r service most command <<<"$s"
    case $service in cleanup) private=n ;; *) private=- ;; esac
    case $service in local | virtual) unprivileged=n ;; *) unprivileged=- ;; esac
    echo "$service unix $private $unprivileged n - $most ${command:-$service}"
  done
  echo "pickup unix n - n 1 1 pickup"
  echo "qmgr unix n - n 300 1 qmgr"
  echo "showq unix n - n - - showq"
  echo "flush unix n - n 1000? 0 flush"
  echo "postlog unix-dgram n - n - 1 postlogd"
}

# The servers: NAME up DIR ADDRESS PORT DOMAIN ROUTES..., ROUTES being domain=address. Each takes mail for user1@DOMAIN
# from anybody into DIR/mail/user1, passes mail for the routes on, and offers STARTTLS. Exim asks the clamd at SCANNER
# ("address port") about every message.

postfix_up() {
  local dir=$1 ip=$2 port=$3 domain=$4 routes='' r; shift 4
  unpack postfix postfix || return 77
  account "$dir" postfix 64301; account "$dir" vmail 64305
  sed -i '/^postdrop:/d' "$dir/etc/group"; echo 'postdrop:x:64302:' >>"$dir/etc/group"
  mkdir -p "$dir/etc/postfix" "$dir/spool" "$dir/data" "$dir/mail" "$dir/log"
  chown 64301 "$dir/data"; chown 64305:64305 "$dir/mail"
  certificate "$dir/tls" "mx.$domain"
  for r in "$@"; do routes="$routes{${r%%=*} = smtp:[${r#*=}]:$port}, "; done
  { postfix_main "$dir" "mx.$domain"; cat <<END; } >"$dir/etc/postfix/main.cf"
mydestination =
mynetworks = 127.0.0.0/8
virtual_mailbox_domains = $domain
virtual_mailbox_base = $dir/mail
virtual_mailbox_maps = inline:{{user1@$domain = user1/}}
virtual_uid_maps = static:64305
virtual_gid_maps = static:64305
virtual_minimum_uid = 1000
transport_maps = inline:{${routes%, }}
smtpd_tls_cert_file = $dir/tls.pem
smtpd_tls_key_file = $dir/tls.key
smtpd_tls_security_level = may
smtp_tls_security_level = may
smtputf8_enable = yes
END
  { echo "$ip:$port inet n - n - - smtpd"; postfix_master; } >"$dir/etc/postfix/master.cf"
  (inside postfix "$dir" postfix start) >>"$dir/log/up.log" 2>&1 || { tail -5 "$dir/log/up.log"; return 1; }
  opens "$ip" "$port" || { tail -5 "$dir/log/mail.log"; return 1; }
  tr -d ' ' <"$dir/spool/pid/master.pid" >"$dir/pid"
}

exim_up() {
  local dir=$1 ip=$2 port=$3 domain=$4 r list='' doms=''; shift 4
  # the light daemon scans no content
  unpack exim exim4-daemon-heavy exim4-base || return 77
  account "$dir" Debian-exim 64311; account "$dir" vmail 64305
  mkdir -p "$dir/etc/exim4" "$dir/spool" "$dir/mail" "$dir/log"
  chown 64311:64311 "$dir/spool" "$dir/log"; chown 64305:64305 "$dir/mail"
  certificate "$dir/tls" "mx.$domain"; chown root:64311 "$dir/tls.key"; chmod 640 "$dir/tls.key"
  for r in "$@"; do doms="$doms${r%%=*} : "; list="$list${r%%=*} ${r#*=}::$port ; "; done
  cat >"$dir/etc/exim4/exim4.conf" <<END
primary_hostname = mx.$domain
domainlist local_domains = $domain
hostlist relay_from_hosts = 127.0.0.0/8
spool_directory = $dir/spool
log_file_path = $dir/log/exim-%s
pid_file_path = $dir/spool/exim.pid
exim_user = Debian-exim
exim_group = Debian-exim
local_interfaces = <; [$ip]:$port
tls_advertise_hosts = *
tls_certificate = $dir/tls.pem
tls_privatekey = $dir/tls.key
chunking_advertise_hosts = *
acl_smtp_rcpt = acl_rcpt
acl_smtp_data = acl_data
av_scanner = clamd:$SCANNER
host_lookup =
rfc1413_query_timeout = 0s
disable_ipv6 = true
never_users = root
begin acl
acl_rcpt:
  require domains = +local_domains : ${doms% : }
  require verify = recipient
  accept
acl_data:
  deny malware = *
       message = this message holds \$malware_name
  accept
begin routers
local:
  driver = accept
  domains = +local_domains
  local_parts = user1
  transport = maildir
remote:
  driver = manualroute
  domains = ${doms% : }
  route_list = <; ${list% ; }
  self = send
  transport = smtp
begin transports
maildir:
  driver = appendfile
  directory = $dir/mail/user1
  maildir_format
  create_directory
  return_path_add
  user = vmail
  group = vmail
smtp:
  driver = smtp
  hosts_try_chunking = *
begin retry
* * F,1h,1m
END
  (inside exim "$dir" exim4 -bd -q1m) >>"$dir/log/up.log" 2>&1 || { tail -5 "$dir/log/up.log"; return 1; }
  opens "$ip" "$port" || { tail -5 "$dir"/log/*; return 1; }
  cat "$dir/spool/exim.pid" >"$dir/pid"
}

opensmtpd_up() {
  local dir=$1 ip=$2 port=$3 domain=$4 r; shift 4
  unpack opensmtpd opensmtpd || return 77
  account "$dir" opensmtpd 64321; account "$dir" opensmtpq 64322; account "$dir" vmail 64305
  mkdir -p "$dir/spool" "$dir/empty" "$dir/mail" "$dir/log"; chmod 711 "$dir/spool"; chown 64305:64305 "$dir/mail"
  mkdir -p "$cache/opensmtpd/root/var/spool/smtpd" "$cache/opensmtpd/root/var/lib/opensmtpd/empty"
  # its resolver asks the name server before the hosts file unless told
  printf 'lookup file\n' >"$dir/etc/resolv.conf"
  echo "user1@$domain vmail" >"$dir/etc/smtpd-users"
  {
    echo "table users file:/etc/smtpd-users"
    echo "listen on $ip port $port hostname mx.$domain"
    echo "action in maildir \"$dir/mail/%{rcpt.user}\" virtual <users>"
    echo "match from any for domain \"$domain\" action in"
    for r in "$@"; do
      echo "action \"to-${r%%=*}\" relay host smtp://${r#*=}:$port"
      echo "match from any for domain \"${r%%=*}\" action \"to-${r%%=*}\""
    done
  } >"$dir/etc/smtpd.conf"
  BINDS="$dir/spool:/var/spool/smtpd $dir/empty:/var/lib/opensmtpd/empty" inside opensmtpd "$dir" smtpd -d >"$dir/log/smtpd.log" 2>&1 </dev/null &
  echo $! >"$dir/pid"
  opens "$ip" "$port" || { tail -5 "$dir/log/smtpd.log"; return 1; }
}
