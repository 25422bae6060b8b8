#include "families/local/log_loader.h"

#include "families/contract/rules.h"
#include "families/fs/file_util.h"

namespace qk::families::local {
namespace {

// Of one write; small enough to stay in a processor's cache on its way.
constexpr size_t kPiece = 256 << 10;

}  // namespace

absl::StatusOr<std::unique_ptr<SegmentLogLoader>> SegmentLogLoader::start(SegmentLogStorage* log,
                                                                          int64_t first_index) {
  QK_RETURN_IF_ERROR(log->fail_stop_.check());
  QK_RETURN_IF_ERROR(check_bulk_load(log->directory_, log->range(), first_index));
  std::unique_ptr<SegmentLogLoader> loader(new SegmentLogLoader(log, first_index));
  QK_RETURN_IF_ERROR(loader->settle(log->fs_.unlink(join_path(log->directory_, kLogMetaName))));
  return loader;
}

SegmentLogLoader::~SegmentLogLoader() {
  if (!finished_) (void)log_.stop({}, absl::AbortedError("a bulk load was not finished"));
}

absl::Status SegmentLogLoader::append(std::span<const LogEntry> entries) {
  QK_RETURN_IF_ERROR(log_.fail_stop_.check());
  QK_RETURN_IF_ERROR(check_append(log_.directory_, next_index_, entries));
  return settle(append_all(entries));
}

absl::Status SegmentLogLoader::append_all(std::span<const LogEntry> entries) {
  for (const LogEntry& entry : entries) QK_RETURN_IF_ERROR(add(entry));
  return absl::OkStatus();
}

absl::Status SegmentLogLoader::add(const LogEntry& entry) {
  if (log_.has_open_segment() && log_.segments_.back().size() > log_.options_.segment_size) {
    QK_RETURN_IF_ERROR(end_segment());
    QK_RETURN_IF_ERROR(log_.close_segment());
  }
  if (!log_.has_open_segment()) QK_RETURN_IF_ERROR(open_segment());
  encode_entry(entry, log_.options_.checksum_type, &pending_);
  log_.segments_.back().add(entry.term, kEntryHeaderSize + entry.payload.size());
  ++next_index_;
  return pending_.size() < kPiece ? absl::OkStatus() : flush();
}

absl::Status SegmentLogLoader::open_segment() {
  // finish() makes all names durable.
  const SegmentName name = SegmentName::make_open(next_index_);
  QK_ASSIGN_OR_RETURN(log_.file_,
                      log_.fs_.open(log_.path_of(name), {.create = true, .truncate = true}));
  log_.file_first_ = next_index_;
  log_.segments_.emplace_back(name);
  return absl::OkStatus();
}

absl::Status SegmentLogLoader::flush() {
  const uint64_t offset = log_.segments_.back().size() - pending_.size();
  QK_RETURN_IF_ERROR(log_.file_->write_at(offset, pending_));
  pending_.clear();
  return absl::OkStatus();
}

absl::Status SegmentLogLoader::end_segment() {
  if (!pending_.empty()) QK_RETURN_IF_ERROR(flush());
  return log_.file_->sync(SyncKind::kData);
}

absl::Status SegmentLogLoader::finish() {
  QK_RETURN_IF_ERROR(log_.fail_stop_.check());
  QK_RETURN_IF_ERROR(settle(end()));
  finished_ = true;
  return absl::OkStatus();
}

absl::Status SegmentLogLoader::settle(const absl::Status& status) {
  // Nothing of a load counts before its end, so the log stays the fresh one.
  if (!status.ok()) (void)log_.stop({}, status);
  return status;
}

absl::Status SegmentLogLoader::end() {
  if (log_.has_open_segment()) QK_RETURN_IF_ERROR(end_segment());
  log_.first_index_ = first_index_;
  return log_.save_meta(first_index_);
}

}  // namespace qk::families::local
