#!/usr/bin/env bash
# A planted bug is shrunk; the file fails in the same way, its sibling passes.
#   shrink_test.sh QKSIM
set -euo pipefail
qksim=$(readlink -f "$1")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

fail() {
  echo "shrink_test: $*" >&2
  cat out err >&2 2>/dev/null || true
  exit 1
}

# expect CODE WORDS...: runs qksim, its streams into out and err.
expect() {
  local code=$1 status=0
  shift
  "$qksim" "$@" >out 2>err || status=$?
  [ "$status" = "$code" ] || fail "qksim $* ended with $status, expected $code"
}

expect 0 shrink rolling-pair --planted vote-not-synced --seed 1 -o vote.qks.txtpb
cp out vote.out
grep -q '^  fails     vote.qks.txtpb$' out || fail "the file is not named"
grep -q '^  passes    vote-passes.qks.txtpb: ' out || fail "there is no sibling"
faults=$(grep -c '^at {' vote.qks.txtpb || true)
[ "$faults" -le 1 ] || fail "$faults faults are left"
oracle=$(sed -n 's/.*  \(ora\.[A-Z0-9]*\) in phase .*/\1/p' out)
expect 0 run vote.qks.txtpb --artifacts none
grep -q "^EXPECTED $oracle " out || fail "the file does not fail in the same way"
expect 0 run vote-passes.qks.txtpb --artifacts none
grep -q '^PASS ' out || fail "the sibling does not pass"

# selftest does the same for what its hunts found, and runs both files.
expect 0 selftest --bug vote-not-synced --form easy --shrink small --jobs 1
grep -q '^shrunk    vote-not-synced .* operations, [01] crashes, 0 other faults' out || fail "it is not small"
grep -q '^curve     easy  scenarios alone   1 of 1 killed, 100 %$' out || fail "no curve"
grep -q '^PASS  shrink  1 killed bugs: ' out || fail "no verdict"
expect 0 run small/vote-not-synced.qks.txtpb --artifacts none
grep -q '^EXPECTED ' out || fail "the file of selftest does not fail"
expect 0 run small/vote-not-synced-passes.qks.txtpb --artifacts none

grep -q '^  next      qksim run vote.qks.txtpb --artifacts always && qksim explain latest$' vote.out || fail "no next step"

# What `run --swarm` found is found again.
expect 0 shrink rolling-pair --planted vote-not-synced --swarm --seed 1 -o swarm.qks.txtpb
expect 0 run swarm.qks.txtpb --artifacts none

# What passes cannot be shrunk; what is there is not overwritten.
expect 2 shrink rolling-pair
grep -q 'the run violates nothing' err || fail "no reason"
echo mine >mine.qks.txtpb
expect 73 shrink rolling-pair --planted vote-not-synced -o mine.qks.txtpb
[ "$(cat mine.qks.txtpb)" = mine ] || fail "a file of the user's was overwritten"
echo "shrink_test: passed"
