// LegacyLog: braft's SegmentLogStorage (braft-local-format.md 2), with the weaknesses of section 6: a
// batch over several segments syncs the last of them alone, the result of that sync is ignored, no name
// is made durable, a missing log_meta removes the log, payloads of data are not looked at when it opens.
//
// It keeps the offset and the term of each entry in memory, as braft does.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "families/contract/log_storage.h"
#include "sim/legacy/legacy_file.h"

namespace qk::sim::legacy {

struct LegacyLogOptions {
  uint64_t segment_size = 8u << 20;  // raft_max_segment_size
  bool murmur = false;               // of new entries; else CRC-32C
};

class LegacyLog final : public families::LogStorage {
 public:
  // SegmentLogStorage::init. An error is what makes it return -1.
  static absl::StatusOr<std::unique_ptr<LegacyLog>> open(families::FileSystem& fs,
                                                         const std::string& directory,
                                                         const LegacyLogOptions& options,
                                                         Errno* error);

  int64_t first_index() const override { return first_; }
  int64_t last_index() const override { return last_; }
  absl::StatusOr<families::LogEntry> entry(int64_t index) override;
  absl::StatusOr<int64_t> term(int64_t index) override;
  absl::Status scan(int64_t from, int64_t to, const Visitor& visit) override;

  families::Outcome append(std::span<const families::LogEntry> entries) override;
  families::Outcome truncate_prefix(int64_t first_kept) override;
  families::Outcome truncate_suffix(int64_t last_kept) override;
  families::Outcome reset(int64_t next_index) override;

 private:
  struct Entry {
    uint64_t offset = 0;
    int64_t term = 0;
  };
  struct Segment {
    int64_t first = 0;
    int64_t last = 0;   // by its name, if closed
    bool open = false;  // by its name
    uint64_t bytes = 0;
    std::vector<Entry> entries;

    std::string name() const;
    int64_t last_entry() const { return first + static_cast<int64_t>(entries.size()) - 1; }
  };

  LegacyLog(families::FileSystem& fs, std::string directory, const LegacyLogOptions& options)
      : fs_(fs), directory_(std::move(directory)), options_(options) {}

  std::string path_of(const Segment& segment) const;
  absl::Status save_meta(int64_t first_index);
  absl::Status init(Errno* error);
  absl::Status list_segments(bool empty);
  absl::Status check_closed_segments();
  absl::Status load_segments();
  // Reads the entries of a segment and cuts what follows the last whole one.
  absl::Status load(Segment* segment);

  // nullptr: a hole of the log, which braft opens with.
  const Segment* segment_of(int64_t index) const;
  absl::StatusOr<families::LogEntry> read(const Segment& segment, int64_t index);
  // The open segment, rolled if it is full.
  absl::Status prepare_open_segment();
  absl::Status append_entry(const families::LogEntry& entry);
  // rename(X, X.tmp), unlink(X.tmp)
  absl::Status remove(const Segment& segment);
  // The whole of a changed range: log_meta first, then the segments that `drops` names, front to back.
  absl::Status drop_front(int64_t first, int64_t below);
  absl::Status cut(Segment* segment, int64_t last_kept);

  families::FileSystem& fs_;
  const std::string directory_;
  const LegacyLogOptions options_;
  int64_t first_ = 1;
  int64_t last_ = 0;
  std::map<int64_t, Segment> closed_;  // by first index
  std::optional<Segment> open_;
  std::unique_ptr<families::File> file_;  // of the open segment
};

}  // namespace qk::sim::legacy
