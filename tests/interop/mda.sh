# deliver under other mail systems, and clients of sieved; sourced by run.

. "$here/peers.sh"
deliver="$dir/prog/deliver"

fetchmail_mda() { local t; t=$(token fetchmail-mda); place user8 "$t"
  printf 'poll localhost service %s protocol pop3 user "user8@example.test" password "pw-user8" ssl sslcertck sslcertfile "%s" fetchall mda "%s -c %s -d user12@example.test -f %%F -a user12+fetched@example.test"\n' \
    $POP3S_PORT "$TLS_CA" "$deliver" "$PENNYPOST_CONFIG" >"$HOME/fetchmailrc"; chmod 600 "$HOME/fetchmailrc"
  fetchmail -f "$HOME/fetchmailrc" --pidfile "$HOME/fetchmail.pid" -i "$HOME/fetchids2" && arrived user12 "$t"
  # taken there, gone here; the envelope is what fetchmail said
  ! grep -rqF "Subject: $t" "$dir/mail/user8/Maildir" && f=$(grep -rlF "Subject: $t" "$dir/mail/user12/Maildir") &&
    grep -qF 'Delivered-To: user12+fetched@example.test' "$f" && grep -q '^Return-Path: <tester@away.test>' "$f"; }
getmail_mda() { local t; t=$(token getmail-mda); place user9 "$t"; mkdir -p "$HOME/getmail2"
  printf '[retriever]\ntype = SimplePOP3SSLRetriever\nserver = localhost\nport = %s\nusername = user9@example.test\npassword = pw-user9\nca_certs = %s\n[destination]\ntype = MDA_external\npath = %s\narguments = ("-c", "%s", "-d", "user12@example.test", "-f", "%%(sender)")\nallow_root_commands = true\n[options]\nread_all = true\ndelete = true\n' \
    $POP3S_PORT "$TLS_CA" "$deliver" "$PENNYPOST_CONFIG" >"$HOME/getmail2/getmailrc"
  getmail --getmaildir="$HOME/getmail2" && arrived user12 "$t" && ! grep -rqF "Subject: $t" "$dir/mail/user9/Maildir"; }

# the first example of deliver(8); the others are what fetchmail_mda, getmail_mda, postfix_ and exim_ do
deliver_manual() { local t line; t=$(token manual); text user12@example.test "$t" >"$work/message"; chmod 644 "$work/message"
  line=$(grep -x 'deliver -m Projects < message' "$root/man/deliver.8"); cd "$work"
  sh -c "$deliver -c $PENNYPOST_CONFIG -d user12@example.test ${line#deliver}" && grep -rqF "$t" "$dir/mail/user12/Maildir/.Projects/new"; }

# A mail system in a mount namespace of its own: its /etc and accounts are seen by nobody else, its packages lie over /usr.
foreign_root() { # NAME
  [ "$(id -u)" = 0 ] || { echo "needs root"; exit 77; }
  unshare -m true 2>/dev/null || { echo "no mount namespaces here"; exit 77; }
  top=$work/$1; mkdir -p "$top/etc" "$top/home/joe/Maildir" "$top/log" "$top/home/joe/Maildir/.Work"
  mkdir -p "$top"/home/joe/Maildir/{,.Work/}{cur,new,tmp}; touch "$top/home/joe/Maildir/.Work/maildirfolder"
  cp /etc/passwd /etc/group "$top/etc/"
  printf 'joe:x:54321:54321::%s:/bin/sh\nvmail:x:%s:%s::/nonexistent:/usr/sbin/nologin\n' "$top/home/joe" $MAIL_UID $MAIL_GID >>"$top/etc/passwd"
  printf 'joe:x:54321:\nvmail:x:%s:\n' $MAIL_GID >>"$top/etc/group"
  chown -R 54321:54321 "$top/home/joe"; chmod 755 "$top" "$top/home" "$top/etc" "$top/log"
}
foreign() { # CACHE COMMAND...
  local cache=$1; shift
  CACHE=$cache TOP=$top unshare -m --propagation private bash -c 'set -e
    if [ -n "$CACHE" ]; then mount -t overlay overlay -o "lowerdir=$CACHE/usr:/usr" /usr; fi
    etc=/etc; [ -z "$CACHE" ] || [ ! -d "$CACHE/etc" ] || etc=$CACHE/etc:/etc
    mount -t overlay overlay -o "lowerdir=$TOP/etc:$etc" /etc; cd /; exec "$@"' foreign "$@"
}
# within a minute the file holds the pattern
says() { within 60 grep -qsE -- "$2" "$1" || { echo "no $2 in $1"; tail -20 "$1"; return 1; }; }
came() { within 60 grep -rqsF -- "$2" "$1" || { echo "no $2 in $1"; tail -n 20 "$top"/log/*; return 1; }; }
# what user12's rules say to messages with these words
refusing() { mkdir -p "$dir/mail/user12"; printf 'require "reject";\nif header :contains "subject" "refuse-me" { reject "not this one"; }\n' >"$dir/mail/user12/.sieve"; chown $MAIL_UID:$MAIL_GID "$dir/mail/user12/.sieve"; chmod 600 "$dir/mail/user12/.sieve"; }

postfix_() {
  foreign_root postfix
  [ -d "$cache/postfix/root/usr" ] || { echo "no $cache/postfix/root: scripts/test-deps unpacks it"; exit 77; }
  foreign "$cache/postfix/root" true 2>/dev/null || { echo "no overlay mounts here"; exit 77; }
  sed -i '/^postfix:/d;/^postdrop:/d' "$top/etc/passwd" "$top/etc/group"
  echo "postfix:x:64101:64101::$top/spool:/usr/sbin/nologin" >>"$top/etc/passwd"
  printf 'postfix:x:64101:\npostdrop:x:64102:\n' >>"$top/etc/group"
  mkdir -p "$top/etc/postfix" "$top/spool" "$top/data"; chown 64101 "$top/data"
  { postfix_main "$top" post.example.test; cat <<END; } >"$top/etc/postfix/main.cf"
mydomain = post.example.test
mydestination = post.example.test
recipient_delimiter = +
forward_path =
local_recipient_maps =
mailbox_command = $deliver -c $PENNYPOST_CONFIG -a "\$RECIPIENT" -f "\$SENDER"
transport_maps = inline:{example.test=pennypost:}
pennypost_destination_recipient_limit = 1
END
  { postfix_master; cat <<END; } >"$top/etc/postfix/master.cf"
pennypost unix  -       n       n       -       10      pipe
  user=vmail argv=$deliver -c $PENNYPOST_CONFIG -d \${recipient} -f \${sender} -a \${original_recipient}
END
  foreign "$cache/postfix/root" postfix start >"$top/log/start" 2>&1 || { cat "$top/log/start"; return 1; }
  local pid t; pid=$(tr -d ' ' <"$top/spool/pid/master.pid"); trap "kill $pid 2>/dev/null" EXIT
  post() { text "$1" "$2" | foreign "$cache/postfix/root" sendmail -oi -f tester@away.test "$1"; }
  t=$(token postfix); refusing
  # mailbox_command, with and without an extension
  post joe@post.example.test "$t-a" && came "$top/home/joe/Maildir/new" "$t-a"
  post joe+Work@post.example.test "$t-b" && came "$top/home/joe/Maildir/.Work/new" "$t-b"
  grep -rqF 'Return-Path: <tester@away.test>' "$top/home/joe/Maildir/new"
  # pipe(8), to a user of lookup's; a refusal bounces with the user's words, an unsafe rules file defers
  post user12@example.test "$t-c" && came "$dir/mail/user12" "$t-c"
  post user12@example.test "$t-refuse-me" && says "$top/log/mail.log" 'dsn=5\.7\.1, status=bounced.*not this one'
  chmod 666 "$dir/mail/user12/.sieve"
  post user12@example.test "$t-d" && says "$top/log/mail.log" 'dsn=4\.3\.0, status=deferred.*not safe to use'
  post nobody-there@example.test "$t-e" && says "$top/log/mail.log" 'to=<nobody-there@example.test>.*dsn=5\.1\.1, status=bounced'
}

# Exim hands addresses over in SENDER and RECIPIENT; it lets no address of the outside into an argument
exim_() {
  foreign_root exim
  foreign "" true 2>/dev/null || { echo "no overlay mounts here"; exit 77; }
  grep -q '^Debian-exim:' "$top/etc/passwd" || echo "Debian-exim:x:64121:64121::$top/spool:/usr/sbin/nologin" >>"$top/etc/passwd"
  grep -q '^Debian-exim:' "$top/etc/group" || echo "Debian-exim:x:64121:" >>"$top/etc/group"
  mkdir -p "$top/spool" "$top/etc/exim4"; chown "$(awk -F: '$1 == "Debian-exim" { print $3 ":" $4 }' "$top/etc/passwd")" "$top/spool" "$top/log"
  # in the place of Debian's own: a file named by -C costs Exim its privilege
  cat >"$top/etc/exim4/exim4.conf" <<END
primary_hostname = exim.example.test
domainlist local_domains = example.test : exim.example.test
spool_directory = $top/spool
log_file_path = $top/log/%s
exim_user = Debian-exim
exim_group = Debian-exim
trusted_users = root
keep_environment =
begin routers
account:
  driver = accept
  domains = exim.example.test
  check_local_user
  local_part_suffix = +*
  local_part_suffix_optional
  transport = by_account
virtual:
  driver = accept
  domains = +local_domains
  local_parts = user12
  transport = virtual
begin transports
by_account:
  driver = pipe
  command = $deliver -c $PENNYPOST_CONFIG
  user = \$local_part_data
  return_fail_output
virtual:
  driver = pipe
  command = $deliver -c $PENNYPOST_CONFIG -d \$local_part_data@\$domain_data
  user = vmail
  return_fail_output
  log_fail_output
  log_defer_output
END
  local t; t=$(token exim); refusing
  post() { text "$1" "$2" | foreign "" exim4 -odf -oi -f tester@away.test "$1"; }
  post joe@exim.example.test "$t-a" && came "$top/home/joe/Maildir/new" "$t-a"
  post joe+Work@exim.example.test "$t-b" && came "$top/home/joe/Maildir/.Work/new" "$t-b"
  post user12@example.test "$t-c" && came "$dir/mail/user12" "$t-c"
  post user12@example.test "$t-refuse-me" && says "$top/log/main" 'output: 5\.7\.1 not this one' && says "$top/log/main" '\*\* user12@example.test'
  chmod 666 "$dir/mail/user12/.sieve"
  post user12@example.test "$t-d" && says "$top/log/main" 'output: 4\.3\.0 .*not safe to use' && says "$top/log/main" '== user12@example.test'
}

sieveconnect_() { local s="$HOME/sieve-connect"; mkdir -p "$s"; cd "$s"
  sc() { printf 'pw-user11' | timeout 60 sieve-connect --nosrv -s localhost -p $SIEVE_PORT -u user11@example.test --passwordfd 0 --tlscafile "$TLS_CA" "$@" 2>&1; }
  printf 'require "fileinto";\nif header "subject" "x" { fileinto "X"; }\n' >rules; printf 'nonsense;\n' >wrong
  sc --localsieve rules --upload && sc --list | grep -q '^"rules"' && sc --remotesieve rules --activate && sc --list | grep -q '^"rules" ACTIVE'
  ! sc --localsieve wrong --upload >out || { cat out; return 1; }; grep -q 'unknown command' out
  sc --localsieve back --remotesieve rules --download && cmp rules back
  sc --deactivate && sc --remotesieve rules --delete && ! sc --list | grep -q rules; }
sievelib_() { /usr/bin/python3 -c 'import sievelib' 2>/dev/null || { echo "python3-sievelib is not installed"; exit 77; }
  TLS_CA=$TLS_CA SIEVE_PORT=$SIEVE_PORT timeout 60 /usr/bin/python3 "$here/sieve.py"; }
