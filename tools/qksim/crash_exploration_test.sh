#!/usr/bin/env bash
# Every crash of a window of a small migration passes; planted bugs that the same run without a crash
# does not show are found, and each finding is a file that fails in the same way; shards together
# explore what one exploration does; one that was killed or interrupted goes on to the same report.
#   crash_exploration_test.sh QKSIM SOURCE_DIR
set -euo pipefail
qksim=$(readlink -f "$1")
scenario=$(readlink -f "$2")/scenarios/one-node.qks.txtpb
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

fail() {
  echo "crash_exploration_test: $*" >&2
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

# Sanitizer builds explore one instant in so many.
one=${QKSIM_TEST_ONE_POINT_IN:-1}

# The six numbers of a row: instants, states, distinct, alike, recoveries, violations.
row() { sed -n "s/^  $1 *//p" out; }

expect 0 explore "$scenario" --window n1:CUT..n1:B --shard 1/$one
grep -q '^PASS  0 signatures, 0 violations' out || fail "no verdict"
read -r instants states distinct alike recoveries violations <<<"$(row CUT)"
[ "$instants" -gt $((30 / one)) ] && [ "$distinct" -gt $((200 / one)) ] && [ "$states" -gt "$distinct" ] ||
  fail "little was explored"
[ "$recoveries" -ge $((distinct - alike)) ] && [ "$recoveries" -lt $((2 * distinct)) ] ||
  fail "$recoveries starts of $distinct states, $alike of them alike"
[ "$violations" = 0 ] || fail "violations in a passing exploration"
grep -q '^  empty     14 of 16 cells:$' out || fail "the matrix does not show what is empty"

# With every state and start run, none is judged in another way than the one it looks like.
expect 0 explore "$scenario" --window n1:BOOT..n1:V1 --shard 1/$((8 * one)) --recheck 1
read -r _ _ distinct alike recoveries _ <<<"$(row BOOT)"
[ "$alike" = 0 ] && [ "$recoveries" = $((2 * distinct)) ] || fail "not every state was started and cut off again"
grep -q 'ran although an earlier one showed the same' out || fail "nothing was compared"
expect 0 explore "$scenario" --window n1:BOOT..n1:V1 --shard 1/$((8 * one)) --most 3
grep -q 'distinct states were not tried: more than 3 of their instant' out || fail "no cap"

# More omissions and nested crashes are more states; a process crash alone is fewer.
expect 0 explore "$scenario" --window n1:CUT..n1:B --shard 1/$((8 * one)) --omit 0
read -r few _ few_distinct _ <<<"$(row CUT)"
expect 0 explore "$scenario" --window n1:CUT..n1:B --shard 1/$((8 * one)) --nested 1 --omit 2
read -r again _ many_distinct _ <<<"$(row CUT)"
[ "$few" = "$again" ] || fail "bounds change which instants there are"
[ "$many_distinct" -gt $((4 * few_distinct)) ] || fail "nested crashes add $many_distinct - $few_distinct states"
expect 0 explore "$scenario" --window n1:CUT..n1:B --level P0 --shard 1/$((8 * one))
read -r _ _ process_only _ <<<"$(row CUT)"
[ "$process_only" -lt "$many_distinct" ] || fail "P0 alone has as many states"

# Same instants whether in shards or at once, and whatever the number of worlds at a time.
sum=0
for shard in 1 $((one + 1)); do
  expect 0 explore "$scenario" --window n1:CUT..n1:B --level P0 --shard $shard/$((2 * one)) --jobs 1
  read -r part _ <<<"$(row CUT)"
  sum=$((sum + part))
done
[ "$sum" = "$instants" ] || fail "$sum instants in shards, $instants at once"

# What the run alone does not show: an import that says too early that it is whole.
expect 2 run "$scenario" --planted import-marker-first --artifacts none
expect 1 explore "$scenario" --window n1:BOOT..n1:V1 --planted import-marker-first --shard 1/4 --out found
grep -q 'ora.L14 no-half-bootstrap in phase BOOT at P2' out || fail "not found"
grep -q 'not shown by' out && fail "a finding cannot be reproduced"
for file in found/found-*.qks.txtpb; do
  expect 0 run "$file" --artifacts none
  grep -q '^EXPECTED ora.L14 ' out || fail "$file does not fail in the same way"
done
# What is there already is not written over.
expect 73 explore "$scenario" --window n1:BOOT..n1:V1 --planted import-marker-first --shard 1/4 --out found
grep -q 'go on with it by --resume' err || fail "no hint"

# Killed, interrupted and resumed, an exploration ends in the report of an undisturbed one.
window=(--window n1:EXPORT..n1:BOOT --pair 'local>sqlite' --pair 'sqlite>local' --shard 1/$one)
expect 0 explore "$scenario" "${window[@]}" --out whole
"$qksim" explore "$scenario" "${window[@]}" --out parts --jobs 1 >out 2>err &
victim=$!
for _ in $(seq 200); do
  [ -s parts/records.jsonl ] && break
  sleep 0.02
done
kill -9 $victim 2>/dev/null || true
wait $victim 2>/dev/null || true
printf '{"variant":0,"unit":' >>parts/records.jsonl
# Its worlds end with it; until then they hold its lock.
for _ in $(seq 100); do
  status=0
  "$qksim" explore --resume parts --for 1ms >out 2>err || status=$?
  [ $status = 66 ] || break
  sleep 0.05
done
[ $status = 0 ] || [ $status = 2 ] || fail "resumed with $status"
expect 0 explore --resume parts
cmp whole/report.txt parts/report.txt || fail "another report after a kill"
expect 64 explore --resume parts --omit 2
expect 66 explore --resume nowhere
cp parts/records.jsonl records
sed -i '1s/"phase"/"fase"/' parts/records.jsonl
expect 65 explore --resume parts
grep -q 'records.jsonl: line 1: ' err || fail "damage without its place"
cat records records >parts/records.jsonl
expect 65 explore --resume parts
grep -q 'is there twice' err || fail "a unit twice"

# braft as shipped, from nothing: what is known of it is found unaided, although a run shows a part of
# it without a crash.
cat >young.qks.txtpb <<'TEXT'
name: "young"
run_for: "3s"
cluster {
  group: "counter"
  node { id: "n1" peer: "127.0.0.1:8300:0:0" store: "shipped" }
  election_timeout: "150ms..300ms"
  heartbeat: "50ms"
  link { latency: "1ms..6ms" }
  operator_restart_after: "300ms"
}
store { id: "shipped" local_as_shipped {} }
workload { clients: 2 rate: 10 value_size: "64B..700B" }
expect {
  verdict: VIOLATION
  violates: ["ora.L1", "ora.L2", "ora.L4", "ora.L5", "ora.L9", "ora.L10", "ora.L13"]
}
seed: 1
TEXT
expect 1 explore young.qks.txtpb --window 0s..0.6s --level P2 --most 12 --out young
for words in "no instance of family local-as-shipped" "(term 1, vote nobody)" "log \[1, 0\]"; do
  grep -q "actual    .*$words" out || fail "not found: $words"
done
grep -q 'ora.L10' out && fail "what a run shows without a crash is told as a finding"
for file in young/found-*.qks.txtpb; do
  expect 0 run "$file" --artifacts none
  grep -q '^EXPECTED ora.L10, ' out || fail "$file does not fail in the same way"
done

# Nothing explored is no verdict.
expect 2 explore "$scenario" --window n1:ROLLBACK..n1:B
grep -q 'the run never came to n1:ROLLBACK..n1:B' out || fail "no reason"
expect 2 explore "$scenario" --window n1:DUAL..n1:ROLLBACK --shard 1/64
grep -q 'the run ended inside' out || fail "no reason"
expect 2 explore "$scenario" --for 1ms
grep -q 'stopped early' out || fail "no reason"
expect 2 explore "$scenario" --window n1:CUT..n1:B --shard 400/400
grep -q 'nothing was recovered' out || fail "no reason"
for words in "--window n1" "--window n1:DUAL..n9:B" "--window n1:NO..n1:B" "--level P9" "--level ," \
             "--node n9" "--omit x" "--shard 3/2" "--nested 9" "--pair local" "--pair local>nothing" \
             "--resume x"; do
  # shellcheck disable=SC2086
  expect 64 explore "$scenario" $words
  [ -s err ] || fail "no message for $words"
done
