#!/usr/bin/env bash
# explain --when of the built program, on planted bugs: a curve that rises to its top, an event at the
# jump, and the same answer from any number of processes.
#   tools/qksim/explain_when_test.sh PATH_OF_QKSIM
set -u
qksim=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
failures=0
fail() {
  echo "FAILED: $*"
  failures=$((failures + 1))
}
# The run directory of the first seed that fails before the clients are half done.
record() { # PLANTED
  local seed
  for seed in $(seq 1 40); do
    rm -rf run
    "$qksim" run rolling-under-random-faults --until 12s --seed "$seed" --planted "$1" --out run \
      >out 2>err
    [ $? = 1 ] && return 0
  done
  fail "$1: no seed of 40 fails: $(tail -1 out)"
  return 1
}
when() { # CODE WORDS...
  local code=$1
  shift
  "$qksim" explain run --when --futures 5 --moments 3 "$@" >out 2>err
  got=$?
  [ "$got" = "$code" ] || fail "qksim explain run --when $*: exit code $got, expected $code: $(cat out err)"
}

bugs=(ack-before-mirror:hard entry-term-altered:hard segment-not-synced:hard)
# Sanitizer builds take one.
[ -z "${QKSIM_TEST_ONE_POINT_IN:-}" ] || bugs=("${bugs[0]}")
for planted in "${bugs[@]}"; do
  record "$planted" || continue
  when 0 --jobs 1
  mv out one
  when 0 --jobs 3
  cmp -s out one || fail "$planted: one process and three say different things: $(diff one out)"
  tail -n +2 out | grep -q '#  5 of 5  .*the violation$' || fail "$planted: no violation: $(cat out)"
  grep -q '<- jump' out || fail "$planted: no jump: $(cat out)"
  sed -n '/^the jump: from [0-4] of 5 to [1-5] of 5/,$p' out >jump
  grep -q '^  .*t=.*s #[0-9]' jump || fail "$planted: no event at the jump: $(cat out)"
  when 0 --jobs 2 --json
  grep -q '"complete":true.*"jump":{"events":\[{"seq":"' out || fail "$planted: $(cat out)"
done
when 2 --for 0s
grep -q '^stopped early' out || fail "without time: $(cat out)"

# What needs no chance is so from the start, and that is said.
"$qksim" run rolling-pair --planted vote-not-synced --out always >/dev/null 2>&1
rm -rf run && mv always run
when 0
grep -q '^no jump: it ends this way from the start' out || fail "a bug that needs no chance: $(cat out)"

[ "$failures" = 0 ] && echo "explain_when_test: all good"
exit "$((failures > 0))"
