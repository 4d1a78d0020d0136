#!/bin/sh
# Learn from moves into and out of Junk: imapd runs this as the user with "spam" or "ham", the message on stdin.
# In pennypost.toml:  [imapd]  learn = "/etc/pennypost/learn-imap.sh"
# The table is the user's own, ~/.spamcheck/table. Learned twice counts once, so a move seen twice does no harm.
case "$1" in
spam) exec spamcheck --spam ;;
ham) exec spamcheck --ham ;;
*) echo "usage: learn-imap.sh spam|ham < message" >&2; exit 64 ;;
esac
