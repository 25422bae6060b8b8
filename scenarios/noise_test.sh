#!/usr/bin/env bash
# What surrounds a process does not reach a run: for each family of the build a migration from it
# and one to it gives the same chain whatever memory holds before it is written, wherever the heap
# and the stack lie, on one CPU or more, in another time zone, locale or directory. And a run has no
# thread but the one that it began with.
#   noise_test.sh QKSIM
set -euo pipefail
qksim=$(readlink -f "$1")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

families=($("$qksim" families list | cut -d' ' -f1))
[ "${#families[@]}" -ge 3 ] || { echo "families list: ${families[*]}" >&2; exit 1; }

# A ring: each family is once the source and once the target.
pairs=()
for i in "${!families[@]}"; do
  pairs+=("${families[$i]} ${families[$(((i + 1) % ${#families[@]}))]}")
done

# The verdict is other tests' business (a crash takes a volatile family for good).
run() {  # FROM TO [COMMAND...]: runs with COMMAND before it
  local from=$1 to=$2
  shift 2
  "$@" "$qksim" run rolling-pair --seed 0x5EED --artifacts none \
    --set store[from].family="$from" --set store[to].family="$to" \
    --set migration[0].accept_weak_durability=true 2>err || true
}
chain() {
  run "$@" >out
  sed -n 's/.*chain \([0-9a-f]\{12\}\).*/\1/p' out | head -1
}

noises=(
  "env MALLOC_PERTURB_=165"
  "env MALLOC_MMAP_THRESHOLD_=4096 MALLOC_TOP_PAD_=1 MALLOC_ARENA_MAX=1"
  "env TZ=Pacific/Chatham LC_ALL=tr_TR.UTF-8 HOME=/nowhere TMPDIR=$work NOISE=$(printf 'x%.0s' {1..5000})"
  "taskset -c 0"
)
if setarch -R true 2>/dev/null; then
  noises+=("setarch -R")
else
  echo "noise_test: without setarch -R, which this machine does not permit"
fi

compared=0
for pair in "${pairs[@]}"; do
  read -r from to <<<"$pair"
  quiet=$(chain "$from" "$to")
  if [ -z "$quiet" ]; then
    echo "$from to $to: no chain in:" >&2
    cat out err >&2
    exit 1
  fi
  for noise in "${noises[@]}"; do
    # shellcheck disable=SC2086 # the words of a command
    noisy=$(chain "$from" "$to" $noise)
    if [ "$noisy" != "$quiet" ]; then
      echo "$from to $to: chain $quiet, but ${noise:0:60} gives ${noisy:-none}" >&2
      exit 1
    fi
    compared=$((compared + 1))
  done
done

# The threads of the process while it runs, as often as they can be counted.
samples=0
for pair in "${pairs[@]}"; do
  read -r from to <<<"$pair"
  "$qksim" run rolling-pair --seed 1 --artifacts none --set store[from].family="$from" \
    --set store[to].family="$to" --set migration[0].accept_weak_durability=true \
    --set run_for=60s >/dev/null 2>&1 &
  pid=$!
  while tasks=$(ls "/proc/$pid/task" 2>/dev/null) && [ -n "$tasks" ]; do
    # Before its exec the child is still this shell.
    [ "$(readlink "/proc/$pid/exe" 2>/dev/null)" = "$qksim" ] || continue
    samples=$((samples + 1))
    if [ "$(wc -w <<<"$tasks")" -ne 1 ]; then
      echo "$from to $to: threads $(tr '\n' ' ' <<<"$tasks"), expected $pid alone" >&2
      exit 1
    fi
  done
  wait "$pid" || true
done
if [ "$samples" -eq 0 ]; then
  echo "the threads of no run were counted" >&2
  exit 1
fi
echo "noise_test: $compared chains equal, one thread in each of $samples samples"
