// SegmentLogStorage: a braft log directory as a LogStorage. Directories written by
// one are read by the other; for the same mutations both write the same bytes
// (braft-local-format.md 2).
//
// After a crash. An ok mutation is durable, and each mutation is atomic
// except append, of which any prefix of the batch may remain. The order of file operations that
// this rests on is in log_storage.cc beside each mutation; what recovery makes of the
// leftovers, in log_recovery.h.
//
// After a mutation that failed half-way the open instance keeps the range that it had before, and
// reads of entries fail until it is reopened.
//
// It does not lock the directory (braft has no lock file either), and it does not tell a torn end
// of the log from damage to the very last synced entry: the format has no commit mark.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "families/contract/fail_stop.h"
#include "families/contract/log_storage.h"
#include "families/contract/rules.h"
#include "families/local/log_recovery.h"
#include "families/local/private_notes.h"

namespace qk::families::local {

struct LogOptions {
  // The open segment is closed when it is longer than this.
  uint64_t segment_size = 8u << 20;
  ChecksumType checksum_type = ChecksumType::kCrc32c;
};

class SegmentLogStorage final : public LogStorage {
 public:
  // Makes an empty log in an existing directory that holds none.
  static absl::Status create(FileSystem& fs, const std::string& directory);
  // NotFound: no log there (no log_meta and no segment). `fs` and `fail_stop` must outlive it.
  static absl::StatusOr<std::unique_ptr<SegmentLogStorage>> open(FileSystem& fs,
                                                                 const std::string& directory,
                                                                 const LogOptions& options,
                                                                 FailStop* fail_stop);

  // Removes the batch note, unless a write failed: then a torn batch may be left.
  ~SegmentLogStorage() override;

  int64_t first_index() const override { return range().first; }
  int64_t last_index() const override { return range().last; }
  absl::StatusOr<LogEntry> entry(int64_t index) override;
  absl::StatusOr<int64_t> term(int64_t index) override;
  absl::Status scan(int64_t from, int64_t to, const Visitor& visit) override;

  Outcome append(std::span<const LogEntry> entries) override;
  Outcome truncate_prefix(int64_t first_kept) override;
  Outcome truncate_suffix(int64_t last_kept) override;
  Outcome reset(int64_t next_index) override;
  // As log_loader.h says.
  absl::StatusOr<std::unique_ptr<LogLoader>> bulk_load(int64_t first_index) override;

 private:
  friend class SegmentLogLoader;

  SegmentLogStorage(FileSystem& fs, std::string directory, LogOptions options, FailStop* fail_stop)
      : fs_(fs), directory_(std::move(directory)), options_(options), fail_stop_(*fail_stop) {}

  std::string path_of(const SegmentName& name) const;
  absl::Status sync_directory() { return fs_.sync_dir(directory_, SyncKind::kFull); }
  absl::Status save_meta(int64_t first_index) {
    return save_log_meta(fs_, directory_, first_index);
  }
  LogRange range() const;
  // Of entries: not after a mutation that failed.
  absl::Status check_readable() const;
  // Entries of the range.
  absl::Status read(int64_t from, int64_t to, const Visitor& visit);

  size_t segment_of(int64_t index) const;
  bool has_open_segment() const { return !segments_.empty() && segments_.back().open(); }
  // A handle to read a segment; writable for the open one. Valid until the next call.
  absl::StatusOr<File*> file_of(const Segment& segment);
  void forget_file() { file_.reset(); }

  absl::Status create_segment(int64_t first);
  absl::Status close_segment();
  // Writes entries to the open segment and syncs it.
  absl::Status write_entries(std::span<const LogEntry> entries);
  // Before a batch is written at `offset` that is torn, if at all, within [offset, end).
  absl::Status reserve(uint64_t offset, uint64_t end);
  // After it is durable.
  absl::Status note_acknowledged(uint64_t offset);
  // The open segment may go or get shorter: what the note says about it ends here.
  absl::Status end_reservation();
  // The log begins at `first`; segments that end at or below `drop_to` go.
  absl::Status move_first(int64_t first, int64_t drop_to);
  // Nothing above `last_kept` is left, and nothing at all if that is below `first`.
  absl::Status truncate(int64_t first, int64_t last_kept);
  // Ends a change of files: ok, or the instance is stopped as it was `before`.
  Outcome finish(const LogRange& before, const absl::Status& status);
  Outcome stop(const LogRange& before, const absl::Status& cause, int64_t count = 0);

  FileSystem& fs_;
  const std::string directory_;
  const LogOptions options_;
  FailStop& fail_stop_;

  int64_t first_index_ = 1;
  std::deque<Segment> segments_;  // contiguous; only the last may be open
  // Before a change that failed; the fields above may be half-way since.
  std::optional<LogRange> stopped_at_;
  // The segment that was used last.
  std::unique_ptr<File> file_;
  int64_t file_first_ = 0;
  // The batch note, once this instance has written one, and what it says if it says anything.
  std::unique_ptr<File> note_file_;
  std::optional<BatchNote> reservation_;
};

}  // namespace qk::families::local
