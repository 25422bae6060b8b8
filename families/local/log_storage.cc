#include "families/local/log_storage.h"

#include <algorithm>

#include "families/base/check.h"
#include "families/contract/rules.h"
#include "families/fs/file_util.h"
#include "families/local/log_damage.h"
#include "families/local/log_loader.h"

namespace qk::families::local {
namespace {

// How far a batch note reaches at least: each of these costs one sync.
constexpr uint64_t kReservation = 1 << 20;

}  // namespace

absl::Status SegmentLogStorage::create(FileSystem& fs, const std::string& directory) {
  return save_log_meta(fs, directory, 1);
}

absl::StatusOr<std::unique_ptr<SegmentLogStorage>> SegmentLogStorage::open(
    FileSystem& fs, const std::string& directory, const LogOptions& options, FailStop* fail_stop) {
  QK_ASSIGN_OR_RETURN(RecoveredLog recovered, recover_log(fs, directory));
  std::unique_ptr<SegmentLogStorage> log(new SegmentLogStorage(fs, directory, options, fail_stop));
  log->first_index_ = recovered.first_index;
  log->segments_ = std::move(recovered.segments);
  return log;
}

SegmentLogStorage::~SegmentLogStorage() {
  if (note_file_ == nullptr || !fail_stop_.check().ok()) return;
  // What was acknowledged is synced, so nothing needs the note; one that stays says so too.
  fs_.unlink(join_path(directory_, kBatchNoteName)).IgnoreError();
}

// ---- Reading

LogRange SegmentLogStorage::range() const {
  if (stopped_at_) return *stopped_at_;
  const int64_t empty = first_index_ - 1;
  return {first_index_, segments_.empty() ? empty : std::max(segments_.back().last(), empty)};
}

absl::StatusOr<LogEntry> SegmentLogStorage::entry(int64_t index) {
  QK_RETURN_IF_ERROR(check_readable());
  QK_RETURN_IF_ERROR(check_index(directory_, range(), index));
  LogEntry found;
  QK_RETURN_IF_ERROR(read(index, index, [&](const LogEntry& entry) {
    found = entry;
    return absl::OkStatus();
  }));
  return found;
}

absl::StatusOr<int64_t> SegmentLogStorage::term(int64_t index) {
  QK_RETURN_IF_ERROR(check_readable());
  QK_RETURN_IF_ERROR(check_index(directory_, range(), index));
  return segments_[segment_of(index)].term(index);
}

absl::Status SegmentLogStorage::scan(int64_t from, int64_t to, const Visitor& visit) {
  QK_RETURN_IF_ERROR(check_readable());
  QK_RETURN_IF_ERROR(check_scan(directory_, range(), from, to));
  return read(from, to, visit);
}

absl::Status SegmentLogStorage::read(int64_t from, int64_t to, const Visitor& visit) {
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

absl::Status SegmentLogStorage::check_readable() const {
  return stopped_at_ ? fail_stop_.check() : absl::OkStatus();
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
// renamed, so a closed name always means whole, durable entries; the rename and the next
// segment's name are made durable together, before anything is written to the latter. So a crash
// leaves one open segment with a torn tail, or beside the full one an empty one.

Outcome SegmentLogStorage::append(std::span<const LogEntry> entries) {
  QK_REFUSE_IF_ERROR(fail_stop_.check());
  QK_REFUSE_IF_ERROR(check_append(directory_, last_index() + 1, entries));
  const LogRange before = range();
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
    while (done + count < entries.size() && size <= options_.segment_size) {
      size += kEntryHeaderSize + entries[done + count].payload.size();
      ++count;
    }
    absl::Status status = write_entries(entries.subspan(done, count));
    if (!status.ok()) return fail(status);
    done += count;
  }
  return Outcome::success(static_cast<int64_t>(done));
}

absl::StatusOr<std::unique_ptr<LogLoader>> SegmentLogStorage::bulk_load(int64_t first) {
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

namespace {

// Whether a crash may leave an intact entry of this batch after a torn one. Not if one sector
// holds all of it, which is written as a whole or not at all; and not if there is one entry only,
// without another one in its payload.
bool may_tear_before_entry(uint64_t offset, std::string_view bytes,
                           std::span<const LogEntry> entries) {
  if (offset / kSector == (offset + bytes.size() - 1) / kSector) return false;
  return entries.size() > 1 || holds_header(bytes.substr(kEntryHeaderSize));
}

}  // namespace

absl::Status SegmentLogStorage::reserve(uint64_t offset, uint64_t end) {
  const int64_t segment = segments_.back().first();
  if (reservation_ && reservation_->segment == segment && end <= reservation_->end) {
    return absl::OkStatus();
  }
  reservation_ = BatchNote{segment, offset, std::max(end, offset + kReservation)};
  const bool fresh = note_file_ == nullptr;
  if (fresh) {
    QK_ASSIGN_OR_RETURN(note_file_, fs_.open(join_path(directory_, kBatchNoteName),
                                             {.create = true, .truncate = true}));
  }
  QK_RETURN_IF_ERROR(note_file_->write_at(0, encode_batch_note(*reservation_)));
  QK_RETURN_IF_ERROR(note_file_->sync(SyncKind::kData));
  return fresh ? sync_directory() : absl::OkStatus();
}

absl::Status SegmentLogStorage::note_acknowledged(uint64_t offset) {
  if (!reservation_ || reservation_->segment != segments_.back().first()) return absl::OkStatus();
  reservation_->acknowledged = offset;
  return note_file_->write_at(0, encode_batch_note(*reservation_));
}

absl::Status SegmentLogStorage::end_reservation() {
  if (!reservation_) return absl::OkStatus();
  reservation_.reset();
  return note_file_->write_at(0, std::string(kSector, '\0'));
}

absl::Status SegmentLogStorage::write_entries(std::span<const LogEntry> entries) {
  Segment& segment = segments_.back();
  std::string bytes;
  size_t size = 0;
  for (const LogEntry& entry : entries) size += kEntryHeaderSize + entry.payload.size();
  bytes.reserve(size);
  for (const LogEntry& entry : entries) encode_entry(entry, options_.checksum_type, &bytes);
  const uint64_t offset = segment.size();
  if (may_tear_before_entry(offset, bytes, entries)) {
    QK_RETURN_IF_ERROR(reserve(offset, offset + bytes.size()));
  }
  QK_ASSIGN_OR_RETURN(File* const file, file_of(segment));
  QK_RETURN_IF_ERROR(file->write_at(offset, bytes));
  QK_RETURN_IF_ERROR(file->sync(SyncKind::kData));
  QK_RETURN_IF_ERROR(note_acknowledged(offset + bytes.size()));
  for (const LogEntry& entry : entries) {
    segment.add(entry.term, kEntryHeaderSize + entry.payload.size());
  }
  return absl::OkStatus();
}

// ---- Truncation and reset
//
// A change that is one step on disk is atomic by itself: log_meta is replaced by rename, one name
// is removed, one file is cut. A change of several files is first noted (private_notes.h), with all
// that it is about to remove, and then carried out; recovery goes on with it if it finds the note.
// braft removes the note when it starts, and reads such a directory as it reads one of its own
// interrupted truncations.

Outcome SegmentLogStorage::truncate_prefix(int64_t first_kept) {
  QK_REFUSE_IF_ERROR(fail_stop_.check());
  if (first_kept <= first_index_) return Outcome::success();
  const LogRange before = range();
  return finish(before, move_first(first_kept, first_kept - 1));
}

Outcome SegmentLogStorage::truncate_suffix(int64_t last_kept) {
  QK_REFUSE_IF_ERROR(fail_stop_.check());
  const LogRange before = range();
  QK_REFUSE_IF_ERROR(check_truncate_suffix(directory_, before, last_kept));
  if (last_kept >= before.last) return Outcome::success();
  return finish(before, truncate(first_index_, last_kept));
}

Outcome SegmentLogStorage::reset(int64_t next_index) {
  QK_REFUSE_IF_ERROR(fail_stop_.check());
  QK_REFUSE_IF_ERROR(check_reset(directory_, next_index));
  const LogRange before = range();
  if (next_index > last_index()) {
    return finish(before, move_first(next_index, std::max(next_index - 1, last_index())));
  }
  return finish(before, truncate(next_index, next_index - 1));
}

Outcome SegmentLogStorage::finish(const LogRange& before, const absl::Status& status) {
  return status.ok() ? Outcome::success() : stop(before, status);
}

Outcome SegmentLogStorage::stop(const LogRange& before, const absl::Status& cause, int64_t count) {
  stopped_at_ = before;
  return fail_stop_.fail(cause, count);
}

absl::Status SegmentLogStorage::move_first(int64_t first, int64_t drop_to) {
  // First the record, then the files: until they are gone, recovery drops what lies below.
  QK_RETURN_IF_ERROR(end_reservation());
  QK_RETURN_IF_ERROR(save_meta(first));
  first_index_ = first;
  while (!segments_.empty() && segments_.front().last() <= drop_to) {
    QK_RETURN_IF_ERROR(fs_.unlink(path_of(segments_.front().name())));
    forget_file();
    segments_.pop_front();
  }
  return sync_directory();
}

absl::Status SegmentLogStorage::truncate(int64_t first, int64_t last_kept) {
  QK_RETURN_IF_ERROR(end_reservation());
  TruncationNote note{first_index_, first, last_kept, 0, {}};
  TruncationPlan plan;
  plan.last_kept = last_kept;
  if (first != first_index_) plan.first = first;
  size_t kept = 0;  // whole segments
  for (const Segment& segment : segments_) {
    if (note.removes(segment.name())) {
      plan.removed.push_back(segment.name());
    } else if (segment.last() <= last_kept) {
      ++kept;
    } else {
      QK_ASSIGN_OR_RETURN(File* const file, file_of(segment));
      FileWindow window(file, path_of(segment.name()), segment.size());
      QK_ASSIGN_OR_RETURN(plan.cut_size, find_offset(segment, window, last_kept + 1));
      plan.cut = segment.name();
    }
  }
  note.cut_size = plan.cut_size;
  forget_file();
  const size_t steps = plan.removed.size() + (plan.cut ? 1 : 0) + (plan.first ? 1 : 0);
  const bool noted = steps > 1;
  const std::string note_path = join_path(directory_, kTruncationNoteName);
  if (noted) {
    for (size_t i = kept; i < segments_.size(); ++i) {
      QK_ASSIGN_OR_RETURN(NotedSegment found, note_segment(fs_, directory_, segments_[i]));
      note.segments.push_back(std::move(found));
    }
    QK_RETURN_IF_ERROR(write_file(fs_, note_path, encode_truncation_note(note)));
    QK_RETURN_IF_ERROR(sync_directory());
  }
  QK_RETURN_IF_ERROR(carry_out(fs_, directory_, plan));
  if (noted) {
    // What it did is durable.
    QK_RETURN_IF_ERROR(fs_.unlink(note_path));
    QK_RETURN_IF_ERROR(sync_directory());
  }
  first_index_ = first;
  segments_.resize(segments_.size() - plan.removed.size(), Segment({}));
  if (plan.cut) {
    segments_.back().reopen();
    segments_.back().cut(last_kept, plan.cut_size);
  }
  return absl::OkStatus();
}

}  // namespace qk::families::local
