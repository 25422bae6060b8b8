#!/usr/bin/env bash
# The default scenario passes for seeds 1..N; N is QKSIM_TEST_SEEDS, by default 300.
#   seeds_test.sh QKSIM
set -u
qksim=$(readlink -f "$1")
count=${QKSIM_TEST_SEEDS:-300}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1

failed=0
for ((seed = 1; seed <= count; ++seed)); do
  if ! "$qksim" run rolling-local-to-sqlite --seed "$seed" --artifacts none >out 2>err; then
    cat out err
    failed=$((failed + 1))
  fi
done
echo "seeds_test: $((count - failed)) of $count seeds passed"
[ "$failed" = 0 ] && [ "$count" -ge 1 ]
