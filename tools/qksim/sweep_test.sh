#!/usr/bin/env bash
# Sweeps of the built program: killed and resumed, interrupted, divided and merged, with planted bugs,
# with a worker that is killed.
#   tools/qksim/sweep_test.sh PATH_OF_QKSIM
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
shown() { grep -v '^oracles\|^probes\|^ *[a-z/.-]* .* times in\|never reached:' "$@" | cut -c1-200 | head -30; }
# sweep CODE WORDS...: the exit code; the output is in out and err.
sweep() {
  local code=$1
  shift
  "$qksim" sweep "$@" >out 2>err </dev/null
  got=$?
  [[ $got =~ ^($code)$ ]] || fail "qksim sweep $*: exit code $got, expected $code: $(shown out err)"
}
has() { # FILE TEXT
  grep -qF -- "$2" "$1" || fail "no \"$2\" in $1: $(shown "$1")"
}
same_report() { # DIR WHAT
  cmp -s whole/report.txt "$1/report.txt" || fail "$2: $(diff whole/report.txt "$1/report.txt")"
}
# A process that has ended counts as gone, whether or not anybody has collected its exit code.
runs() { # PID
  case $(ps -o stat= -p "$1") in '' | Z* | X*) return 1 ;; esac
}
lines() { wc -l 2>/dev/null <"$1/records.jsonl" || echo 0; }
# Starts a sweep in the background and waits until so many seeds are done.
start_until() { # DIR LINES WORDS...
  local directory=$1 count=$2
  shift 2
  "$qksim" sweep "$@" --out "$directory" >out 2>err </dev/null &
  pid=$!
  until [ "$(lines "$directory")" -ge "$count" ] || ! kill -0 "$pid" 2>/dev/null; do sleep 0.02; done
}

# Whether so few seeds show enough for a PASS is not the point here: `whole` is the measure.
seeds=14
small=(swarm --swarm --seeds "$seeds" --det-ratio 0.2 --jobs 2 --progress none)
sweep '0|2' "${small[@]}" --out whole
whole=$got
has out "$seeds of $seeds runs"
has whole/report.txt '0 of them differ'
grep -q ' FAIL\|DIED\|STUCK' whole/report.txt && fail "a seed of swarm fails: $(shown whole/report.txt)"

# SIGKILL, then resume: the same report, and no process is left that could write.
start_until killed 4 "${small[@]}"
workers=$(pgrep -P "$pid")
kill -KILL "$pid" && wait "$pid" 2>/dev/null
[ "$(lines killed)" -lt "$seeds" ] || fail "the sweep ended before it was killed"
[ -n "$workers" ] || fail "a sweep without workers"
for worker in $workers; do
  for ((try = 0; try < 600; ++try)); do
    runs "$worker" || break
    sleep 0.05
  done
  runs "$worker" && fail "worker $worker outlives its sweep: $(ps -o pid,ppid,stat,args -p "$worker")"
done
printf '{"variant":"0","seed":"2' >>killed/records.jsonl # what a power cut may leave
sweep "$whole" --resume killed --progress none
same_report killed 'killed and resumed'
[ "$(lines killed)" = "$seeds" ] || fail "$(lines killed) records, expected $seeds"

# SIGTERM: what there is, and 130. (The shell has SIGINT ignored in what it starts in the background.)
start_until stopped 4 "${small[@]}"
kill -TERM "$pid"
wait "$pid"
got=$?
[ "$got" = 130 ] || fail "SIGTERM: exit code $got, expected 130"
has err 'go on with: qksim sweep --resume stopped'
has out ' runs are left'
sweep "$whole" --resume stopped --jobs 1
same_report stopped 'interrupted and resumed'

# Two shards, merged in any order.
sweep '0|2' "${small[@]}" --shard 1/2 --out one
sweep '0|2' "${small[@]}" --shard 2/2 --out two
sweep "$whole" merge two one --out merged
same_report merged 'merged shards'
sweep 2 merge one --out half
has out ' runs are left'
sweep 65 merge one one --out twice
has err 'shard 1/2 is given twice'
sweep 65 merge one whole --out other
has err 'part of another sweep'

# A planted bug is one finding, with a seed that repeats it alone.
sweep 1 swarm --seeds 12 --planted vote-not-synced --max-failures 0 --out planted
has out 'ora.L5'
repro=$(sed -n 's/^  repro     qksim //p' planted/report.txt | head -1)
chain=$(sed -n 's/^  shortest .* chain //p' planted/report.txt | head -1)
eval "\"$qksim\" $repro --artifacts none" >alone 2>/dev/null
got=$?
[ "$got" = 1 ] || fail "qksim $repro: exit code $got, expected 1"
grep -q "seed 0x.* chain $chain\|# chain .* at #" alone || fail "the seed alone: $(cat alone)"
kept=$(ls -d planted/failures/*/ | head -1)
for file in report.txt scenario.txtpb trace.txt timeline.dot; do
  [ -s "$kept/$file" ] || fail "no $file in $kept"
done
[ -n "$chain" ] || fail "no chain of the shortest run: $(shown planted/report.txt)"

# A failed check of the program is a finding of its seed, and the next seed runs.
sweep 70 swarm --seeds 3 --planted check-fails --max-failures 0 --out checks
has out 'ERROR     internal '
has out '  3 seeds'

# A worker that is killed from outside says nothing of its seed, which runs again.
start_until shot 2 "${small[@]}"
kill -KILL "$(pgrep -P "$pid" | head -1)" 2>/dev/null
wait "$pid"
got=$?
[ "$got" = "$whole" ] || fail "a worker was killed: exit code $got, expected $whole: $(shown out err)"
same_report shot 'a worker was killed'

# Two of one directory at once.
start_until locked 2 "${small[@]}"
sweep 66 --resume locked
has err 'in use by another sweep'
kill -TERM "$pid" && wait "$pid"

# Words.
sweep 64
has err 'SCENARIO, --resume DIR'
sweep 64 --resume whole --seeds 3
sweep 64 swarm --shard 3/2
sweep 64 swarm --det-ratio 1.5
sweep 64 swarm --axis run_for
sweep 65 swarm --seeds-from whole/report.txt
sweep 66 --resume nowhere
sweep 66 swrm
sweep 73 swarm --out whole
printf '# two\n3\n0x4\n' >list
sweep '0|2' swarm --seeds-from list --out listed --progress plain
has out 'seeds 0x3..0x4'

# A sweep may ask for every probe that its runs can reach; what one seed leaves out is named.
sweep 2 rolling-pair --seeds 1 --jobs 1 --sometimes every --out every
has out 'probe crash/leader was never reached'

[ "$failures" = 0 ] && echo "sweep_test: all good"
exit "$((failures > 0))"
