#!/usr/bin/env bash
# Several runs at once in a fresh directory, of one seed and of different ones, some of them ended by
# a signal: none fails because of another, each leaves its directory whole, and nothing half made
# stays.
#   tools/qksim/parallel_runs_test.sh PATH_OF_QKSIM [ROUNDS]
set -u
qksim=$1
rounds=${2:-3}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0
fail() {
  echo "FAILED: $*"
  failures=$((failures + 1))
}

# What one run alone leaves.
mkdir "$work/alone" && cd "$work/alone" || exit 1
run() { "$qksim" run rolling-local-to-sqlite --seed "$1" --until 300ms --artifacts always; }
for seed in 1 2; do
  run "$seed" >alone.log 2>&1
  expected=$?
  id=$(sed -n 's/.*artifacts .qksim\/runs\/\([0-9a-f]*\)\/.*/\1/p' alone.log)
  [ -n "$id" ] || { cat alone.log; exit 1; }
done

for ((round = 1; round <= rounds; ++round)); do
  mkdir "$work/$round" && cd "$work/$round" || exit 1
  pids=()
  for n in 0 1 2 3 4 5 6 7; do
    run $((n / 4 + 1)) >"log$n" 2>&1 &
    pids+=($!)
  done
  # One that is killed, one that is asked to end.
  run 1 >log8 2>&1 & killed=$!
  run 2 >log9 2>&1 & ended=$!
  sleep "0.$((round % 10))"
  kill -KILL "$killed" 2>/dev/null
  kill -TERM "$ended" 2>/dev/null
  for n in 0 1 2 3 4 5 6 7; do
    wait "${pids[$n]}"
    code=$?
    [ "$code" = "$expected" ] || fail "run $n of round $round: exit code $code, expected $expected: $(cat "log$n")"
  done 2>/dev/null # the shell tells of the killed one
  wait "$killed" "$ended" 2>/dev/null
  # Whatever the killed one left, the next run removes.
  run 1 >last.log 2>&1
  for directory in "$work"/alone/.qksim/runs/[0-9a-f]*; do
    id=$(basename "$directory")
    diff -r "$directory" ".qksim/runs/$id" >diff.log 2>&1 ||
      fail "round $round: another directory than of a run alone: $(head -5 diff.log)"
  done
  for left in .qksim/runs/.staging-*; do
    [ -e "$left" ] && fail "round $round: $left is left"
  done
  [ -e .qksim/runs/latest/report.txt ] || fail "round $round: latest leads nowhere"
done

[ "$failures" = 0 ] && echo "parallel_runs_test: $rounds rounds of 10 runs, all good"
exit "$((failures > 0))"
