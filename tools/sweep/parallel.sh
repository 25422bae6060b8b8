#!/usr/bin/env bash
# A sweep in N shards under GNU parallel (Debian package parallel), on this machine or on those that
# its --sshloginfile names and that share the directory; then merged.
#   tools/sweep/parallel.sh QKSIM N DIR WORDS...     [PARALLEL='--jobs 8 --sshloginfile hosts']
#   tools/sweep/parallel.sh build/release/qksim 8 /shared/sweep swarm --swarm --seeds 20000
# DIR/1 .. DIR/N are the shards, DIR/whole is the sweep. Started again after an interruption, it goes on
# with the shards that are there. The exit code is that of the whole.
set -euo pipefail
if [ $# -lt 4 ]; then
  echo "usage: $0 QKSIM N DIR WORDS..., as in: $0 build/release/qksim 8 out swarm --seeds 1000" >&2
  exit 64
fi
qksim=$(readlink -f "$1") shards=$2 directory=$(readlink -m "$3")
shift 3
mkdir -p "$directory"
# One seed at a time in each shard: parallel decides how many shards run at once. A shard alone says
# little (codes 0 to 3 and 70 are its findings); anything else is an error.
# shellcheck disable=SC2086
parallel ${PARALLEL:-} --quote --halt soon,fail=1 --workdir "$PWD" \
  "$(dirname "$(readlink -f "$0")")/shard.sh" "$qksim" {} "$shards" "$directory" "$@" \
  ::: $(seq "$shards")
rm -rf "$directory/whole"
exec "$qksim" sweep merge $(seq -f "$directory/%g" "$shards") --out "$directory/whole"
