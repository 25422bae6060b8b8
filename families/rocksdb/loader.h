// Fills a database with sorted table files that are written aside, synced, and taken in by one edit
// of the MANIFEST: rows pass neither WAL nor memtable.
#pragma once

#include <rocksdb/db.h>

#include <functional>
#include <memory>
#include <string>

#include "families/engine/engine.h"
#include "families/rocksdb/env.h"

namespace qk::families {

// `loaded` ends finish(), after the files were taken in. All arguments must outlive the loader.
std::unique_ptr<KvLoader> make_rocks_loader(rocksdb::DB* db, const rocksdb::Options& options,
                                            RocksEnv* env, const std::string& path,
                                            std::function<absl::Status()> loaded);

}  // namespace qk::families
