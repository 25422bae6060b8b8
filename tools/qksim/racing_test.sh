#!/usr/bin/env bash
# Pairs of real processes that write one destination at once, some of them stopped or killed on the
# way: who exits with 0 has left its own image there, whole, and nobody else says so.
#   tools/qksim/racing_test.sh PATH_OF_QKSIM PATH_OF_SOURCES PAIRS [SEED]
#
# Each pair is two imports into one directory, then two exports to one file. The two images are of
# two nodes, so a mix-up shows. After each pair the destination is exported, or verified, again:
#   a process said 0     the destination is its image, and the other one did not say 0
#   none said 0          what opens there, if anything, is one of the two images, whole
set -u
qksim=$1
sources=$2
pairs=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
RANDOM=${4:-1}

failures=0
declare -A count
fail() {
  echo "FAILED: pair $pair: $*"
  for log in one.log two.log; do sed "s/^/    $log: /" "$log"; done
  failures=$((failures + 1))
}
note() { count[$1]=$((${count[$1]:-0} + 1)); }

# The digest that a command printed.
digest() { sed -n 's/.*state digest *//p' "$1"; }
declare -A expected peer
for i in 0 1; do
  case=cluster-b-node$i-all-killed
  tar -xzf "$sources/families/local/testdata/braft-golden.tar.gz" "golden/$case" || exit 1
  mv "golden/$case" "source$i" && rm "source$i/expected.json"
  peer[$i]=127.0.0.1:830$i:0
  "$qksim" image export --from "source$i" --family local --group g --peer "${peer[$i]}" \
    -o "$i.qki" >export.log 2>&1 || { cat export.log; exit 1; }
  expected[$i]=$(digest export.log)
done
# Without a difference no comparison below means anything.
if [ -z "${expected[0]}" ] || [ "${expected[0]}" = "${expected[1]}" ]; then
  echo "FAILED: the two images must differ: ${expected[*]}"
  exit 1
fi

# Runs both, treats one or none of them badly, and waits: their exit codes go to code_one, code_two.
race() { # COMMAND_ONE... -- COMMAND_TWO...
  local one=() two=()
  while [ "$1" != -- ]; do one+=("$1"); shift; done
  shift
  two=("$@")
  "${one[@]}" >one.log 2>&1 & local pid_one=$!
  [ $((RANDOM % 3)) = 0 ] && sleep "0.0$((RANDOM % 10))"
  "${two[@]}" >two.log 2>&1 & local pid_two=$!
  local victim=$pid_one
  [ $((RANDOM % 2)) = 0 ] && victim=$pid_two
  local deed=$((RANDOM % 5))
  sleep "0.0$((RANDOM % 10))"
  case $deed in
    0) kill -KILL "$victim" 2>/dev/null && note killed ;;
    1) kill -TERM "$victim" 2>/dev/null && note terminated ;;
    2)
      kill -STOP "$victim" 2>/dev/null && note stopped
      sleep "0.0$((RANDOM % 10))"
      kill -CONT "$victim" 2>/dev/null
      ;;
  esac
  { wait "$pid_one"; code_one=$?; wait "$pid_two"; code_two=$?; } 2>/dev/null
  for code in "$code_one" "$code_two"; do
    case $code in
      0 | 73 | 130 | 137 | 143) ;;
      *) fail "exit codes $code_one and $code_two" ;;
    esac
  done
}

# Sets win to which of the two said that it succeeded, -1 if none did.
winner() {
  win=-1
  [ "$code_two" = 0 ] && win=1
  [ "$code_one" = 0 ] && win=0
  [ "$code_one" = 0 ] && [ "$code_two" = 0 ] && fail "both said that they succeeded"
}

families=(local sqlite rocksdb leveldb)
for ((pair = 1; pair <= pairs; ++pair)); do
  family=${families[pair % 4]}
  rm -rf root again.qki
  [ $((RANDOM % 2)) = 0 ] && mkdir root # prepared
  race "$qksim" image import 0.qki --family "$family" -d root -- \
    "$qksim" image import 1.qki --family "$family" -d root
  winner
  note "imports, image $win"
  if [ "$win" -ge 0 ]; then
    "$qksim" image export --from root --family "$family" --group g --peer "${peer[$win]}" \
      -o again.qki >again.log 2>&1 || fail "after PASS: $(cat again.log)"
    [ "$(digest again.log)" = "${expected[$win]}" ] ||
      fail "image $win was imported, but another state lies there: $(cat again.log)"
  else
    # A process that was killed after its last write has left a whole instance.
    for i in 0 1; do
      "$qksim" image export --from root --family "$family" --group g --peer "${peer[$i]}" \
        -o again.qki >again.log 2>&1
      if [ $? = 0 ] && [ "$(digest again.log)" != "${expected[$i]}" ]; then
        fail "no import succeeded, but the state that opens is neither image: $(cat again.log)"
      fi
      rm -f again.qki
    done
  fi

  rm -f out.qki out.qki.*.tmp
  race "$qksim" image export --from source0 --family local --group g --peer "${peer[0]}" \
    -o out.qki -- "$qksim" image export --from source1 --family local --group g \
    --peer "${peer[1]}" -o out.qki
  winner
  note "exports, image $win"
  if [ "$win" -ge 0 ] || [ -e out.qki ]; then
    "$qksim" image inspect out.qki >again.log 2>&1 || fail "a damaged image: $(cat again.log)"
    if [ "$win" -ge 0 ] && [ "$(digest again.log)" != "${expected[$win]}" ]; then
      fail "image $win was exported, but another one lies there: $(cat again.log)"
    fi
  fi
done

for what in "${!count[@]}"; do echo "  ${count[$what]} $what"; done | sort
# A race that one side always wins, or that is never disturbed, shows little; a few pairs may be so
# by chance.
[ "$pairs" -ge 50 ] && for what in "imports, image 0" "imports, image 1" "exports, image 0" "exports, image 1" killed; do
  if [ -z "${count[$what]:-}" ]; then
    echo "FAILED: never seen: $what"
    failures=$((failures + 1))
  fi
done
[ "$failures" = 0 ] && echo "racing_test: $pairs pairs of imports, $pairs pairs of exports, all good"
exit "$((failures > 0))"
