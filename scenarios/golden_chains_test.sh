#!/usr/bin/env bash
# The chains of the shipped scenarios are the same in every build: another compiler, another build
# type, sanitizers. golden_chains.txt holds one line per scenario and seed.
#   golden_chains_test.sh QKSIM            compares
#   golden_chains_test.sh QKSIM --update   writes the file again; then read the difference: a chain
#                                          changes whenever what a run does changes
set -euo pipefail
qksim=$(readlink -f "$1")
golden=$(dirname "$(readlink -f "$0")")/golden_chains.txt
seeds=(0x1 0x5EED)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

chains() {
  local name seed
  for name in $("$qksim" scenarios list | cut -d' ' -f1); do
    for seed in "${seeds[@]}"; do
      # The verdict is other tests' business, the chain is in every line; a crash prints none.
      { "$qksim" run "$name" --seed "$seed" --artifacts none 2>/dev/null || true; } >out
      local events chain
      events=$(sed -n 's/.*  \([0-9]*\) events  chain [0-9a-f]*$/\1/p' out)
      chain=$(sed -n 's/.*chain \([0-9a-f]\{12\}\).*/\1/p' out | head -1)
      if [ -z "$chain" ]; then
        echo "$name $seed: no chain in:" >&2
        cat out >&2
        return 1
      fi
      echo "$name $seed events ${events:--} chain $chain"
    done
  done
}

chains >got
readme=$(dirname "$golden")/../README.md
read -r sample_events sample_chain < <(
  sed -n 's/^rolling-local-to-sqlite 0x1 events \([0-9]*\) chain /\1 /p' "$golden")
if [ "${2:-}" = --update ]; then
  cp got "$golden"
  echo "wrote $golden"
elif ! diff -u "$golden" got; then
  echo "golden_chains_test: this build's chains differ (-: golden, +: this build)" >&2
  exit 1
elif ! grep -q "seed 0x1 .* $sample_events events  chain $sample_chain\$" "$readme"; then
  echo "golden_chains_test: README.md shows another run than rolling-local-to-sqlite of seed 0x1," \
    "which has $sample_events events and chain $sample_chain" >&2
  exit 1
else
  echo "golden_chains_test: $(wc -l <got) chains equal"
fi
