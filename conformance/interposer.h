// Interposer: a family between the system and a real family, which counts, fails or falsifies what
// passes. It plays the mistakes that the contract's checks must detect: an importer that
// forgets a domain, a mirror that skips an operation, a disk that cannot be read.
//
// It implements the abstract interfaces and nothing else, so it works on every family. What it
// falsifies on the way in is what the real family holds; what it falsifies on the way out is only
// seen.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>

#include "families/contract/family.h"

namespace qk::sim::conformance {

struct Interposer {
  // Instances below roots that begin with this; others are opened as they are.
  std::string root;

  // ---- On the way in. Null: nothing.
  // Instead of the operation.
  std::function<std::optional<families::Outcome>(families::Operation)> instead;
  // What is said of an operation that was done.
  std::function<families::Outcome(families::Operation, families::Outcome)> after;
  // What is stored; the last entry of a loader's batch is dropped by `load_short`.
  std::function<void(families::LogEntry*)> store_entry;
  std::function<void(families::HardState*)> store_hard_state;
  std::function<void(families::SnapshotMeta*)> store_snapshot_meta;
  std::function<void(families::SnapshotFile*)> store_file;  // in the table
  bool drop_last_loaded = false;
  bool flip_file_bytes = false;  // the first byte of every file

  // ---- On the way out. Null: nothing.
  std::function<absl::Status(int64_t index)> read_entry;
  std::function<absl::Status()> open_snapshot;
  std::function<absl::Status(std::string_view path)> open_file;
  std::function<absl::Status(std::string_view path)> read_file;  // once it is open
  int64_t scans_end_at = 0;  // entries beyond do not come, if > 0

  // ---- What has passed.
  std::map<families::Operation, uint64_t> mutations;
  uint64_t loads = 0;  // of whole logs
  uint64_t entries_read = 0;
  uint64_t files_opened = 0;

  uint64_t all_mutations() const;
  void clear_counts();
};

// `registry` with the interposer around the family of this name. It must outlive the registry and
// all instances.
families::Registry interpose(const families::Registry& registry, std::string_view family,
                             Interposer* interposer);

}  // namespace qk::sim::conformance
