#!/bin/sh
# The pipes in the EXAMPLES of deliver(8), pop3d(8), sieve(1) and sieved(8), run as they stand.
. "$(dirname "$0")/lib.sh"

HOME=$T/home USER=joe PENNYPOST_SHELL_OK=1
export HOME USER PENNYPOST_SHELL_OK
mkdir -p "$HOME/Maildir/new" "$HOME/Maildir/cur" "$HOME/Maildir/tmp" "$HOME/sieve"
printf 'Subject: one\n\nx\n' >"$HOME/Maildir/new/1.a"

is "pop3d --session answers a pipe" \
  "$(printf 'STAT\r\nQUIT\r\n' | pop3d --session 2>/dev/null | tr -d '\r' | sed -n 2p)" "+OK 1 19"

printf 'keep;\n' >"$HOME/sieve/a.sieve"
is "sieved --session lists scripts" \
  "$(printf 'LISTSCRIPTS\r\n' | sieved --session 2>/dev/null | tr -d '\r' | sed -n 2p)" '"a"'

printf 'require "fileinto";\nfileinto "Lists/rust";\n' >"$T/filter.sieve"
printf 'Subject: x\n\ny\n' >"$T/message"
is "sieve -r says what a script would do" "$(sieve -r -m "$T/message" "$T/filter.sieve")" 'file into "Lists/rust"'

if [ "$(id -u)" -eq 0 ]; then
  is "deliver refuses root" "$(deliver -m Projects <"$T/message" 2>/dev/null)" "4.3.5 deliver does not run as root"
fi

done_testing
