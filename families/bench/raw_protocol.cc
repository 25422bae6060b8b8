#include "families/bench/raw_protocol.h"

namespace qk::families::bench {

std::optional<RawEngineKind> raw_engine_below(std::string_view family) {
  if (family == "local") return RawEngineKind::kFlatFile;
  if (family == "leveldb") return RawEngineKind::kLeveldb;
  if (family == "rocksdb") return RawEngineKind::kRocksdb;
  if (family == "sqlite") return RawEngineKind::kSqlite;
  return std::nullopt;
}

}  // namespace qk::families::bench
