// How qk_bench drives qk_bench_raw, the process in which the raw engines run. They have one of
// their own because a family replaces functions of its engine for its whole process
// (families/rocksdb/interpose.h), and because there the CPU time of an engine's threads is all that
// the process spends.
//
//   qk_bench_raw FAMILY DIRECTORY
//
// Standard input is a socket of packets. The process opens the raw engine below FAMILY and answers
// with the Cost of that; then with a Cost to each RawRequest, until the other end closes. Making
// entries is in no cost; what the engine's threads do until they are idle is. Errors end the
// process.
#pragma once

#include <optional>
#include <string_view>

#include "families/bench/cost.h"

namespace qk::families::bench {

enum class RawEngineKind { kFlatFile, kLeveldb, kRocksdb, kSqlite };

// Nullopt: the family has no raw engine.
std::optional<RawEngineKind> raw_engine_below(std::string_view family);

struct RawRequest {
  enum class Operation {
    kAppend,     // entries 1..index, synced in batches of `batch`
    kLoad,       // the same in the engine's fastest way, synced once
    kScan,       // reads 1..index in order
    kRead,       // reads the sample() of 1..index
    kDropBelow,  // index stays
    kDropAbove,  // index stays
  };
  Operation operation;
  int64_t index;
  int64_t batch;
  size_t payload;  // bytes of each entry
};

}  // namespace qk::families::bench
