# imap.sh: programs that read mail over IMAP and write it back. Sourced by run, whose functions and instance they use.

# terminal WAIT TYPE... -- PROGRAM ARGUMENT...: a full-screen program on a terminal of its own
terminal() { timeout 120 python3 "$here/terminal.py" "$@" </dev/null; }

# flagged USER TEXT: the message with the text has \Flagged in its file name
flagged() { grep -rlF -- "$2" "$dir/mail/$1/Maildir/cur" | grep -q ':2,[A-Z]*F'; }

# mutt and neomutt: copy to a file, flag, delete, file into a new folder
mutt_reads() { # PROGRAM
  local t u rc=$HOME/$1.imap; t=$(token "$1") u=$(token "$1"); place user6 "$t"; place user6 "$u"
  cat >"$rc" <<END
set certificate_file=$TLS_CA ssl_verify_host=no imap_user="user6@example.test" imap_pass="pw-user6"
set folder="imaps://localhost:$IMAPS_PORT" spoolfile="+INBOX" quit=yes delete=yes confirmappend=no confirmcreate=no record=""
set wait_key=no sort=date mark_old=no timeout=5 header_cache="$HOME/$1.cache"
END
  rm -f "$HOME/$1.copy"
  terminal "$u" "l~s $t\r" "$t" "C\x15$HOME/$1.copy\rF" "+1" "l~s $u\r" "$u" "C\x15=Read-$1\rd" "+1" '$' "+2" 'q' -- "$1" -F "$rc" -n
  grep -qsF "$t" "$HOME/$1.copy" || { echo "no copy"; return 1; }
  flagged user6 "Subject: $t" || { echo "no flag"; return 1; }
  grep -rqsF "Subject: $u" "$dir/mail/user6/Maildir/.Read-$1" || { echo "not filed"; return 1; }
  ! grep -rqsF "Subject: $u" "$dir/mail/user6/Maildir/cur" || { echo "not removed"; return 1; }
}
mutt_imap() { mutt_reads mutt; }
neomutt_imap() { mutt_reads neomutt; }

# what it prints is a screen: the flag shows that it found, selected and stored
aerc_() { local t; t=$(token aerc); place user6 "$t"; mkdir -p "$HOME/aerc/aerc"
  printf '[a]\nsource = imaps://user6%%40example.test:pw-user6@localhost:%s\ndefault = INBOX\nfrom = user6@example.test\n' "$IMAPS_PORT" >"$HOME/aerc/aerc/accounts.conf"
  chmod 600 "$HOME/aerc/aerc/accounts.conf"
  SSL_CERT_FILE=$TLS_CA XDG_CONFIG_HOME=$HOME/aerc XDG_CACHE_HOME=$HOME/aerc XDG_DATA_HOME=$HOME/aerc \
    terminal "$t" ":flag -x Flagged\r" "+2" ":quit\r" -- aerc
  within 60 flagged user6 "Subject: $t" || { echo "no flag"; return 1; }; }

imapfilter_() { local t; t=$(token imapfilter); place user6 "$t"
  cat >"$HOME/imapfilter.lua" <<END
options.timeout = 60
options.create = true
account = IMAP { server = 'localhost', port = $IMAPS_PORT, username = 'user6@example.test', password = 'pw-user6', ssl = 'auto' }
found = account.INBOX:contain_subject('$t') * account.INBOX:is_unseen() * account.INBOX:contain_body('Body of')
if #found ~= 1 then error('found ' .. #found) end
found:mark_flagged()
account.INBOX:is_flagged():copy_messages(account['Filtered'])
found:move_messages(account['Filtered/Deep'])
END
  timeout 120 imapfilter -t "$TLS_CA" -c "$HOME/imapfilter.lua" && arrived_in user6 .Filtered "$t" && arrived_in user6 .Filtered.Deep "$t" &&
    ! grep -rqF "Subject: $t" "$dir/mail/user6/Maildir/cur"; }
arrived_in() { grep -rqsF "Subject: $3" "$dir/mail/$1/Maildir/$2" || { echo "$2 has no $3"; return 1; }; }

offlineimap_() { local t u f; t=$(token offlineimap) u=$(token local); place user12 "$t"; mkdir -p "$HOME/offline"
  cat >"$HOME/offlinerc" <<END
[general]
accounts = a
metadata = $HOME/offline-state
ui = basic
[Account a]
localrepository = near
remoterepository = far
[Repository near]
type = Maildir
localfolders = $HOME/offline
[Repository far]
type = IMAP
remotehost = localhost
remoteport = $IMAPS_PORT
remoteuser = user12@example.test
remotepass = pw-user12
ssl = yes
sslcacertfile = $TLS_CA
END
  timeout 120 offlineimap -o -c "$HOME/offlinerc" && grep -rqF "$t" "$HOME/offline/INBOX"
  text user12@example.test "$u" >"$HOME/offline/INBOX/new/1.$RANDOM.local"
  f=$(grep -rlF "Subject: $t" "$HOME/offline/INBOX" | head -1); mv "$f" "$HOME/offline/INBOX/cur/$(basename "${f%:2,*}"):2,FS"
  timeout 120 offlineimap -o -c "$HOME/offlinerc" && arrived user12 "$u" && flagged user12 "Subject: $t"; }

# it stays connected and is told of the second message by IDLE; it keeps both, so that place finds them
fetchmail_idle() { local t u pid; t=$(token idle) u=$(token idle); place user9 "$t"
  printf 'poll localhost service %s protocol imap user "user9@example.test" password "pw-user9" ssl sslcertck sslcertfile "%s" keep idle mda "cat >>%s"\n' $IMAPS_PORT "$TLS_CA" "$HOME/idled" >"$HOME/idlerc"; chmod 600 "$HOME/idlerc"
  fetchmail -f "$HOME/idlerc" --pidfile "$HOME/idle.pid" -i "$HOME/idleids" --nodetach >"$HOME/idle.log" 2>&1 & pid=$!
  trap "kill $pid 2>/dev/null" EXIT
  within 60 grep -qsF "$t" "$HOME/idled" || { tail "$HOME/idle.log"; return 1; }
  place user9 "$u"; within 60 grep -qsF "$u" "$HOME/idled" || { tail "$HOME/idle.log"; return 1; }; }

thunderbird_() { local t; t=$(token thunderbird); place user10 "$t-read"; place user10 "$t-thrown"
  TOKEN=$t TLS_CA=$TLS_CA IMAPS_PORT=$IMAPS_PORT SUBMISSION_PORT=$SUBMISSION_PORT SMTP_PORT=$SMTP_PORT \
    timeout 300 python3 "$here/thunderbird.py" "$HOME/thunderbird" user10@example.test &&
    flagged user10 "Subject: $t-read" && arrived_in user10 ".Kept $t" "$t-read" && arrived_in user10 .Trash "$t-thrown" &&
    arrived_in user10 .Sent "$t-sent" && arrived user10 "Subject: $t-sent" &&
    ! grep -rlF "Subject: $t-thrown" "$dir/mail/user10/Maildir/cur" | grep -qv ':2,[A-Z]*T'; }

imapclient_() { local t lib=${PENNYPOST_PEERS:-/var/cache/pennypost-peers}/python; t=$(token imapclient)
  PYTHONPATH=$lib python3 -c 'import sys; sys.path.pop(0); import imapclient' 2>/dev/null || { echo "IMAPClient is not in $lib"; exit 77; }
  place user10 "$t"; TOKEN=$t TLS_CA=$TLS_CA IMAPS_PORT=$IMAPS_PORT PYTHONPATH=$lib timeout 180 python3 "$here/imapclient.py"; }
