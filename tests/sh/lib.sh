# lib.sh - a few words for TAP tests in plain sh; sourced by *.t
# Programs come from $PENNYPOST_BIN. Each test has a directory of its own, removed at the end.

count=0
failed=0
: "${PENNYPOST_BIN:?names the directory of the programs}"
PATH=$PENNYPOST_BIN:$PATH
T=$(mktemp -d)
trap 'rm -rf "$T"' EXIT
printf '[ids]\nlandlock = "optional"\n' >"$T/p.toml"
PENNYPOST_CONFIG=$T/p.toml
export PENNYPOST_CONFIG

# is "name" got wanted
is() {
  count=$((count + 1))
  if [ "$2" = "$3" ]; then
    echo "ok $count - $1"
  else
    echo "not ok $count - $1"
    printf '%s\n' "got:    $2" "wanted: $3" | sed 's/^/# /'
    failed=$((failed + 1))
  fi
}

# done_testing: the plan, and the exit code
done_testing() {
  echo "1..$count"
  [ "$failed" -eq 0 ]
}
