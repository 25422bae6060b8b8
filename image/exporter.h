// Exporter: writes the bootstrap image of one family at one cut, step by step, while the node
// serves (migration.md 10). Memory is one frame, whatever the size of the state.
//
// The image is the state at the cut, whatever happens between the steps (CI-1, CI-2, ora.I6):
// entries up to the cut do not change, meta was copied at the cut, and the snapshot reader is held.
// Only losing entries not yet copied breaks the cut: a suffix truncation or reset below its last
// index, or a prefix truncation beyond what was copied. The next step then fails with Aborted, and
// the export has to start again with a new cut. So it does if the cut is between the publication of
// an installed snapshot and the drop of the log that it contradicts.
//
// The exporter makes nothing durable itself; its sink does.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "image/content.h"
#include "image/io.h"

namespace qk::image {

struct ExportCut {
  uint64_t seq = 0;
  int64_t first = 1;
  int64_t last = 0;
  int64_t last_term = 0;  // 0 if there are no entries
  families::HardState hard_state;
  std::shared_ptr<families::SnapshotReader> snapshot;  // null if there is none
  // Whether a state whose vote may be lost (families/contract/lost_vote.h) is exported all the
  // same; the image's header then says so. Otherwise the export is refused with FailedPrecondition.
  bool accept_lost_vote = false;

  // At a barrier: no mutation in flight on any lane.
  static absl::StatusOr<ExportCut> capture(families::Family& family, uint64_t seq);
};

class Exporter {
 public:
  // `family` and `sink` must outlive the exporter.
  Exporter(families::Family* family, ExportCut cut, Identity identity, std::string source_family,
           std::string source_format_version, Sink* sink, Hashing hashing = Hashing::kSha256);

  // Copies up to `max_entries` (>= 1) entries or file chunks; true when the image is complete and
  // the sink finished. After an error every further step returns it.
  absl::StatusOr<bool> step(int64_t max_entries);
  // All steps.
  absl::Status run();

  // In parts per million; 1000000 only when finished.
  int64_t progress_ppm() const;
  // What was written; valid once a step returned true.
  const ImageTotals& totals() const { return totals_; }
  // Over the content section without its CRCs; not with kSha256. With kXxh3 the trailer is not
  // written, and totals() has the counts alone.
  Xxh3Stream::Value content_xxh3() const { return content_xxh3_.value(); }
  const ExportCut& cut() const { return cut_; }
  // What the header says; valid once a step returned.
  const ImageHeader& header() const { return header_; }
  // Bytes of content written so far.
  uint64_t content_bytes() const { return content_bytes_; }

 private:
  enum class Stage : uint8_t { kBegin, kEntries, kMeta, kSnapshot, kFiles, kTrailer, kDone };

  absl::StatusOr<bool> step_inner(int64_t max_entries);
  absl::Status begin();
  absl::Status copy_entries(int64_t* budget);
  absl::Status check_cut();
  absl::Status add_entry(const families::LogEntry& entry);
  absl::Status flush_entries();
  absl::Status emit_large_entry(const families::LogEntry& entry);
  absl::Status begin_snapshot();
  absl::Status copy_files(int64_t* budget);
  absl::Status finish();
  absl::Status emit(FrameType type, std::string_view payload);
  absl::Status emit_frame(std::string_view frame);

  families::Family* family_;
  ExportCut cut_;
  ImageHeader header_;
  Sink* sink_;
  const Hashing hashing_;

  Stage stage_ = Stage::kBegin;
  absl::Status failed_;
  ContentChecker checker_;
  TrailerHasher trailer_hash_;
  Xxh3Stream content_xxh3_;
  uint64_t content_bytes_ = 0;
  ImageTotals totals_;
  int64_t units_done_ = 0;
  int64_t units_total_ = 0;

  int64_t next_index_ = 1;
  std::string entries_;  // the entry frame being filled; empty before its first entry

  std::vector<FileHead> files_;  // in byte order of name
  size_t next_file_ = 0;
  std::unique_ptr<families::File> file_;  // the one being copied
  uint64_t file_size_ = 0;
  uint64_t file_offset_ = 0;
  std::string scratch_;
  std::string frame_;
};

}  // namespace qk::image
