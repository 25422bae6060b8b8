#!/usr/bin/env bash
# What a task of the array runs: sbatch copies this file, so it is told where the others are.
set -euo pipefail
shard=$1 qksim=$2 shards=$3 directory=$4
shift 4
exec "$shard" "$qksim" "$SLURM_ARRAY_TASK_ID" "$shards" "$directory" "$@"
