# lib.sh: what run, network and mailer share: TAP, free ports, waiting, a private instance. Sourced by bash.

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
root=$(cd "$here/../.." && pwd -P)

# begin NAME [TEST...]: a directory for the run, of which only the named tests are wanted
begin() {
  work=$(mktemp -d "/tmp/pennypost-$1.XXXXXX"); chmod 755 "$work"; shift
  dir=$work/server
  n=0 bad=0
  only=" $* "
}

# it NAME PROGRAM FUNCTION: one test; skipped when the program is missing
it() {
  local name=$1 program=$2 function=$3 out code
  [ "$only" = "  " ] || [[ $only == *" $name "* ]] || return
  n=$((n+1))
  if [ -n "$program" ] && ! command -v "$program" >/dev/null; then echo "ok $n - $name # SKIP $program is not installed"; return; fi
  out=$( (set -e; $function) 2>&1); code=$?
  if [ $code = 0 ]; then echo "ok $n - $name"
  elif [ $code = 77 ]; then echo "ok $n - $name # SKIP ${out##*$'\n'}"
  else bad=1; echo "not ok $n - $name"; echo "$out" | tail -25 | sed 's/^/# /'; fi
}

# is_open ADDRESS PORT
is_open() { (exec 3<>"/dev/tcp/$1/$2") 2>/dev/null; }

# free_base [PORT...]: a base below 28000 above which the ports of an instance, and these, are free
free_base() {
  local b p
  while :; do
    b=$((10000 + RANDOM % 17000))
    for p in 24 25 110 143 465 587 993 995 4190 2525 "$@"; do ! is_open 127.0.0.1 $((b+p)) || continue 2; done
    echo $b; return
  done
}

# within SECONDS COMMAND...: tries it ten times a second until it succeeds
within() {
  local left=$(($1 * 10)); shift
  until "$@"; do left=$((left-1)); [ "$left" -gt 0 ] || return 1; sleep 0.1; done
}

# opens ADDRESS PORT: within two minutes
opens() { within 120 is_open "$1" "$2" || { echo "$1:$2 did not open"; return 1; }; }

# instance: the private one, on the ports above BASE; what it is like stands in the environment
instance() {
  if ! "$root/scripts/instance" up "$dir" >"$work/up.log" 2>&1; then
    echo "Bail out! the instance does not start"; sed 's/^/# /' "$work/up.log"; bad=1; exit 1
  fi
  . "$dir/env"
}

token() { echo "token-$1-$RANDOM$RANDOM"; }
