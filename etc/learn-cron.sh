#!/bin/sh
# Learn a user's folders at night, from his crontab:  17 3 * * *  /etc/pennypost/learn-cron.sh "$HOME/Maildir"
# What was learned before costs next to nothing; what was moved since is corrected. Junk is what lies in .Junk; ham is
# what was read and kept (flag S), in the inbox and .Archive; people in .Sent are known from then on.
maildir=${1:-$HOME/Maildir}
status=0
list() { # list FLAG FOLDER...: the messages with that flag
    flag=$1; shift
    for folder in "$@"; do
        [ -d "$folder/cur" ] && find "$folder/cur" -type f -name "*:2,*$flag*"
    done
}
list '' "$maildir/.Junk" | spamcheck --spam --bulk || status=1
list S "$maildir" "$maildir/.Archive" | spamcheck --ham --bulk || status=1
[ ! -d "$maildir/.Sent/cur" ] || spamcheck --sent "$maildir/.Sent" || status=1
exit $status
