#!/usr/bin/env bash
# `qksim migrate` as an operator runs it, on directories that real braft wrote.
#   tools/qksim/migrate_test.sh PATH_OF_QKSIM PATH_OF_SOURCES KILLS [SEED]
#
#   chains   local -> sqlite -> rocksdb -> leveldb -> local: one digest from the first to the last
#   kills    KILLS migrations, killed at a random moment, some of them again and again, end with the
#            same digest, and with nothing beside source and destination
#   signals  end with 130; a disk that is full with 73; both go on
#   races    of two into one destination one wins, and the other one says so
# The source is the same, byte for byte, after each.
set -u
qksim=$1
sources=$2
kills=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
RANDOM=${4:-1}

failures=0
declare -A count
fail() {
  echo "FAILED: $*"
  sed 's/^/    /' log
  failures=$((failures + 1))
}
note() { count[$1]=$((${count[$1]:-0} + 1)); }
digest() { sed -n 's/^  state digest *//p' log; }
bytes_of() { (cd "$1" && find . -type f -exec sha256sum {} + | sort | sha256sum); }
peer=127.0.0.1:8300:0
migrate() { "$qksim" migrate "$@" --group g --peer "$peer" --progress none >log 2>&1; }
unpack() { # CASE DIRECTORY
  tar -xzf "$sources/families/local/testdata/braft-golden.tar.gz" "golden/$1" || exit 1
  mv "golden/$1" "$2" && rm -f "$2"/expected*.json "$2/script.txt"
}

unpack cluster-b-node0-all-killed a
whole=$(bytes_of a)
unchanged() { [ "$(bytes_of a)" = "$whole" ] || fail "$*: the source has changed"; }

# Microseconds that one takes, so that kills come at each of its moments.
started=${EPOCHREALTIME/./}
migrate local://a sqlite://b || fail "local to sqlite: exit code $?"
usual=$((${EPOCHREALTIME/./} - started))
rm -rf b

at=local://a
n=0
for family in sqlite rocksdb leveldb local; do
  n=$((n + 1))
  migrate "$at" "$family://chain$n" || fail "$at to $family: exit code $?"
  first=${first:-$(digest)}
  [ -n "$first" ] && [ "$(digest)" = "$first" ] || fail "$at to $family: found digest $(digest), expected $first"
  grep -q '^next  undo' log || fail "$at to $family: nothing about what is next"
  at=$family://chain$n
done
unchanged chain
rm -rf chain*

for ((i = 0; i < kills; ++i)); do
  set -- sqlite rocksdb leveldb local
  shift $((RANDOM % 4))
  fence=()
  cp -r a source
  [ $((RANDOM % 3)) = 0 ] && fence=(--fence-source)
  for ((life = 0; ; ++life)); do
    "$qksim" migrate local://source "$1://b" --group g --peer "$peer" --resume "${fence[@]}" \
      --progress none >log 2>&1 &
    pid=$!
    if [ "$life" -lt 3 ]; then
      sleep "$((usual * (RANDOM % 100) / 90000000)).$(printf %06d $((usual * (RANDOM % 100) / 90 % 1000000)))"
      kill -KILL $pid 2>/dev/null
    fi
    wait $pid 2>/dev/null
    code=$?
    [ $code = 137 ] || break
    note killed
    if [ -e b ]; then note "in place"; elif [ -e b.qkmigrate ]; then note staged; else note early; fi
  done
  [ $code = 0 ] || fail "kill $i: $1: exit code $code, expected 0"
  [ "$(digest)" = "$first" ] || fail "kill $i: $1: found digest $(digest), expected $first"
  left=source
  [ ${#fence[@]} = 0 ] || left=source.fenced-1
  [ "$(bytes_of $left)" = "$whole" ] || fail "kill $i: $1: the source has changed"
  [ ! -e b.qkmigrate ] || fail "kill $i: $1: the stage is left"
  rm -rf source* b
done

# A second process that goes on tells what the first one left.
(exec "$qksim" migrate local://a sqlite://b --group g --peer "$peer" >log 2>&1) &
pid=$!
until [ -e b.qkmigrate ] || ! kill -0 $pid 2>/dev/null; do :; done
kill -INT $pid 2>/dev/null
wait $pid
code=$?
case $code in
  130) note interrupted; grep -q 'nothing is left\|to go on: ' log || fail "an interrupt says nothing" ;;
  0) note finished ;;
  *) fail "a signal: exit code $code, expected 130 or 0" ;;
esac
migrate local://a sqlite://b --resume || fail "after a signal: exit code $?"
[ "$(digest)" = "$first" ] || fail "after a signal: found digest $(digest), expected $first"
unchanged signal
rm -rf b

# Files of more than 16 blocks of 1 KiB cannot be made: as on a disk that is full.
(ulimit -f 16; exec "$qksim" migrate local://a sqlite://b --group g --peer "$peer" >log 2>&1)
code=$?
[ $code = 73 ] || fail "a full disk: exit code $code, expected 73"
grep -q 'to go on: qksim migrate local://a' log || fail "a full disk: nothing about how to go on"
[ ! -e b ] || fail "a full disk: something is at the destination"
[ "$("$qksim" migrate --status sqlite://b | grep -c 'EXPORT\|stopped')" = 2 ] ||
  fail "a full disk: --status does not tell"
migrate local://a sqlite://b --resume || fail "after a full disk: exit code $?"
[ "$(digest)" = "$first" ] || fail "after a full disk: found digest $(digest), expected $first"
unchanged "a full disk"
rm -rf b

for i in 1 2 3; do
  "$qksim" migrate local://a leveldb://b --group g --peer "$peer" >one.log 2>&1 & one=$!
  "$qksim" migrate local://a leveldb://b --group g --peer "$peer" --resume >log 2>&1
  two=$?
  wait $one
  one=$?
  # The second one may come so late that the first one has finished: it then compares.
  case $one,$two in
    0,0) grep -q 'is there already' log || grep -q 'is there already' one.log || fail "race $i: both copied" ;;
    0,73 | 73,0) note refused ;;
    *) fail "race $i: exit codes $one and $two, expected 0 and 73" ;;
  esac
  migrate local://a leveldb://b --resume || fail "race $i: the destination is not whole"
  rm -rf b
done
unchanged races

for what in "${!count[@]}"; do echo "$what: ${count[$what]}"; done
[ "$failures" = 0 ] && echo "all as expected"
exit "$failures"
