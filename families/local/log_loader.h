// SegmentLogLoader: fills a fresh log directory with whole segments, byte for byte the files that
// appending the same entries leaves. It writes large pieces and syncs each segment once; the record
// log_meta is taken away first and put back last, durable like everything before it. So a load that
// was not finished leaves segments without log_meta, which recovery refuses.
#pragma once

#include <memory>
#include <string>

#include "families/local/log_storage.h"

namespace qk::families::local {

class SegmentLogLoader final : public LogLoader {
 public:
  // `log` must be fresh, and outlives the loader.
  static absl::StatusOr<std::unique_ptr<SegmentLogLoader>> start(SegmentLogStorage* log,
                                                                 int64_t first_index);

  ~SegmentLogLoader() override;
  absl::Status append(std::span<const LogEntry> entries) override;
  absl::Status finish() override;

 private:
  explicit SegmentLogLoader(SegmentLogStorage* log, int64_t first_index)
      : log_(*log), first_index_(first_index), next_index_(first_index) {}

  absl::Status append_all(std::span<const LogEntry> entries);
  absl::Status add(const LogEntry& entry);
  absl::Status open_segment();
  // Writes what was encoded and syncs the segment.
  absl::Status end_segment();
  absl::Status flush();
  absl::Status end();
  // Ends the instance's writing if `status` is an error.
  absl::Status settle(const absl::Status& status);

  SegmentLogStorage& log_;
  const int64_t first_index_;
  int64_t next_index_;
  bool finished_ = false;
  std::string pending_;  // of the segment being written, not in its file yet
};

}  // namespace qk::families::local
