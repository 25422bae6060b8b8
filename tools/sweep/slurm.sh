#!/usr/bin/env bash
# A sweep in N shards as a Slurm job array, and a job that merges them when all are done.
#   tools/sweep/slurm.sh QKSIM N DIR WORDS...     [SBATCH='--partition=big --cpus-per-task=4']
# DIR must be on a file system that all nodes share. Submitted again, it goes on with the shards that
# are there. The exit code of the merging job is that of the sweep.
set -euo pipefail
if [ $# -lt 4 ]; then
  echo "usage: $0 QKSIM N DIR WORDS..., as in: $0 build/release/qksim 8 /shared/out swarm" >&2
  exit 64
fi
qksim=$(readlink -f "$1") shards=$2 directory=$(readlink -m "$3")
here=$(dirname "$(readlink -f "$0")")
shift 3
mkdir -p "$directory"
# shellcheck disable=SC2086
array=$(sbatch --parsable ${SBATCH:-} --array="1-$shards" --job-name=qksim-sweep \
  --output="$directory/%a.slurm.log" "$here/slurm_task.sh" "$here/shard.sh" "$qksim" "$shards" \
  "$directory" "$@")
merge=$(sbatch --parsable ${SBATCH:-} --dependency="afterok:$array" --job-name=qksim-merge \
  --output="$directory/merge.log" --wrap "rm -rf '$directory/whole' && exec '$qksim' sweep merge \
  $(seq -s ' ' -f "'$directory/%g'" "$shards") --out '$directory/whole'")
echo "shards $array, merge $merge: $directory/whole/report.txt"
