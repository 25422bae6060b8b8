#!/usr/bin/env bash
# What surrounds a process does not reach a run: for each family of the build a migration from it
# and one to it, and each shipped scenario, those with random faults among them, gives the same chain
# whatever memory holds before it is written, wherever the heap and the stack lie and in whatever
# order memory is given out, on one CPU or more, in another time zone, locale or directory. And a run
# starts no thread, however short.
#   noise_test.sh QKSIM NO_THREADS CANARY
# NO_THREADS: a library that ends a process which starts a thread; CANARY: a program that starts one.
set -euo pipefail
qksim=$(readlink -f "$1")
no_threads=$(readlink -f "$2")
canary=$(readlink -f "$3")
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

# What is run: "SCENARIO ARGUMENTS...". The verdict is other tests' business (a crash takes a volatile
# family for good).
runs=()
for pair in "${pairs[@]}"; do
  read -r from to <<<"$pair"
  store="--set store[from].family=$from --set store[to].family=$to"
  runs+=("rolling-pair $store --set migration[0].accept_weak_durability=true")
done
scenarios=($("$qksim" scenarios list | cut -d' ' -f1))
[ "${#scenarios[@]}" -ge 4 ] || { echo "scenarios list: ${scenarios[*]}" >&2; exit 1; }
runs+=("${scenarios[@]}")

run() {  # RUN [COMMAND...]: runs with COMMAND before it
  local what=$1
  shift
  # shellcheck disable=SC2086 # the words of a command line
  "$@" "$qksim" run $what --seed 0x5EED --artifacts none 2>err || true
}
chain() {
  run "$@" >out
  sed -n 's/.*chain \([0-9a-f]\{12\}\).*/\1/p' out | head -1
}

noises=(
  "env MALLOC_PERTURB_=165"
  "env MALLOC_MMAP_THRESHOLD_=4096 MALLOC_TOP_PAD_=1 MALLOC_ARENA_MAX=1"
  "env MALLOC_MMAP_THRESHOLD_=64"
  "env TZ=Pacific/Chatham LC_ALL=tr_TR.UTF-8 HOME=/nowhere TMPDIR=$work NOISE=$(printf 'x%.0s' {1..5000})"
  "taskset -c 0"
)
if setarch -R true 2>/dev/null; then
  noises+=("setarch -R")
else
  echo "noise_test: without setarch -R, which this machine does not permit"
fi

# Sanitizers bring a pthread_create of their own, which a preloaded one does not get before.
if nm "$qksim" 2>/dev/null | grep -qE ' [TW] (__interceptor_)?pthread_create$'; then
  echo "noise_test: without no_threads, which does not reach this build"
  # And they bring an allocator, which knows none of the C library's settings.
  kept=()
  for noise in "${noises[@]}"; do
    [[ $noise == *MALLOC_* || $noise == taskset* ]] || kept+=("$noise")
  done
  # All at once: a run takes ten times as long, and another build tells them apart.
  noises=("${kept[*]}")
else
  status=0
  LD_PRELOAD=$no_threads "$canary" 2>err || status=$?
  if [ "$status" -ne 86 ]; then
    echo "noise_test: the canary's thread is not noticed: exit code $status, expected 86" >&2
    exit 1
  fi
  noises+=("env LD_PRELOAD=$no_threads")
fi

compared=0
for what in "${runs[@]}"; do
  quiet=$(chain "$what")
  if [ -z "$quiet" ]; then
    echo "$what: no chain in:" >&2
    cat out err >&2
    exit 1
  fi
  for noise in "${noises[@]}"; do
    # shellcheck disable=SC2086 # the words of a command
    noisy=$(chain "$what" $noise)
    if [ "$noisy" != "$quiet" ]; then
      echo "$what: chain $quiet, but ${noise:0:60} gives ${noisy:-none}" >&2
      cat err >&2
      exit 1
    fi
    compared=$((compared + 1))
  done
done
echo "noise_test: $compared chains of ${#runs[@]} runs equal"
