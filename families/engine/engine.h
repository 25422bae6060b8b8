// KvEngine: what an ordered key-value engine gives, so that families/engine can build the storage
// contract on it. RocksDB and LevelDB are such engines; all that is theirs alone (options,
// environment, recovery) stays out of this header.
//
// Keys are compared as unsigned bytes. One thread; nothing runs in the background but by run_one().
//
// Durability. commit() is atomic, and durable once it returned OK. Any other answer leaves the
// batch's fate unknown, and from then on the engine refuses to commit (fail-stop); reads go on as
// far as they can. After a crash the keys are those of every OK commit and, whole or not at all, of
// the one that was executing.
//
// Damage is DataLoss that names the file, never a missing key or a wrong value.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "families/contract/family.h"
#include "families/engine/log_mark.h"

namespace qk::families {

// Changes that become visible and durable together, in the order they were added.
class KvBatch {
 public:
  virtual ~KvBatch() = default;
  virtual void clear() = 0;
  // The value is `head` followed by `tail`: a row's header and its payload need no joining.
  virtual void put(std::string_view key, std::string_view head, std::string_view tail) = 0;
  virtual void remove(std::string_view key) = 0;
  // Every key in [begin, end) that the engine holds now. Errors are those of reading.
  virtual absl::Status remove_range(std::string_view begin, std::string_view end) = 0;
};

// Walks the keys in order, as they were when the cursor was made. End the cursor before the engine.
class KvCursor {
 public:
  virtual ~KvCursor() = default;
  // To the first key >= `key`.
  virtual void seek(std::string_view key) = 0;
  // To the last key <= `key`.
  virtual void seek_back(std::string_view key) = 0;
  virtual void next() = 0;
  // False at the end, or after an error. Some engines step over what they cannot read: a key that
  // is not met may be called missing only if status() is OK.
  virtual bool valid() const = 0;
  // Valid until the cursor moves.
  virtual std::string_view key() const = 0;
  virtual std::string_view value() const = 0;
  virtual absl::Status status() const = 0;
};

// Fills an engine with many rows at once, keys strictly ascending and above all that it holds.
// Nothing counts before finish() returned OK: what an unfinished load leaves is undefined, and the
// whole store is to be thrown away.
class KvLoader {
 public:
  virtual ~KvLoader() = default;
  virtual absl::Status put(std::string_view key, std::string_view head, std::string_view tail) = 0;
  virtual absl::Status finish() = 0;
};

class KvEngine {
 public:
  virtual ~KvEngine() = default;

  virtual std::unique_ptr<KvBatch> new_batch() = 0;
  virtual absl::Status commit(KvBatch& batch) = 0;
  // False: no such key.
  virtual absl::StatusOr<bool> get(std::string_view key, std::string* value) = 0;
  virtual std::unique_ptr<KvCursor> cursor() = 0;
  virtual absl::StatusOr<std::unique_ptr<KvLoader>> load() = 0;

  // As Family::pending_work() and run_one().
  virtual size_t pending_work() const { return 0; }
  virtual absl::Status run_one() { return absl::OkStatus(); }
};

// Opens the store in directory `path`. With `create` the directory exists and is durable, and the
// engine makes a new store in it; otherwise all that is in it was synced before the call, so
// what recovery reads is durable, and a directory without a store is DataLoss, never a new one.
// Files that are not the engine's own (FORMAT) stay. DataLoss: damaged, with the file's name.
// Closing an engine makes nothing durable and runs no job. A closed store may be renamed.
//
// `mark` outlives the engine; null with `create`. An engine names each of its write-ahead logs
// there (log_mark.h), and a named log that is still needed and is missing or empty is DataLoss.
using OpenKvEngine = std::function<absl::StatusOr<std::unique_ptr<KvEngine>>(
    FileSystem* fs, const std::string& path, bool create, LogMark* mark)>;

}  // namespace qk::families
