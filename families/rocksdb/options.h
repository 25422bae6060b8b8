// The options under which RocksDB runs on one thread, deterministically, and opens fast.
#pragma once

#include <rocksdb/options.h>

#include "families/rocksdb/engine.h"
#include "families/rocksdb/env.h"

namespace qk::families {

rocksdb::Options make_rocksdb_options(const RocksOptions& options, RocksEnv* env);

}  // namespace qk::families
