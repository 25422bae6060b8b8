#include "families/local/log_storage.h"

#include <algorithm>

#include "base/check.h"
#include "families/fs/file_util.h"
#include "families/local/log_loader.h"

namespace qk::families::local {

absl::Status SegmentLogStorage::create(FileSystem& fs, const std::string& directory,
                                       Durability durability) {
  return save_log_meta(fs, directory, {.first_index = 1, .truncate_after = {}}, durability);
}

absl::StatusOr<std::unique_ptr<SegmentLogStorage>> SegmentLogStorage::open(
    FileSystem& fs, const std::string& directory, const LogOptions& options, FailStop* fail_stop) {
  QK_ASSIGN_OR_RETURN(RecoveredLog recovered, recover_log(fs, directory, options.durability));
  std::unique_ptr<SegmentLogStorage> log(new SegmentLogStorage(fs, directory, options, fail_stop));
  log->first_index_ = recovered.meta.first_index;
  log->segments_ = std::move(recovered.segments);
  if (recovered.meta.truncate_after) {
    QK_RETURN_IF_ERROR(log->finish_truncation(recovered.meta));
  }
  return log;
}

// ---- Reading

SegmentLogStorage::Range SegmentLogStorage::range() const {
  if (stopped_at_) return *stopped_at_;
  const int64_t empty = first_index_ - 1;
  return {first_index_, segments_.empty() ? empty : std::max(segments_.back().last(), empty)};
}

absl::StatusOr<LogEntry> SegmentLogStorage::entry(int64_t index) {
  LogEntry found;
  QK_RETURN_IF_ERROR(scan(index, index, [&](const LogEntry& entry) {
    found = entry;
    return absl::OkStatus();
  }));
  return found;
}

absl::StatusOr<int64_t> SegmentLogStorage::term(int64_t index) {
  QK_RETURN_IF_ERROR(check_range(index, index));
  return segments_[segment_of(index)].term(index);
}

absl::Status SegmentLogStorage::scan(int64_t from, int64_t to, const Visitor& visit) {
  QK_RETURN_IF_ERROR(check_range(from, to));
  for (int64_t next = from; next <= to;) {
    const Segment& segment = segments_[segment_of(next)];
    const int64_t end = std::min(to, segment.last());
    QK_ASSIGN_OR_RETURN(File* const file, file_of(segment));
    FileWindow window(file, path_of(segment.name()), segment.size(),
                      from == to ? FileWindow::kLookUp : FileWindow::kWalk);
    QK_RETURN_IF_ERROR(scan_segment(segment, window, next, end, visit));
    next = end + 1;
  }
  return absl::OkStatus();
}

absl::Status SegmentLogStorage::check_range(int64_t from, int64_t to) const {
  if (stopped_at_) return fail_stop_.check();
  if (from >= first_index() && to <= last_index() && from <= to) return absl::OkStatus();
  return absl::OutOfRangeError(cat(directory_, ": index ", from, "..", to, ", expected inside ",
                                   first_index(), "..", last_index()));
}

size_t SegmentLogStorage::segment_of(int64_t index) const {
  const auto after =
      std::upper_bound(segments_.begin(), segments_.end(), index,
                       [](int64_t i, const Segment& segment) { return i < segment.first(); });
  QK_CHECK(after != segments_.begin());
  return static_cast<size_t>(after - segments_.begin()) - 1;
}

std::string SegmentLogStorage::path_of(const SegmentName& name) const {
  return join_path(directory_, name.to_string());
}

absl::StatusOr<File*> SegmentLogStorage::file_of(const Segment& segment) {
  if (file_ == nullptr || file_first_ != segment.first()) {
    QK_ASSIGN_OR_RETURN(file_, fs_.open(path_of(segment.name()), {.read_only = !segment.open()}));
    file_first_ = segment.first();
  }
  return file_.get();
}

// ---- Append
//
// Per segment that the batch touches: one write, one sync. A full segment is synced before it is
// renamed, so a closed name always stands for whole, durable entries; the rename and the next
// segment's name are made durable together, before anything is written to the latter. So a crash
// leaves one open segment with a torn tail, or beside the full one an empty one.
//
// As shipped, entries are written one by one, and after the batch the last segment alone is synced.

Outcome SegmentLogStorage::append(std::span<const LogEntry> entries) {
  if (absl::Status status = fail_stop_.check(); !status.ok()) return Outcome::failed_clean(status);
  if (absl::Status status = check_batch(entries, last_index() + 1); !status.ok()) {
    return Outcome::failed_clean(status);
  }
  const Range before = range();
  size_t done = 0;
  const auto fail = [&](const absl::Status& status) {
    return stop(before, status, static_cast<int64_t>(done));
  };
  while (done < entries.size()) {
    if (has_open_segment() && segments_.back().size() > options_.segment_size) {
      if (absl::Status status = close_segment(); !status.ok()) return fail(status);
    }
    if (!has_open_segment()) {
      if (absl::Status status = create_segment(last_index() + 1); !status.ok()) return fail(status);
    }
    // As much as fits: braft closes a segment once it has grown beyond the limit.
    uint64_t size = segments_.back().size();
    size_t count = 0;
    const size_t most = as_shipped() ? 1 : entries.size();
    while (done + count < entries.size() && count < most && size <= options_.segment_size) {
      size += kEntryHeaderSize + entries[done + count].payload.size();
      ++count;
    }
    absl::Status status = write_entries(entries.subspan(done, count));
    if (!status.ok()) return fail(status);
    done += count;
  }
  if (as_shipped() && done > 0) {
    const auto file = file_of(segments_.back());
    absl::Status status = file.ok() ? (*file)->sync(SyncKind::kFull) : file.status();
    if (!status.ok()) return stop(before, status);
  }
  return Outcome::success(static_cast<int64_t>(done));
}

absl::Status SegmentLogStorage::check_batch(std::span<const LogEntry> entries,
                                            int64_t next_index) const {
  int64_t expected = next_index;
  for (const LogEntry& entry : entries) {
    if (entry.index != expected || entry.term < 1) {
      return absl::InvalidArgumentError(cat("append: entry at index ", entry.index, ", term ",
                                            entry.term, "; expected index ", expected,
                                            ", term at least 1"));
    }
    if (entry.payload.size() > kMaxPayloadSize) {
      return absl::InvalidArgumentError(cat("append: payload of index ", entry.index, " has ",
                                            entry.payload.size(), " bytes, allowed are ",
                                            kMaxPayloadSize));
    }
    if (entry.type == EntryType::kConfiguration) {
      // What could not be opened again must not be written.
      const absl::Status decoded = decode_configuration(entry.payload).status();
      if (!decoded.ok()) {
        return absl::InvalidArgumentError(
            cat("append: index ", entry.index, ": ", to_std(decoded.message())));
      }
    }
    ++expected;
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<LogLoader>> SegmentLogStorage::bulk_load(int64_t first) {
  if (as_shipped() || first_index() != 1 || last_index() != 0) return LogStorage::bulk_load(first);
  return SegmentLogLoader::start(this, first);
}

absl::Status SegmentLogStorage::create_segment(int64_t first) {
  const SegmentName name = SegmentName::make_open(first);
  QK_ASSIGN_OR_RETURN(file_, fs_.open(path_of(name), {.create = true, .truncate = true}));
  file_first_ = first;
  QK_RETURN_IF_ERROR(sync_directory());
  segments_.emplace_back(name);
  return absl::OkStatus();
}

absl::Status SegmentLogStorage::close_segment() {
  Segment& segment = segments_.back();
  const std::string open_path = path_of(segment.name());
  segment.close();
  return fs_.rename(open_path, path_of(segment.name()));
}

absl::Status SegmentLogStorage::write_entries(std::span<const LogEntry> entries) {
  Segment& segment = segments_.back();
  std::string bytes;
  size_t size = 0;
  for (const LogEntry& entry : entries) size += kEntryHeaderSize + entry.payload.size();
  bytes.reserve(size);
  for (const LogEntry& entry : entries) encode_entry(entry, options_.checksum_type, &bytes);
  QK_ASSIGN_OR_RETURN(File* const file, file_of(segment));
  QK_RETURN_IF_ERROR(file->write_at(segment.size(), bytes));
  if (!as_shipped()) QK_RETURN_IF_ERROR(file->sync(SyncKind::kData));
  for (const LogEntry& entry : entries) {
    segment.add(entry.term, kEntryHeaderSize + entry.payload.size());
  }
  return absl::OkStatus();
}

// ---- Truncation and reset
//
// A change that is one step on disk is atomic by itself: log_meta is replaced by rename, one name
// is removed, one file is cut. A change of several files is first noted in log_meta, beside
// first_log_index, and then carried out by finish_truncation(), which recovery repeats if it finds
// the note. braft does not see the note; it reads such a directory as it reads one of its own
// interrupted truncations. As shipped, there is no note, and a crash in between is one of those.

Outcome SegmentLogStorage::truncate_prefix(int64_t first_kept) {
  if (absl::Status status = fail_stop_.check(); !status.ok()) return Outcome::failed_clean(status);
  if (first_kept <= first_index_) return Outcome::success();
  const Range before = range();
  return finish(before, move_first(first_kept, first_kept - 1));
}

Outcome SegmentLogStorage::truncate_suffix(int64_t last_kept) {
  if (absl::Status status = fail_stop_.check(); !status.ok()) return Outcome::failed_clean(status);
  if (last_kept >= last_index()) return Outcome::success();
  if (last_kept < first_index_ - 1) {
    return Outcome::failed_clean(absl::InvalidArgumentError(cat(
        "truncate_suffix: last kept index ", last_kept, ", expected at least ", first_index_ - 1)));
  }
  const Range before = range();
  const bool several = segments_.size() > 1 && segments_[segments_.size() - 2].last() > last_kept;
  if (several) {
    return finish(before, as_shipped() ? truncate_files(last_kept)
                                       : truncate_noted({first_index_, last_kept}));
  }
  if (last_kept < std::max(first_index_, segments_.back().first())) {
    return finish(before, remove_from(segments_.size() - 1));
  }
  return finish(before, cut_last(last_kept));
}

Outcome SegmentLogStorage::reset(int64_t next_index) {
  if (absl::Status status = fail_stop_.check(); !status.ok()) return Outcome::failed_clean(status);
  if (next_index < 1) {
    return Outcome::failed_clean(
        absl::InvalidArgumentError(cat("reset: next index ", next_index, ", expected at least 1")));
  }
  const Range before = range();
  if (next_index > last_index() || as_shipped()) {
    return finish(before, move_first(next_index, std::max(next_index - 1, last_index())));
  }
  return finish(before, truncate_noted({next_index, next_index - 1}));
}

Outcome SegmentLogStorage::finish(const Range& before, const absl::Status& status) {
  return status.ok() ? Outcome::success() : stop(before, status);
}

Outcome SegmentLogStorage::stop(const Range& before, const absl::Status& cause, int64_t count) {
  stopped_at_ = before;
  return fail_stop_.fail(cause, count);
}

absl::Status SegmentLogStorage::move_first(int64_t first, int64_t drop_to) {
  // First the record, then the files: until they are gone, recovery drops what lies below.
  QK_RETURN_IF_ERROR(save_meta({.first_index = first, .truncate_after = {}}));
  first_index_ = first;
  while (!segments_.empty() && segments_.front().last() <= drop_to) {
    QK_RETURN_IF_ERROR(fs_.unlink(path_of(segments_.front().name())));
    forget_file();
    segments_.pop_front();
  }
  return sync_directory();
}

absl::Status SegmentLogStorage::truncate_noted(const LogMeta& note) {
  QK_RETURN_IF_ERROR(save_meta(note));
  return finish_truncation(note);
}

absl::Status SegmentLogStorage::finish_truncation(const LogMeta& note) {
  first_index_ = note.first_index;
  // The names must be gone for good before the note is.
  QK_RETURN_IF_ERROR(truncate_files(*note.truncate_after));
  return save_meta({.first_index = first_index_, .truncate_after = {}});
}

absl::Status SegmentLogStorage::truncate_files(int64_t last_kept) {
  size_t kept = segments_.size();
  while (kept > 0 && (last_kept < first_index_ || segments_[kept - 1].first() > last_kept)) --kept;
  QK_RETURN_IF_ERROR(remove_from(kept));
  if (segments_.empty() || segments_.back().last() <= last_kept) return absl::OkStatus();
  return cut_last(last_kept);
}

absl::Status SegmentLogStorage::remove_from(size_t position) {
  forget_file();
  while (segments_.size() > position) {
    QK_RETURN_IF_ERROR(fs_.unlink(path_of(segments_.back().name())));
    segments_.pop_back();
  }
  return sync_directory();
}

absl::Status SegmentLogStorage::cut_last(int64_t last_kept) {
  Segment& segment = segments_.back();
  if (!segment.open()) {
    // A closed name promises its last index, so it must be gone for good before the cut.
    const std::string closed_path = path_of(segment.name());
    segment.reopen();
    forget_file();
    QK_RETURN_IF_ERROR(fs_.rename(closed_path, path_of(segment.name())));
    QK_RETURN_IF_ERROR(sync_directory());
  }
  QK_ASSIGN_OR_RETURN(File* const file, file_of(segment));
  FileWindow window(file, path_of(segment.name()), segment.size());
  QK_ASSIGN_OR_RETURN(const uint64_t size, find_offset(segment, window, last_kept + 1));
  QK_RETURN_IF_ERROR(file->truncate(size));
  if (!as_shipped()) QK_RETURN_IF_ERROR(file->sync(SyncKind::kData));
  segment.cut(last_kept, size);
  return absl::OkStatus();
}

}  // namespace qk::families::local
