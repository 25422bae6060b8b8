// RowStore: what an engine gives so that the storage contract can be built on it: rows that are
// verified when they are read, and atomic, durable changes of rows. The log (row_log.h), the hard
// state (row_meta.h) and the snapshot (snapshot.h) are the same code on every engine; row_family.h
// makes a family of the three.
//
// Rows: one for each entry of the log, by index, and one for each StateRow (record.h), which exist
// from the creation on. How they lie in the engine is the engine's.
//
// After a crash the rows are those after the last change that succeeded or, whole or not at all,
// after the one that was executing. Any error of a change ends the instance's writing (fail-stop,
// A-2); reads go on as far as they can. Damage is DataLoss, never a missing row or a wrong value.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "families/contract/fail_stop.h"
#include "families/contract/log_storage.h"
#include "families/contract/rules.h"
#include "families/engine/record.h"
#include "families/fs/file_system.h"

namespace qk::families {

struct StateChange {
  StateRow row = StateRow::kFirstIndex;
  std::string_view value;
};

// One mutation, as rows; log rows go before others come.
struct RowChange {
  LogRange removed = {};                 // rows of the log that go, all of them there
  std::span<const LogEntry> added = {};  // rows that come, above all that stay
  std::optional<StateChange> state = {};
};

// Fills a fresh store's log. Nothing counts before finish() returned OK: what an unfinished load
// leaves is undefined, and the whole store is to be thrown away.
class RowLoader {
 public:
  virtual ~RowLoader() = default;
  // The entries that follow; not an empty batch.
  virtual absl::Status add(std::span<const LogEntry> entries) = 0;
  // Rows and first index are durable on OK.
  virtual absl::Status finish() = 0;
};

class RowStore {
 public:
  // `path` names the store in messages. `fs` must outlive the store.
  RowStore(FileSystem* fs, std::string root, std::string path)
      : fs_(*fs), root_(std::move(root)), path_(std::move(path)) {}
  virtual ~RowStore() = default;
  RowStore(const RowStore&) = delete;
  RowStore& operator=(const RowStore&) = delete;

  FileSystem& fs() const { return fs_; }
  const std::string& root() const { return root_; }
  const std::string& path() const { return path_; }

  // ---- Reading. Indices are in the log's range, so a missing row is DataLoss.

  virtual absl::StatusOr<std::string> read_state(StateRow row) = 0;
  // The lowest and the highest log row, or nullopt if there are none.
  virtual absl::StatusOr<std::optional<LogRange>> find_rows() = 0;
  virtual absl::Status read_row(int64_t index, LogEntry* entry) = 0;
  // Without the payload where the engine can.
  virtual absl::StatusOr<int64_t> read_term(int64_t index) = 0;
  // Of all rows in `range`, in order; a visitor may read in its turn.
  virtual absl::Status scan_rows(const LogRange& range, const LogStorage::Visitor& visit) = 0;

  // ---- Changing

  // OK, or why this instance refuses mutations. To be asked before a mutation does anything.
  absl::Status writable() const;
  // Success with `count`, and durable; otherwise indeterminate, and the last change of the
  // instance. `what` names the mutation in messages. Only while writable().
  Outcome commit(std::string_view what, const RowChange& change, int64_t count = 0);
  // Ends the instance's mutations because of an error outside of commit(); indeterminate.
  Outcome fail_stop(const absl::Status& cause, std::string_view what);
  // A loader whose first entry has index `first_index`. Null: the engine has no faster way than
  // commits. Any error is the last of the instance. End the loader before the store.
  virtual absl::StatusOr<std::unique_ptr<RowLoader>> start_load(int64_t first_index);

  // ---- As those of Family. Nothing but the destructor follows close().

  virtual size_t pending_work() const { return 0; }
  virtual absl::Status run_one() { return absl::OkStatus(); }
  virtual absl::Status close() { return absl::OkStatus(); }

 protected:
  virtual absl::Status write(const RowChange& change) = 0;
  // The instance fails: nothing of it may reach the disk from now on.
  virtual void stop_writing() {}

  absl::Status missing_row(int64_t index) const;
  absl::Status missing_state(StateRow row) const;

 private:
  FileSystem& fs_;
  const std::string root_;
  const std::string path_;
  FailStop fail_stop_;
};

}  // namespace qk::families
