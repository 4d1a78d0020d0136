#!/bin/sh
# Tell a user that the mailbox fills. In pennypost.toml:  [mail]  quota_warning = "/etc/pennypost/quota-warning.sh"
# deliver and imapd run it as the user, with the percentage that a delivery or a client has passed.
to=${USER:?} percent=${1:?usage: quota-warning.sh PERCENT}
/usr/sbin/sendmail -t -f '' <<END
From: Mail system <postmaster>
To: $to
Subject: Your mailbox is $percent % full
Auto-Submitted: auto-generated

Your mailbox has passed $percent % of its quota.
When it is full, new mail waits or goes back to its sender.
Please delete what you no longer need, and empty the folder Trash.
END
