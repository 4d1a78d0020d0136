#!/bin/sh
# Every recipe of pennypost-cookbook(7), taken from the page as a reader would copy it, and run.
. "$(dirname "$0")/lib.sh"
page=$(cd "$(dirname "$0")/../.." && pwd)/man/pennypost-cookbook.7
cd "$T" || exit 1
unset PENNYPOST_CONFIG

# recipe N: the code of that section as the file rN
awk '/^\.Ss [0-9]+\./ { n = $2 + 0 } /^\.Bd -literal/ { on = 1; next } /^\.Ed/ { on = 0 } on { print > ("r" n) }' "$page"
for f in r[0-9]*; do
  sed 's/\\e/\\/g; s/\\&//g; s/\\-/-/g; s/\\(dq/"/g' "$f" >x && cat x >"$f" && chmod 755 "$f"
done
is "twenty recipes" "$(ls r[0-9]* | wc -l | tr -d ' ')" 20

# a sendmail that keeps what it is given
mkdir bin etc; PATH=$T/bin:$PATH
cat >bin/sendmail <<END
#!/bin/sh
n=1; while [ -e "$T/sent.\$n" ]; do n=\$((n + 1)); done
{ echo "\$*"; cat; } >"$T/sent.\$n"
END
chmod 755 bin/sendmail
cat >etc/pennypost.toml <<END
hostname = "mx.example.test"
[paths]
run = "$T/run"
tables = "$T/etc"
libexec = "$PENNYPOST_BIN"
[mail]
home = "$T/mail/%u"
END
printf 'ann@example.test:{PLAIN}x::::::userdb_quota_rule=*:storage=1M\njoe@example.test:{PLAIN}x::::::userdb_quota_rule=*:storage=1G\n' >etc/users
# the tables are shown by name, the configuration is that of the test
TABLES=$T/etc; export TABLES
printf '#!/bin/sh\nexec "%s/pennypost" -c "%s/etc/pennypost.toml" "$@"\n' "$PENNYPOST_BIN" "$T" >bin/pennypost; chmod 755 bin/pennypost
mail() { printf 'From: ann@example.test\nTo: team@example.test\nSubject: %s\n\nhello\n' "$1"; }
export SENDER=ann@example.test RECIPIENT=team@example.test LOCAL=team HOST=example.test REMOTE_IP=192.0.2.7

printf 'ann@example.test\njoe@far.test\n' >members
mail hi | ./r1 members; is "1: the list sends" "$? $(head -1 sent.1)" "0 -f owner-team@example.test -- ann@example.test joe@far.test"
{ echo 'List-Id: <team.example.test>'; mail again; } | ./r1 members; is "1: no loop" "$? $(ls sent.* | wc -l | tr -d ' ')" "0 1"
mail hi | SENDER=eve@far.test ./r1 members >out; is "1: members only" "$? $(cat out)" "77 only members may write to team"

mkdir tickets; mail help | ./r2 tickets; is "2: a ticket is opened and answered" "$? $(ls tickets) $(grep Subject sent.2)" "0 1 Subject: [#1] your message"
mail 'Re: [#1] your message' | ./r2 tickets; mail other | ./r2 tickets
is "2: the number leads to the ticket" "$(ls tickets/1 | wc -l | tr -d ' ') $(ls -d tickets/[0-9]* | tr '\n' ' ')" "2 tickets/1 tickets/2 "

mail keep | ./r3 archive; is "3: archived" "$? $(gzip -dc archive/*/*.gz | grep -c keep)" "0 1"

printf 'From: fax\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain\n\nx\n--b\nContent-Type: application/pdf\nContent-Transfer-Encoding: base64\n\n%s\n--b--\n' "$(echo '%PDF-1.4 page' | base64)" |
  PRINT="cat >>$T/printed" ./r4; is "4: printed" "$(cat printed)" "%PDF-1.4 page"

mkdir grey; mail x | ./r5 grey 600; is "5: come again" "$?" 75
touch -d '20 minutes ago' grey/*; mail x | ./r5 grey 600; is "5: welcome" "$?" 0

if command -v gpg >/dev/null; then
  GNUPGHOME=$T/gpg; export GNUPGHOME; mkdir -m 700 gpg
  gpg --batch --quiet --passphrase '' --quick-gen-key ann@example.test default default never 2>/dev/null
  mail secret | ./r6 ann@example.test >enc; is "6: encrypted" "$? $(grep -c hello enc) $(grep -c '^Subject: secret' enc)" "0 0 1"
  is "6: and readable again" "$(sed -n '/BEGIN PGP/,/END PGP/p' enc | gpg --batch --quiet --decrypt 2>/dev/null | tail -1)" hello
  mail secret | ./r6 nobody@nowhere.test >/dev/null 2>&1; is "6: never in clear" "$?" 75
  gpgconf --kill all 2>/dev/null
else echo "# 6: gpg is not installed"; fi

HOME=$T; export HOME; mkdir Maildir
mail 'lunch tomorrow' | ./r7 "$T/Maildir"; is "7: delivered" "$? $(cat Maildir/new/* | grep -c lunch)" "0 1"
printf '#!/bin/sh\ncat >/dev/null\n' >bin/spamcheck; chmod 755 bin/spamcheck # it says spam
mail 'cheap pills' | ./r7 "$T/Maildir"; is "7: spam" "$? $(cat Maildir/.Junk/new/* | grep -c '^Subject: cheap')" "0 1"
rm bin/spamcheck; hash -r

is "8: backup MX" "$(sh -e r8 | grep -c 'host mx1.customer.test port 25')" 1
is "9: smarthost" "$(sh -e r9 | grep 'ends in' | sed 's/.*-> //')" "host smtp.provider.test port 587 tls must"
is "10: catch-all" "$(sh -e r10 | grep 'ends in')" "  ends in: pipe /usr/local/bin/sink --strip"
is "11: vacation" "$(sieve r11 >/dev/null 2>&1; echo $?)" 0

printf '#!/bin/sh\ncat >posted; echo "$1" >>posted\n' >bin/post; chmod 755 bin/post
mail 'Urgent: fire' | POST=post ./r12 http://hook.test; is "12: posted" "$? $(tr '\n' ' ' <posted)" "0 ann@example.test: Urgent: fire http://hook.test "
mail 'dull' | POST=false ./r12 http://hook.test; is "12: nothing to post" "$?" 0

printf 'Subject: x\nContent-Disposition: attachment; filename="a.EXE"\n\nMZ\n' | ./r13 >out; is "13: refused" "$? $(cut -c1-5 out)" "100 5.7.1"
mail x | ./r13; is "13: taken" "$?" 0

echo 'the company' >foot; is "14: footer" "$(mail x | ./r14 foot | tail -2 | tr '\n' '|')" "-- |the company|"
is "14: not under HTML" "$({ echo 'Content-Type: text/html'; mail x; } | ./r14 foot | grep -c company)" 0

rm -f sent.*; echo "I am a robot" >words
mail x | ./r15 words seen; mail x | ./r15 words seen; { echo 'Precedence: bulk'; mail x; } | SENDER=o@far.test ./r15 words seen
is "15: once" "$(ls sent.* | wc -l | tr -d ' ') $(tail -1 sent.1)" "1 I am a robot"

{ echo 'List-Id: Debian <debian-devel.lists.debian.org>'; mail x; } >m16
is "16: by list" "$(sieve -r -m m16 -a ann@example.test r16 2>&1 | grep -c 'Lists.debian-devel')" 1
mail x >m16; is "16: by extension" "$(sieve -r -m m16 -a ann+Shop@example.test r16 2>&1 | grep -ci 'shop')" 1

for u in ann joe; do mkdir -p mail/$u/Maildir; printf '1048576S\n1000000 3\n' >mail/$u/Maildir/maildirsize; done
is "17: nearly full" "$(sh -e r17)" ann@example.test

is "18: refused senders" "$(sh -e r18 | tail -1 | grep -c 'no mistakes')" 1
printf 'smtpd[1]: q=- ev=reject rule=dnsbl ip=192.0.2.1 x\nsmtpd[1]: q=- ev=reject rule=dnsbl ip=192.0.2.1 y\nsmtpd[1]: q=- ev=login rule=z ip=1\n' >log
is "19: why" "$(LOG=log sh -e r19 | sed 's/^ *//')" "2 dnsbl 192.0.2.1"

mail x >m; echo 'keep;' >s.sieve
is "20: by hand" "$(M=m S=s.sieve sh r20 2>/dev/null | grep -c ' said [0-9]')" 2
done_testing
