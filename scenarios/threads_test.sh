#!/usr/bin/env bash
# No object of the product refers to a function that starts a thread, or that has the C library start
# one. The objects are those of the libraries qk_* and of qksim itself; among them are the functions
# that replace RocksDB's. RocksDB's own library may refer to threads: noise_test.sh sees that none is
# started.
#   threads_test.sh BUILD_DIR CANARY_OBJECT...
set -euo pipefail
build=$1
shift
starts='pthread_create|thrd_create|_ZNSt6thread15_M_start_thread.*|clone|clone3|__clone|timer_create'
starts+='|aio_(read|write|fsync)(64)?|lio_listio(64)?|mq_notify|getaddrinfo_a|syscall'

# "OBJECT SYMBOL" for each reference in the objects that stdin names.
references() {
  xargs -d '\n' nm -A -u -P 2>/dev/null | sed -E 's/: / /; s/ U *$//; s/@.*$//' |
    grep -E " ($starts)( |\$)" || true
}

found=$(printf '%s\n' "$@" | references)
if [ -z "$found" ]; then
  echo "threads_test: finds no thread in the canary, which starts one: $*" >&2
  exit 1
fi

mapfile -t objects < <(find "$build" -path '*/qk_*.dir/*.o' -o -path '*/qksim.dir/*.o' |
  grep -v '/qk_test_main.dir/' | sort)
# Each library of ours must be among them, however its sources are grouped into objects.
mapfile -t libraries < <(find "$build" -name 'libqk_*.a' | sed 's/.*\/lib\(.*\)\.a$/\1/' | sort)
if [ "${#libraries[@]}" -lt 20 ]; then
  echo "threads_test: found ${#libraries[@]} libraries below $build, expected all of the product's" >&2
  exit 1
fi
for library in "${libraries[@]}"; do
  if [[ "${objects[*]}" != *"/$library.dir/"* ]]; then
    echo "threads_test: found no object of $library below $build" >&2
    exit 1
  fi
done
found=$(printf '%s\n' "${objects[@]}" | references)
if [ -n "$found" ]; then
  echo "threads_test: the product is to have one thread, but" >&2
  echo "$found" >&2
  exit 1
fi
echo "threads_test: no reference to a thread in ${#objects[@]} objects"
