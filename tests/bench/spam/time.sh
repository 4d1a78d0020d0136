#!/bin/sh
# time.sh RUNS LIST SPAMCHECK DB BOGODIR PROBEDIR: milliseconds of one whole process a message, tools in turn on the same
# messages, so that the load of the machine hits all alike; and the octets of what each has learned.
set -eu
runs=$1 list=$2 spamcheck=$3 db=$4 bogo=$5 probe=$6
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
now() { date +%s%N; }
once() { # once NAME FILE COMMAND...
    name=$1 file=$2; shift 2
    start=$(now)
    "$@" <"$file" >/dev/null 2>&1 || :
    echo $(($(now) - start)) >>"$tmp/$name"
}
awk -v n="$runs" '{ l[NR] = $2 } END { for (i = 0; i < n; i++) print l[int(i * NR / n) + 1] }' "$list" | while read -r file; do
    once true "$file" /bin/true
    once spamcheck "$file" "$spamcheck" --db "$db"
    [ ! -d "$bogo" ] || once bogofilter "$file" bogofilter -d "$bogo" -v
    [ ! -d "$probe" ] || once spamprobe "$file" spamprobe -d "$probe" score
done
median() { sort -n "$tmp/$1" | awk '{ a[NR] = $1 } END { printf "%.2f", a[int((NR + 1) / 2)] / 1e6 }'; }
echo "one process a message, median ms (with the shell's start of a process): true $(median true)"
for name in spamcheck bogofilter spamprobe; do
    [ ! -s "$tmp/$name" ] || echo "$name $(median $name)"
done | awk '{ t[$1] = $2; print "  " $0 } END { if (t["bogofilter"]) printf "  spamcheck / bogofilter: %.2f\n", t["spamcheck"] / t["bogofilter"] }'
echo "octets learned:"
size() { [ ! -e "$2" ] || echo "  $1 $(du -bs "$2" | cut -f1)"; }
size spamcheck "$db"
size bogofilter "$bogo"
size spamprobe "$probe"
