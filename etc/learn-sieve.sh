#!/bin/sh
# Learn from a Sieve script (vnd.dovecot.pipe); put it into the admin's directory of programs for Sieve:
#   require ["vnd.dovecot.pipe", "copy"];
#   if header :contains "Subject" "[learn spam]" { pipe :copy "learn-sieve.sh" ["spam"]; }
# sieve/learn.sieve calls it on moves into and out of Junk. Works as the target of imapsieve scripts of other servers too. A failure is temporary (75): nothing is lost by it.
case "$1" in
spam) spamcheck --spam ;;
ham) spamcheck --ham ;;
*) echo "usage: learn-sieve.sh spam|ham < message" >&2; exit 64 ;;
esac || exit 75
