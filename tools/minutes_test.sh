#!/usr/bin/env bash
# The table of minutes in CONTRIBUTING.md names each step and label that `.ci/run` measures and each
# step of a night, once and nothing else, and each column's last row is its sum. Whether the minutes
# are still true is what `.ci/run` prints at its end.
#   minutes_test.sh PAGE QK BUILD
set -euo pipefail
page=$1
qk=$2
cd "$3"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Rows "| STEP | CI | NIGHT |" of the table that begins with "| step |".
awk -F ' *[|] *' '/^\| step / { inside = 1; next } !/^\|/ { inside = 0 } inside && !/^\|-/ {
  print $2 "\t" $3 "\t" $4 }' "$page" >"$work/rows"

{
  sed -n 's/^ *timed "\([a-z ]*\)" .*/\1/p' "$qk"
  ctest --print-labels | sed -n 's/^  \([a-z0-9]*\)$/of label \1/p' |
    sed 's/^/release tests /; p; s/^release/check/'
  sed -n 's/^nightly_steps=(\(.*\))/\1/p' "$qk" | tr ' ' '\n' | sed 's/^/nightly: /'
  echo "nightly: fuzz build"
  echo all
} | sort >"$work/expected"
cut -f 1 "$work/rows" | sort >"$work/found"
diff "$work/expected" "$work/found" >"$work/diff" || {
  echo "$page: the rows of the table of minutes (>) are not the steps and labels (<):" >&2
  cat "$work/diff" >&2
  exit 1
}

# Labels are parts of their step, and do not count again.
awk -F '\t' '
  function tenths(text) { return text == "" ? 0 : int(text * 10 + 0.5) }
  $1 == "all" { ci_all = tenths($2); night_all = tenths($3); next }
  $1 ~ / of label / { next }
  { ci += tenths($2); night += tenths($3) }
  END {
    if (ci != ci_all || night != night_all || ci == 0 || night == 0) {
      printf "the minutes add up to %.1f and %.1f, its last row says %.1f and %.1f\n",
        ci / 10, night / 10, ci_all / 10, night_all / 10 > "/dev/stderr"
      exit 1
    }
  }' "$work/rows"
echo "$(wc -l <"$work/rows") rows"
