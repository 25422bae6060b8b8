#!/usr/bin/env bash
# The built program, as a user meets it: exit codes, streams and messages for bad input.
#   tools/qksim/qksim_test.sh PATH_OF_QKSIM PATH_OF_SOURCES
set -u
qksim=$1
sources=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
failures=0

# expect CODE STREAM TEXT -- WORDS...: the exit code, and TEXT somewhere in STREAM (out or err);
# an error prints nothing to stdout.
expect() {
  local code=$1 stream=$2 text=$3
  shift 4
  "$qksim" "$@" >out 2>err </dev/null
  local got=$?
  if [ "$got" != "$code" ]; then
    echo "FAILED: qksim $*: exit code $got, expected $code"
    cat out err
    failures=$((failures + 1))
  elif ! grep -qF -- "$text" "$stream"; then
    echo "FAILED: qksim $*: no \"$text\" in std$stream:"
    cat "$stream"
    failures=$((failures + 1))
  elif [ "$code" -ge 64 ] && [ -s out ]; then
    echo "FAILED: qksim $*: an error printed to stdout:"
    cat out
    failures=$((failures + 1))
  fi
}

# Usage: 64.
expect 64 err 'did you mean "run"? commands: ' -- rnu
expect 64 err 'did you mean "--seed"? options: ' -- run rolling-local-to-sqlite --sede 3
expect 64 err '"-1" is not a seed' -- run rolling-local-to-sqlite --seed -1
expect 64 err 'allowed: 0 to 18446744073709551615' -- run rolling-local-to-sqlite --seed -1
expect 64 err 'is too large for a seed' -- run rolling-local-to-sqlite --seed 18446744073709551616
expect 64 err 'there is no store[nwe]' -- run rolling-local-to-sqlite --set store[nwe].id=x
expect 64 err 'did you mean "sqlite"?' -- families show sqllite
expect 64 err 'no command' --
expect 64 err 'clients: 10001 clients' -- run rolling-pair --set workload.clients=10001

# A bug that the run itself plays has one form; the message has its place.
printf 'name: "hard"\nplanted: "check-fails:hard"\n' >hard.qks.txtpb
expect 64 err '"check-fails" has no hard form' -- run rolling-pair --planted check-fails:hard
expect 65 err 'hard.qks.txtpb:' -- scenarios validate hard.qks.txtpb

# Runs that end in a failed check of the program are compared as others are.
"$qksim" run rolling-pair --seed 1 --planted check-fails --artifacts always --out fails >/dev/null 2>&1
"$qksim" run rolling-pair --seed 1 --until 11s --artifacts always --out ends >/dev/null 2>&1
expect 1 out 'first difference: event #' -- diff fails ends
expect 1 out 'first difference: event #' -- diff ends fails

# What cannot be written is found out before the work: 73.
expect 73 err 'nowhere: No such file or directory' -- run rolling-pair --write-plan nowhere/plan
expect 73 err 'nowhere: No such file or directory' -- shrink rolling-pair -o nowhere/small

# A signal ends a verb that has nothing half made with the same code: 130.
for signal in HUP TERM; do
  (exec "$qksim" run rolling-local-to-sqlite --artifacts none >out 2>err) &
  run=$!
  # Not before it catches SIGTERM, bit 14; on a busy machine a process takes a while to begin. The shell
  # catches it too before it becomes qksim, so the name is asked first.
  until [ "$(cat "/proc/$run/comm" 2>/dev/null)" = qksim ] &&
    mask=$(sed -n 's/^SigCgt:[[:space:]]*//p' "/proc/$run/status" 2>/dev/null) &&
    [ -n "$mask" ] && [ $((0x$mask >> 14 & 1)) = 1 ] || ! kill -0 "$run" 2>/dev/null; do
    sleep 0.02
  done
  kill -"$signal" "$run" 2>/dev/null
  wait "$run"
  got=$?
  if [ "$got" != 130 ]; then
    echo "FAILED: SIG$signal during a run: exit code $got, expected 130"
    failures=$((failures + 1))
  fi
done

# Every family that real deployments name is built in.
for family in leveldb local memory rocksdb sqlite; do
  expect 0 out "family   $family" -- families show "$family"
done

expect 64 err 'did you mean "sqlite"?' -- conformance sqllite
expect 64 err 'is not a regular expression' -- conformance all --filter '('

# A bad scenario: 65, with its place.
cp "$sources/scenarios/testdata/unknown-field.bad.qks.txtpb" .
expect 65 err 'unknown-field.bad.qks.txtpb:4:24: error: sqlite store has no field "synchronus"' -- \
  run unknown-field.bad.qks.txtpb
expect 65 err 'did you mean "synchronous"?' -- scenarios validate unknown-field.bad.qks.txtpb
cp "$sources/scenarios/testdata/unknown-family.bad.qks.txtpb" .
expect 65 err 'did you mean "sqlite"?' -- run unknown-family.bad.qks.txtpb

# A directory that a node cannot begin with: 65 as well, before anything runs.
mkdir empty
cat >start.qks.txtpb <<'END'
name: "start"
cluster { node { id: "n1" store: "old" initial_dir: "empty" } }
store { id: "old" local {} }
END
expect 65 err 'start.qks.txtpb:2:53: error: directory "empty" is empty' -- run start.qks.txtpb
mkdir -p damaged/log damaged/raft_meta damaged/snapshot
echo 'not a log' >damaged/log/log_meta
sed -i 's/"empty"/"damaged"/' start.qks.txtpb
expect 65 err 'start.qks.txtpb:2:53: error: node "n1" cannot begin with "damaged": ' -- \
  run start.qks.txtpb
expect 65 err 'log_meta' -- scenarios validate start.qks.txtpb
cat >other.qks.txtpb <<'END'
name: "other"
cluster {
  node { id: "n1" store: "old" initial_dir: "braft:cluster-b-node0-all-killed" peer: "127.0.0.1:1" }
}
store { id: "old" local {} }
END
expect 65 err 'too few to ever elect a leader' -- run other.qks.txtpb

cat >fresh.qks.txtpb <<'END'
name: "fresh"
cluster {
  group: "counter"
  node { id: "n1" store: "old" initial_dir: "braft:cluster-b-node0-all-killed" peer: "127.0.0.1:8300" }
  node { id: "n2" store: "old" peer: "127.0.0.1:8301" }
  node { id: "n3" store: "old" peer: "127.0.0.1:8302" }
}
store { id: "old" local {} }
END
expect 65 err 'fresh.qks.txtpb:5:14: error: node "n2" cannot begin fresh: ' -- run fresh.qks.txtpb
expect 65 err 'a voter that begins fresh has forgotten its log and its vote' -- run fresh.qks.txtpb

# A missing one: 66.
expect 66 err 'did you mean "rolling-local-to-sqlite"?' -- run roling-local-to-sqlite
expect 66 err 'there is no file "nowhere/x.qks.txtpb"' -- run nowhere/x.qks.txtpb

expect 66 err 'missing.qki: error: ' -- image verify missing.qki
# An unset variable of a shell is not an option that was left out.
expect 64 err 'expected a value, found ""' -- image verify missing.qki --from "" --family ""
expect 64 err 'expected a value, found ""' -- \
  image verify missing.qki --log-uri "" --raft-meta-uri "" --snapshot-uri ""
expect 64 err 'expected a value, found ""' -- image import missing.qki --family sqlite -d d --group ""
expect 66 err 'missing.qki: error: ' -- image import missing.qki --family sqlite -d d
expect 66 err 'nowhere: error: ' -- \
  image export --from nowhere --family local --group g --peer 127.0.0.1:1 -o x.qki

# A bad image: 65; and 1 for who asked whether it is.
echo 'no image at all' >bad.qki
expect 65 err 'bad.qki: error: image damaged at offset 0' -- image import bad.qki --family sqlite -d d
expect 65 err 'bad.qki: error: image damaged at offset 0' -- image inspect bad.qki
expect 1 err 'bad.qki: error: image damaged at offset 0' -- image verify bad.qki
expect 64 err 'did you mean "sqlite"?' -- image import bad.qki --family sqllite -d d

# A place that is taken: 73, before anything runs.
mkdir taken && touch taken/file
expect 73 err 'is not empty' -- run rolling-local-to-sqlite --out taken

# What is right.
expect 0 out 'rolling-local-to-sqlite' -- scenarios list
expect 0 out 'rolling-local-to-sqlite.qks.txtpb: ok' -- scenarios validate "$sources/scenarios/rolling-local-to-sqlite.qks.txtpb"
expect 0 out 'sqlite' -- families list
expect 0 out 'raft_meta/raft_meta: the format cannot show a changed byte, nor that the file is gone' -- families show local
expect 0 out '73' -- help exit-codes
expect 0 out 'qksim 0.' -- version
expect 0 out '--check-determinism' -- run --help

# Nothing above leaves a trace in the working directory.
if [ -e .qksim ]; then
  echo "FAILED: bad input left a .qksim directory"
  failures=$((failures + 1))
fi
if [ -e d ] || [ -e x.qki ]; then
  echo "FAILED: a refused image left something"
  failures=$((failures + 1))
fi

# Our own bug: 70, and all that a failure leaves.
for planted in check-fails exception; do
  rm -rf .qksim
  "$qksim" run rolling-pair --seed 1 --planted "$planted" >out 2>err </dev/null
  got=$?
  ls .qksim/runs/latest/ >files 2>/dev/null
  if [ "$got" != 70 ] || ! grep -q '^ERROR rolling-pair  seed 0x1  planted' out ||
    ! grep -q "^  repro     qksim run rolling-pair --seed 0x1 --planted $planted " out ||
    [ "$(tr '\n' ' ' <files)" != 'chain.txt plan.txtpb report.txt scenario.txtpb timeline.dot timeline.svg trace.txt ' ] ||
    ! grep -q 'internal internal-error' .qksim/runs/latest/trace.txt; then
    echo "FAILED: --planted $planted: exit code $got, expected 70 and a whole run directory"
    cat out err files
    failures=$((failures + 1))
  fi
  # It ends there again, and is compared.
  expect 0 out 'EQUAL  rolling-pair  seed 0x1  planted ' -- replay latest
done
rm -rf .qksim
expect 1 out 'ora.C1' -- run rolling-pair --seed 1 --planted garbled-answers --artifacts none

# selftest: a bug that is found, one that so few seeds do not find, and the list.
expect 0 out 'PASS  selftest  1 hunts of 1 planted bugs' -- selftest --bug vote-not-synced --form easy
expect 1 out 'SURVIVED  fence-not-synced:hard' -- \
  selftest --bug fence-not-synced --form hard --seeds 1
expect 0 out 'canary    found for the 2 seeds of 22' -- selftest --canary-only
expect 0 out 'import-marker-first           KB-51' -- selftest --list
expect 64 err 'selftest --list names the bugs' -- selftest --bug nothing

# An expected violation is a success.
expect 0 out 'EXPECTED ora.L5  canary-as-shipped' -- run canary-as-shipped --seed 1
expect 64 err 'did you mean "ora.L5"?' -- run canary-as-shipped --set expect.violates=ora.l5

# A real directory, from here on.
case=cluster-b-node0-all-killed
tar -xzf "$sources/families/local/testdata/braft-golden.tar.gz" "golden/$case" || exit 1
mv "golden/$case" node && rm node/expected.json
export_node() { # OUTPUT
  "$qksim" image export --from node --family local --group g --peer 127.0.0.1:8300:0 -o "$1" >out 2>err
}

# A limit on the size of files is an error and not the end, and nothing is left.
(ulimit -f 8; export_node limited.qki)
got=$?
if [ "$got" != 73 ] || ! grep -q 'no image was written' err || ls limited.qki* >/dev/null 2>&1; then
  echo "FAILED: an export over the limit of file sizes: exit code $got, expected 73"
  cat out err
  ls limited.qki* 2>/dev/null
  failures=$((failures + 1))
fi

# A signal in the midst of an export: 130, and nothing is left.
head -c 150000000 /dev/zero >node/snapshot/snapshot_00000000000000008635/zeros
for signal in HUP TERM; do
  got=
  for try in 1 2 3 4 5 6 7 8 9; do
    rm -f signal.qki*
    export_node signal.qki &
    export=$!
    until ls signal.qki.*.tmp >/dev/null 2>&1 || ! kill -0 "$export" 2>/dev/null; do sleep 0.01; done
    kill -"$signal" "$(pgrep -P "$export" qksim)" 2>/dev/null
    wait "$export"
    got=$?
    [ "$got" = 0 ] || break  # it came too late
  done
  if [ "$got" != 130 ] || ls signal.qki* >/dev/null 2>&1; then
    echo "FAILED: SIG$signal during an export: exit code $got, expected 130 and nothing left"
    cat out err
    ls signal.qki* 2>/dev/null
    failures=$((failures + 1))
  fi
done
rm node/snapshot/snapshot_00000000000000008635/zeros

# A snapshot file a thousand directories deep: each call on it is one look-up. With one for each
# directory of its path, this takes the better part of a minute.
deep=node/snapshot/snapshot_00000000000000008635$(printf '/d%.0s' $(seq 1000))
mkdir -p "$deep" && echo deep >"$deep/file"
(ulimit -t 20; export_node deep.qki && "$qksim" image verify deep.qki --from node --family local >out 2>err)
got=$?
if [ "$got" != 0 ]; then
  echo "FAILED: a file a thousand directories deep: exit code $got"
  cat out err
  failures=$((failures + 1))
fi
rm -r node/snapshot/snapshot_00000000000000008635/d

# The contract: a check runs, leaves evidence, and what lacks evidence is said to lack it.
expect 2 out '0 of ' -- contract
expect 0 out '0 failed' -- conformance all --filter 'BASIC/append_one/'
expect 2 out 'BASIC/append_one' -- contract show SB-30
expect 2 out ' cases ran, none failed' -- contract show SB-30
expect 2 out 'SB-35' -- contract --missing

# The suite is a program beside qksim; where it was not built, that is said.
mkdir alone && cp "$qksim" alone/qksim
whole=$qksim qksim=$PWD/alone/qksim
expect 69 err './qk build qksim-conformance' -- conformance local
expect 69 err "alone/qksim-conformance: not built" -- contract
expect 0 out 'family   local' -- families show local
qksim=$whole

[ "$failures" = 0 ] && echo "qksim_test: all good"
exit "$failures"
