# lib.sh: what the benches beside other mail servers share: the figures, the servers one after the other, mailbench, and what
# starting and ending a peer needs. Sourced by bash.

. "$(dirname "${BASH_SOURCE[0]}")/../interop/lib.sh"
mail_bench=$root/tests/bench/mail
target=${CARGO_TARGET_DIR:-$root/target}

# figures [FILE]: a directory for the run, and where the figures go; at the end the server that runs is ended
figures() {
  work=$(mktemp -d "${TMPDIR:-/tmp}/pennypost-bench.XXXXXX"); chmod 755 "$work"
  out=${1:-$work/figures}; : >"$out"
  running=
  trap '[ -z "$running" ] || server $running down; rm -rf "$work"' EXIT
  trap 'exit 130' INT TERM
}

# server WHO up|down: ours, or the peer that has a script of its name beside the bench
server() {
  local script=$bench/$1
  [ "$1" != pennypost ] || script=$root/scripts/instance
  "$script" "$2" "$work/$1" >>"$work/log" 2>&1
}

# fresh WHO: the server, started with nothing left of a run before
fresh() {
  rm -rf "${work:?}/$1"
  BASE=$(free_base); export BASE
  server "$1" up || { tail -3 "$work/log" >&2; return 1; }
  running=$1
}

# mailbench_built: it is built, in a folder of its own
mailbench_built() {
  cargo build -q --release --locked --manifest-path "$mail_bench/mailbench/Cargo.toml" --target-dir "$target/bench"
}

# mailbench SECONDS COMMAND [OPTION...]: one measurement of the server that runs, in the run $run
mailbench() {
  local limit=$1; shift
  timeout "$limit" "$target/bench/release/mailbench" "$@" --env "$work/$running/env" --peer "$running" --rep "$run" >>"$out" ||
    echo "${0##*/}: $running: $* failed" >&2
}

# control_group NAME: a new one in CGROUP where there is one to be had: it counts the CPU time exactly
control_group() {
  local p
  CGROUP=
  for p in /sys/fs/cgroup/cpuacct /sys/fs/cgroup; do
    if [ -e "$p/cpuacct.usage" ] || [ -e "$p/cgroup.controllers" ]; then
      if mkdir "$p/bench-$1-$$" 2>/dev/null; then CGROUP=$p/bench-$1-$$; break; fi
    fi
  done
}

# in_group COMMAND...: in that control group
in_group() ( [ -z "$CGROUP" ] || echo $BASHPID >"$CGROUP/cgroup.procs"; "$@" )

# peer_down: ends the peer of DIR/env
peer_down() {
  [ -s "$DIR/env" ] || return 0
  . "$DIR/env"
  kill $PIDS 2>/dev/null || true
  within 10 eval "! kill -0 $PIDS 2>/dev/null" || kill -9 $PIDS
  if [ -n "${CGROUP:-}" ]; then within 10 rmdir "$CGROUP" 2>/dev/null || true; fi
  rm -f "$DIR/env"
}
