#include "image/exporter.h"

#include <algorithm>

#include "families/base/check.h"
#include "families/contract/lost_vote.h"
#include "families/fs/file_util.h"
#include "image/walk.h"

namespace qk::image {

absl::StatusOr<ExportCut> ExportCut::capture(families::Family& family, uint64_t seq) {
  ExportCut cut;
  cut.seq = seq;
  cut.first = family.log().first_index();
  cut.last = family.log().last_index();
  QK_RETURN_IF_ERROR(check_log_range(cut.first, cut.last));
  if (cut.last >= cut.first) {
    QK_ASSIGN_OR_RETURN(cut.last_term, family.log().term(cut.last));
  }
  cut.hard_state = family.meta().hard_state();
  QK_ASSIGN_OR_RETURN(cut.snapshot, open_snapshot(family));
  return cut;
}

Exporter::Exporter(families::Family* family, ExportCut cut, Identity identity,
                   std::string source_family, std::string source_format_version, Sink* sink,
                   Hashing hashing)
    : family_(family),
      cut_(std::move(cut)),
      sink_(sink),
      hashing_(hashing),
      checker_(hashing != Hashing::kXxh3),
      next_index_(cut_.first) {
  header_.source_family = std::move(source_family);
  header_.source_format_version = std::move(source_format_version);
  header_.identity = std::move(identity);
  header_.cut_seq = cut_.seq;
  header_.first_index = cut_.first;
  header_.last_index = cut_.last;
}

absl::StatusOr<bool> Exporter::step(int64_t max_entries) {
  QK_CHECK(max_entries >= 1);
  QK_RETURN_IF_ERROR(failed_);
  auto finished = step_inner(max_entries);
  failed_ = finished.status();
  return finished;
}

absl::Status Exporter::run() {
  constexpr int64_t kStep = 1 << 20;
  while (true) {
    QK_ASSIGN_OR_RETURN(const bool finished, step(kStep));
    if (finished) return absl::OkStatus();
  }
}

absl::StatusOr<bool> Exporter::step_inner(int64_t budget) {
  if (stage_ == Stage::kBegin) QK_RETURN_IF_ERROR(begin());
  if (stage_ == Stage::kEntries) QK_RETURN_IF_ERROR(copy_entries(&budget));
  if (stage_ == Stage::kMeta) {
    QK_RETURN_IF_ERROR(checker_.hard_state(cut_.hard_state));
    scratch_.clear();
    encode_hard_state(&scratch_, cut_.hard_state);
    QK_RETURN_IF_ERROR(emit(FrameType::kMeta, scratch_));
    stage_ = Stage::kSnapshot;
  }
  if (stage_ == Stage::kSnapshot) QK_RETURN_IF_ERROR(begin_snapshot());
  if (stage_ == Stage::kFiles) QK_RETURN_IF_ERROR(copy_files(&budget));
  if (stage_ == Stage::kTrailer) QK_RETURN_IF_ERROR(finish());
  return stage_ == Stage::kDone;
}

absl::Status Exporter::begin() {
  const Identity& identity = header_.identity;
  const absl::Status legal =
      families::check_identity_text(identity.group_id, identity.peer_id, identity.lineage);
  if (!legal.ok()) return annotate(legal, "export (CI-X1)");
  const absl::Status vote = families::check_vote_not_lost(
      cut_.hard_state, cut_.last_term,
      cut_.snapshot ? std::optional(cut_.snapshot->meta()) : std::nullopt);
  if (!vote.ok()) {
    if (!cut_.accept_lost_vote) return annotate(vote, "export");
    header_.features.lost_vote = true;
  }
  QK_RETURN_IF_ERROR(check_no_gap(
      cut_.first, cut_.snapshot ? std::optional(cut_.snapshot->meta()) : std::nullopt));
  units_total_ = cut_.last - cut_.first + 1;
  if (cut_.snapshot != nullptr) {
    QK_ASSIGN_OR_RETURN(files_, sorted_files(cut_.snapshot.get()));
    for (const FileHead& head : files_) {
      QK_ASSIGN_OR_RETURN(const std::string place, families::snapshot_file_place(head.file.path));
      if (place != head.file.path) header_.features.listed_names = true;
      if (head.unlisted) header_.features.unlisted_files = true;
      QK_ASSIGN_OR_RETURN(const OpenedFile opened, open_sorted(*cut_.snapshot, head));
      units_total_ += static_cast<int64_t>((opened.head.size + kChunkBytes - 1) / kChunkBytes);
    }
  }
  header_.format_minor = minor_version(header_.features);
  checker_.set_features(header_.features);
  frame_.clear();
  put_frame(&frame_, FrameType::kHeader, encode_header(header_));
  trailer_hash_ = TrailerHasher(header_.features.framed_hashes, frame_);
  QK_RETURN_IF_ERROR(sink_->append(cat(kMagic, frame_)));

  QK_RETURN_IF_ERROR(checker_.range(cut_.first, cut_.last));
  std::string range;
  put_le64(&range, static_cast<uint64_t>(cut_.first));
  put_le64(&range, static_cast<uint64_t>(cut_.last));
  QK_RETURN_IF_ERROR(emit(FrameType::kRange, range));
  stage_ = Stage::kEntries;
  return absl::OkStatus();
}

// Entries of equal index and term are equal, and so is everything before them (log matching). So if
// the cut's last entry still has its term, no entry up to it was replaced in the meantime.
absl::Status Exporter::check_cut() {
  families::LogStorage& log = family_->log();
  const auto broken = [&](const std::string& what) {
    return absl::AbortedError(cat("export at cut ", cut_.seq, " of entries ", cut_.first, "..",
                                  cut_.last, ": ", what, "; a new cut is needed"));
  };
  if (log.last_index() < cut_.last) {
    return broken(cat("the log was truncated to ", log.last_index()));
  }
  if (log.first_index() > next_index_) {
    return broken(cat("the log now starts at ", log.first_index(), ", but only entries below ",
                      next_index_, " were copied"));
  }
  QK_ASSIGN_OR_RETURN(const int64_t term, log.term(cut_.last));
  if (term != cut_.last_term) {
    return broken(
        cat("entry ", cut_.last, " was replaced: term ", term, ", expected ", cut_.last_term));
  }
  return absl::OkStatus();
}

absl::Status Exporter::copy_entries(int64_t* budget) {
  if (next_index_ <= cut_.last) {
    QK_RETURN_IF_ERROR(check_cut());
    const int64_t count = std::min(*budget, cut_.last - next_index_ + 1);
    QK_RETURN_IF_ERROR(
        scan_exactly(family_->log(), next_index_, next_index_ + count - 1,
                     [this](const families::LogEntry& entry) { return add_entry(entry); }));
    *budget -= count;
    units_done_ += count;
  }
  if (next_index_ > cut_.last) stage_ = Stage::kMeta;
  return absl::OkStatus();
}

absl::Status Exporter::add_entry(const families::LogEntry& entry) {
  // Before its bytes are copied.
  QK_RETURN_IF_ERROR(families::check_entry(entry, next_index_));
  const size_t size = kEntryOverhead + entry.payload.size();
  if (!entries_.empty() && entries_.size() - kFrameHeadBytes + size > kEntriesPayloadTarget) {
    QK_RETURN_IF_ERROR(flush_entries());
  }
  QK_RETURN_IF_ERROR(checker_.entry(entry));
  if (size > kEntriesPayloadTarget) return emit_large_entry(entry);
  if (entries_.empty()) begin_frame(&entries_, FrameType::kEntries);
  encode_entry(&entries_, entry);
  next_index_ = entry.index + 1;
  if (entry.index == cut_.last || entry.index == block_last(block_of(entry.index))) {
    return flush_entries();
  }
  return absl::OkStatus();
}

absl::Status Exporter::flush_entries() {
  checker_.entries_passed(std::string_view(entries_).substr(kFrameHeadBytes));
  end_frame(&entries_, 0);
  QK_RETURN_IF_ERROR(emit_frame(entries_));
  entries_.clear();
  return absl::OkStatus();
}

// It has a frame to itself, and goes out without a copy.
absl::Status Exporter::emit_large_entry(const families::LogEntry& entry) {
  std::string head;
  begin_frame(&head, FrameType::kEntries);
  encode_entry_head(&head, entry);
  const std::string_view payload = entry.payload;
  store_le32(head.data() + 1,
             static_cast<uint32_t>(head.size() - kFrameHeadBytes + payload.size()));
  std::string crc;
  put_le32(&crc, crc32c_extend(crc32c(head), payload));
  const std::string_view entry_head = std::string_view(head).substr(kFrameHeadBytes);
  checker_.entries_passed(entry_head, payload);
  // New images have framed hashes, which cover the payload by the state's digest.
  QK_CHECK(header_.features.framed_hashes);
  if (hashing_ != Hashing::kXxh3) {
    trailer_hash_.add_frame(std::string_view(head).substr(0, kFrameHeadBytes), {}, crc);
  }
  for (const std::string_view piece : {std::string_view(head), payload}) {
    if (hashing_ != Hashing::kSha256) content_xxh3_.update(piece);
  }
  for (const std::string_view piece : {std::string_view(head), payload, std::string_view(crc)}) {
    content_bytes_ += piece.size();
    QK_RETURN_IF_ERROR(sink_->append(piece));
  }
  next_index_ = entry.index + 1;
  return absl::OkStatus();
}

absl::Status Exporter::begin_snapshot() {
  const SnapshotHead head = head_of(cut_.snapshot.get(), files_);
  if (head.meta && checker_.terms().dropped_at_start(*head.meta)) {
    // The snapshot was installed, and the log that it replaces is still there. A live node is about
    // to drop it; a stopped one does when it starts.
    const absl::Status fits = checker_.terms().check_snapshot(*head.meta);
    if (!fits.ok()) {
      return absl::AbortedError(cat(
          "export at cut ", cut_.seq, ": ", to_std(fits.message()),
          ": an install of the snapshot was cut short; the node drops this log when it starts, so ",
          "start it once and stop it before another export"));
    }
  }
  QK_RETURN_IF_ERROR(checker_.snapshot(head));
  scratch_.clear();
  encode_snapshot_head(&scratch_, head);
  if (scratch_.size() > kMaxSnapshotHeadBytes) {
    return absl::InvalidArgumentError(
        cat("snapshot ", head.meta->last_included_index, ": lists of peers of ", scratch_.size(),
            " bytes, an image holds at most ", kMaxSnapshotHeadBytes));
  }
  QK_RETURN_IF_ERROR(emit(FrameType::kSnapshot, scratch_));
  stage_ = Stage::kFiles;
  return absl::OkStatus();
}

absl::Status Exporter::copy_files(int64_t* budget) {
  while (file_ != nullptr || next_file_ < files_.size()) {
    if (*budget <= 0) return absl::OkStatus();
    const std::string& path = files_[file_ != nullptr ? next_file_ - 1 : next_file_].file.path;
    if (file_ == nullptr) {
      QK_ASSIGN_OR_RETURN(OpenedFile opened, open_sorted(*cut_.snapshot, files_[next_file_]));
      ++next_file_;
      QK_RETURN_IF_ERROR(checker_.file(opened.head));
      scratch_.clear();
      encode_file_head(&scratch_, opened.head);
      QK_RETURN_IF_ERROR(emit(FrameType::kFile, scratch_));
      file_ = std::move(opened.file);
      file_size_ = opened.head.size;
      file_offset_ = 0;
    }
    if (file_offset_ < file_size_) {
      scratch_.resize(std::min<uint64_t>(kChunkBytes, file_size_ - file_offset_));
      QK_RETURN_IF_ERROR(families::read_exact(*file_, path, file_offset_, scratch_));
      QK_RETURN_IF_ERROR(checker_.chunk(scratch_));
      QK_RETURN_IF_ERROR(emit(FrameType::kChunk, scratch_));
      file_offset_ += scratch_.size();
      ++units_done_;
    }
    --*budget;
    if (file_offset_ == file_size_) file_.reset();
  }
  stage_ = Stage::kTrailer;
  return absl::OkStatus();
}

absl::Status Exporter::finish() {
  QK_RETURN_IF_ERROR(checker_.finish());
  totals_ = checker_.totals();
  totals_.content_bytes = content_bytes_;
  if (hashing_ != Hashing::kXxh3) {
    trailer_hash_.finish(&totals_);
    std::string frame;
    put_frame(&frame, FrameType::kTrailer, encode_trailer(totals_));
    QK_RETURN_IF_ERROR(sink_->append(frame));
  }
  QK_RETURN_IF_ERROR(sink_->finish());
  stage_ = Stage::kDone;
  return absl::OkStatus();
}

absl::Status Exporter::emit(FrameType type, std::string_view payload) {
  frame_.clear();
  put_frame(&frame_, type, payload);
  return emit_frame(frame_);
}

absl::Status Exporter::emit_frame(std::string_view frame) {
  if (hashing_ != Hashing::kXxh3) trailer_hash_.add_frame(frame);
  if (hashing_ != Hashing::kSha256) content_xxh3_.update(without_crc(frame));
  content_bytes_ += frame.size();
  return sink_->append(frame);
}

int64_t Exporter::progress_ppm() const {
  constexpr int64_t kWhole = 1000000;
  if (stage_ == Stage::kDone) return kWhole;
  // The trailer is one unit more, so that the whole is reached only at the end.
  return units_done_ * kWhole / (units_total_ + 1);
}

}  // namespace qk::image
