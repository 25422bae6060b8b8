#!/usr/bin/env bash
# One shard of a sweep, begun or gone on with; fails only if it could not be run.
#   tools/sweep/shard.sh QKSIM K N DIR WORDS...
set -u
qksim=$1 k=$2 n=$3 directory=$4
shift 4
if [ -e "$directory/$k/sweep.json" ]; then
  words=(--resume "$directory/$k")
else
  words=("$@" --shard "$k/$n" --out "$directory/$k")
fi
"$qksim" sweep "${words[@]}" --jobs "${SLURM_CPUS_PER_TASK:-1}" --progress plain >"$directory/$k.log" 2>&1
code=$?
case $code in
  0 | 1 | 2 | 3 | 70) exit 0 ;; # what it found; the merged sweep says so
  *) exit $code ;;
esac
