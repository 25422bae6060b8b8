#include "families/local/log_recovery.h"

#include <algorithm>
#include <array>
#include <vector>

#include "families/fs/file_util.h"
#include "families/local/local.pb.h"
#include "families/local/log_damage.h"
#include "families/local/private_notes.h"
#include "families/local/protobuf_file.h"

namespace qk::families::local {
namespace {

constexpr std::string_view kLogPrefix = "log_";
constexpr std::string_view kTemporarySuffix = ".tmp";
// A segment is closed once it is longer than a limit that braft keeps in an int32, and so is the
// length of the entry that makes it longer.
constexpr uint64_t kMaxOpenSegment = (uint64_t{1} << 32) + kEntryHeaderSize;

bool starts_with(std::string_view text, std::string_view prefix) {
  return text.substr(0, prefix.size()) == prefix;
}
bool ends_with(std::string_view text, std::string_view suffix) {
  return text.size() >= suffix.size() && text.substr(text.size() - suffix.size()) == suffix;
}

// The first of `items` whose first index, as `first` tells it, is at least `index`.
template <typename Item, typename First>
auto lower_bound(const std::vector<Item>& items, int64_t index, First first) {
  return std::lower_bound(items.begin(), items.end(), index,
                          [&](const Item& item, int64_t i) { return first(item) < i; });
}

struct Listing {
  std::vector<SegmentName> closed;  // by first index
  std::vector<SegmentName> open;
  std::vector<std::string> leftovers;
};

// A file that braft would take for a segment (it matches prefixes) but whose name is not one: to
// pass over it could hide entries.
bool looks_like_segment(std::string_view name) {
  if (starts_with(name, "log_inprogress_")) return true;
  return name.size() > kLogPrefix.size() && starts_with(name, kLogPrefix) &&
         name[kLogPrefix.size()] >= '0' && name[kLogPrefix.size()] <= '9';
}

absl::StatusOr<Listing> list_log(FileSystem& fs, const std::string& directory) {
  QK_ASSIGN_OR_RETURN(const std::vector<std::string> names, fs.list(directory));
  Listing listing;
  for (const std::string& name : names) {
    if (starts_with(name, kLogPrefix) && ends_with(name, kTemporarySuffix)) {
      listing.leftovers.push_back(name);
      continue;
    }
    const auto segment = parse_segment_name(name);
    if (!segment) {
      if (!looks_like_segment(name)) continue;
      return absl::DataLossError(
          cat(join_path(directory, name), ": looks like a log segment, but its name is not one"));
    }
    if (!segment->open && segment->last < segment->first) {
      return absl::DataLossError(cat(join_path(directory, name), ": last index ", segment->last,
                                     " is below first index ", segment->first));
    }
    (segment->open ? listing.open : listing.closed).push_back(*segment);
  }
  // Names sort by first index because the digits are padded.
  return listing;
}

absl::StatusOr<int64_t> load_log_meta(FileSystem& fs, const std::string& directory,
                                      const Listing& listing) {
  const std::string path = join_path(directory, kLogMetaName);
  proto::LogPBMeta message;
  const absl::Status loaded = load_protobuf_file(fs, path, &message);
  if (absl::IsNotFound(loaded) && listing.closed.size() + listing.open.size() > 0) {
    return absl::DataLossError(cat(path, ": missing, but there are ", listing.closed.size(),
                                   " closed and ", listing.open.size(), " open segments"));
  }
  QK_RETURN_IF_ERROR(loaded);
  const int64_t first_index = message.first_log_index();
  if (first_index < 1) {
    return absl::DataLossError(
        cat(path, ": first_log_index ", first_index, ", expected at least 1"));
  }
  return first_index;
}

class Recovery {
 public:
  Recovery(FileSystem& fs, const std::string& directory) : fs_(fs), directory_(directory) {}

  absl::StatusOr<RecoveredLog> run() {
    QK_ASSIGN_OR_RETURN(Listing listing, list_log(fs_, directory_));
    QK_ASSIGN_OR_RETURN(log_.first_index, load_log_meta(fs_, directory_, listing));
    QK_RETURN_IF_ERROR(load_notes(listing));
    leftovers_ = std::move(listing.leftovers);
    drop_obsolete(&listing.closed);
    drop_obsolete(&listing.open);
    for (const SegmentName& name : listing.closed) QK_RETURN_IF_ERROR(load_closed(name));
    QK_RETURN_IF_ERROR(drop_interrupted_roll(&listing.open));
    for (const SegmentName& name : listing.open) QK_RETURN_IF_ERROR(load_open(name));
    QK_RETURN_IF_ERROR(act());
    return std::move(log_);
  }

 private:
  std::string path_of(const SegmentName& name) const {
    return join_path(directory_, name.to_string());
  }

  absl::Status load_notes(const Listing& listing) {
    QK_ASSIGN_OR_RETURN(batch_note_, load_batch_note(fs_, directory_));
    QK_ASSIGN_OR_RETURN(const std::optional<TruncationNote> note,
                        load_truncation_note(fs_, directory_));
    if (note) {
      QK_ASSIGN_OR_RETURN(truncation_, plan_truncation(*note, listing));
    }
    // Carried out or void, it was there for this open.
    for (const std::string_view name : {kBatchNoteName, kTruncationNoteName}) {
      QK_ASSIGN_OR_RETURN(const bool found, exists(fs_, join_path(directory_, name)));
      if (found) doomed_.emplace_back(name);
    }
    if (truncation_) log_.first_index = note->first;
    return absl::OkStatus();
  }

  // What is left to do of a noted truncation; nullopt if anything that it removes or cuts is not
  // what it found: then others have written since, and what they acknowledged must stay.
  absl::StatusOr<std::optional<TruncationPlan>> plan_truncation(const TruncationNote& note,
                                                                const Listing& listing) {
    const std::optional<TruncationPlan> changed;
    if (log_.first_index != note.first_before && log_.first_index != note.first) return changed;
    TruncationPlan plan;
    if (log_.first_index != note.first) plan.first = note.first;
    std::vector<SegmentName> present = listing.closed;
    present.insert(present.end(), listing.open.begin(), listing.open.end());
    for (const SegmentName& name : present) {
      const bool removes = note.removes(name);
      if (!removes && !name.open && name.last <= note.last_kept) continue;
      const auto noted = lower_bound(note.segments, name.first,
                                     [](const NotedSegment& s) { return s.name.first; });
      if (noted == note.segments.end() || noted->name.first != name.first) return changed;
      // Only what is cut may have been renamed.
      if (removes && name.open != noted->name.open) return changed;
      QK_ASSIGN_OR_RETURN(const bool unchanged, is_unchanged(fs_, directory_, name, *noted));
      if (removes) {
        if (!unchanged) return changed;
        plan.removed.push_back(name);
      } else if (unchanged && note.cut_size < noted->file_size) {
        plan.cut = name;
        plan.cut_size = note.cut_size;
        plan.last_kept = note.last_kept;
      } else {
        QK_ASSIGN_OR_RETURN(const FileStat stat, fs_.stat(path_of(name)));
        if (!name.open || stat.size != note.cut_size) return changed;
      }
    }
    std::sort(plan.removed.begin(), plan.removed.end(),
              [](const SegmentName& a, const SegmentName& b) { return a.first < b.first; });
    return std::optional<TruncationPlan>(plan);
  }

  // Segments that a truncation already gave up.
  void drop_obsolete(std::vector<SegmentName>* names) {
    std::vector<SegmentName> kept;
    for (const SegmentName& name : *names) {
      if (truncation_ && truncation_->removes(name)) continue;
      if (!name.open && name.last < log_.first_index) {
        doomed_.push_back(name.to_string());
      } else {
        kept.push_back(name);
      }
    }
    *names = std::move(kept);
  }

  absl::Status drop_interrupted_roll(std::vector<SegmentName>* open) {
    if (open->size() < 2) return absl::OkStatus();
    const std::string path = path_of(open->back());
    QK_ASSIGN_OR_RETURN(const FileStat stat, fs_.stat(path));
    if (open->size() > 2 || stat.size > 0) {
      return absl::DataLossError(cat(directory_, ": found ", open->size(),
                                     " open segments, the last one of ", stat.size,
                                     " bytes; expected at most one"));
    }
    doomed_.push_back(open->back().to_string());
    open->pop_back();
    return absl::OkStatus();
  }

  absl::Status check_contiguous(const SegmentName& name) const {
    if (log_.segments.empty()) {
      if (name.first <= log_.first_index) return absl::OkStatus();
      return absl::DataLossError(cat(path_of(name), ": first segment begins at index ", name.first,
                                     ", expected at most ", log_.first_index));
    }
    const int64_t expected = log_.segments.back().last() + 1;
    if (name.first == expected) return absl::OkStatus();
    return absl::DataLossError(
        cat(path_of(name), ": begins at index ", name.first, ", expected ", expected));
  }

  // Adds entries from offset 0 until the name's last index (closed) or the end of the window
  // (open). nullopt: all of them were intact.
  absl::StatusOr<std::optional<Damage>> load_entries(Segment* segment, FileWindow& window) {
    const bool open = segment->open();
    const auto damage = [&](const absl::Status& status) -> absl::StatusOr<std::optional<Damage>> {
      return damage_at(window, segment->size(), segment->last() + 1, status);
    };
    while (open ? segment->size() < window.file_size() : segment->last() < segment->name().last) {
      const uint64_t offset = segment->size();
      if (batch_note_ && offset == batch_note_->acknowledged) note_fits_ = true;
      const int64_t index = segment->last() + 1;
      auto entry = read_raw_entry(window, offset, index, ReadPayload::kNo);
      if (!entry.ok()) return damage(entry.status());
      const EntryHeader header = entry->header;
      const bool configuration = header.type == EntryType::kConfiguration;
      if (open || configuration) {
        entry = read_raw_entry(window, offset, index, ReadPayload::kYes);
        if (!entry.ok()) return damage(entry.status());
      }
      if (configuration) {
        const auto decoded = decode_configuration(entry->payload);
        if (!decoded.ok()) {
          return annotate(decoded.status(),
                          cat(window.path(), ", offset ", offset, ", index ", index));
        }
      }
      segment->add(header.term, header.entry_size());
    }
    return std::optional<Damage>();
  }

  absl::Status load_closed(const SegmentName& name) {
    QK_RETURN_IF_ERROR(check_contiguous(name));
    if (is_cut(name)) return load_cut(name);
    const std::string path = path_of(name);
    QK_ASSIGN_OR_RETURN(const std::unique_ptr<File> file, fs_.open(path, {.read_only = true}));
    QK_ASSIGN_OR_RETURN(const uint64_t file_size, file->size());
    FileWindow window(file.get(), path, file_size);
    Segment segment(name);
    QK_ASSIGN_OR_RETURN(const std::optional<Damage> damage, load_entries(&segment, window));
    if (damage) return as_data_loss(damage->status);
    const uint64_t stray = file_size - segment.size();
    if (stray >= kEntryHeaderSize) {
      return absl::DataLossError(cat(path, ", offset ", segment.size(), ": found ", stray,
                                     " bytes after index ", name.last, ", expected none"));
    }
    QK_RETURN_IF_ERROR(file->sync(SyncKind::kData));
    log_.segments.push_back(std::move(segment));
    return absl::OkStatus();
  }

  absl::Status load_open(const SegmentName& name) {
    QK_RETURN_IF_ERROR(check_contiguous(name));
    if (is_cut(name)) return load_cut(name);
    const std::string path = path_of(name);
    QK_ASSIGN_OR_RETURN(open_file_, fs_.open(path, {}));
    QK_ASSIGN_OR_RETURN(const uint64_t file_size, open_file_->size());
    if (file_size > kMaxOpenSegment) {
      return absl::DataLossError(
          cat(path, ": found ", file_size, " bytes, expected at most ", kMaxOpenSegment));
    }
    FileWindow window(open_file_.get(), path, file_size);
    Segment segment(name);
    note_fits_ = false;
    QK_ASSIGN_OR_RETURN(const std::optional<Damage> damage, load_entries(&segment, window));
    if (damage) {
      QK_RETURN_IF_ERROR(judge_damage(open_file_.get(), window, *damage, torn_range(segment)));
      torn_at_ = segment.size();
    }
    if (segment.last() < log_.first_index) {
      doomed_.push_back(name.to_string());
    } else {
      log_.segments.push_back(std::move(segment));
    }
    return absl::OkStatus();
  }

  // Where the batch note allows a torn batch in the open segment.
  std::optional<TornRange> torn_range(const Segment& segment) const {
    if (!note_fits_ || batch_note_->segment != segment.first()) return std::nullopt;
    return TornRange{batch_note_->acknowledged, batch_note_->end};
  }

  bool is_cut(const SegmentName& name) const {
    return truncation_ && truncation_->cut && truncation_->cut->first == name.first;
  }

  // The segment that a noted truncation is about to cut: only what it keeps must be intact.
  absl::Status load_cut(const SegmentName& name) {
    const std::string path = path_of(name);
    QK_ASSIGN_OR_RETURN(const std::unique_ptr<File> file, fs_.open(path, {.read_only = true}));
    FileWindow window(file.get(), path, truncation_->cut_size);
    Segment segment(SegmentName::make_open(name.first));
    QK_ASSIGN_OR_RETURN(const std::optional<Damage> damage, load_entries(&segment, window));
    if (damage) return as_data_loss(damage->status);
    if (segment.last() != truncation_->last_kept) {
      return absl::DataLossError(cat(path, ": index ", segment.last(), " ends at offset ",
                                     truncation_->cut_size, ", expected index ",
                                     truncation_->last_kept));
    }
    log_.segments.push_back(std::move(segment));
    return absl::OkStatus();
  }

  // The changes, in an order that may end anywhere: a torn end is cut for good before the batch
  // note goes that explains it, and a truncation is carried out before its note goes.
  absl::Status act() {
    // The process before may have stopped because the sync of an append failed. First, because this
    // reads the segment once more: a read that fails must leave everything as it was.
    if (open_file_ != nullptr) QK_RETURN_IF_ERROR(write_again(*open_file_));
    QK_RETURN_IF_ERROR(sync_evidence());
    for (const std::string& name : leftovers_) {
      QK_RETURN_IF_ERROR(fs_.unlink(join_path(directory_, name)));
    }
    if (truncation_) QK_RETURN_IF_ERROR(carry_out(fs_, directory_, *truncation_));
    if (open_file_ != nullptr && torn_at_) {
      QK_RETURN_IF_ERROR(open_file_->truncate(*torn_at_));
      QK_RETURN_IF_ERROR(open_file_->sync(SyncKind::kData));
    }
    for (const std::string& name : doomed_) {
      QK_RETURN_IF_ERROR(fs_.unlink(join_path(directory_, name)));
    }
    return fs_.sync_dir(directory_, SyncKind::kFull);
  }

  // What is removed depends on log_meta and on the note. A process that died before it had synced
  // them left both to the next power cut: it could take them back, and not the removals.
  absl::Status sync_evidence() {
    if (doomed_.empty() && !truncation_) return absl::OkStatus();
    if (truncation_) {
      QK_ASSIGN_OR_RETURN(const std::unique_ptr<File> note,
                          fs_.open(join_path(directory_, kTruncationNoteName), {}));
      QK_RETURN_IF_ERROR(write_again(*note));
    }
    return fs_.sync_dir(directory_, SyncKind::kFull);
  }

  FileSystem& fs_;
  const std::string& directory_;
  RecoveredLog log_;
  std::optional<BatchNote> batch_note_;
  bool note_fits_ = false;  // an entry of the segment loaded last begins where the note says
  std::optional<TruncationPlan> truncation_;
  std::unique_ptr<File> open_file_;
  std::optional<uint64_t> torn_at_;  // where the open segment is cut
  std::vector<std::string> leftovers_;
  std::vector<std::string> doomed_;  // removed last, when nothing can be refused any more
};

}  // namespace

absl::Status save_log_meta(FileSystem& fs, const std::string& directory, int64_t first_index) {
  proto::LogPBMeta message;
  message.set_first_log_index(first_index);
  return save_protobuf_file(fs, join_path(directory, kLogMetaName), message);
}

bool TruncationPlan::removes(const SegmentName& name) const {
  const auto at = lower_bound(removed, name.first, [](const SegmentName& n) { return n.first; });
  return at != removed.end() && at->to_string() == name.to_string();
}

absl::Status carry_out(FileSystem& fs, const std::string& directory, const TruncationPlan& plan) {
  // Opened before anything changes: it is the last call that may fail without a trace.
  std::unique_ptr<File> cut;
  if (plan.cut) {
    QK_ASSIGN_OR_RETURN(cut, fs.open(join_path(directory, plan.cut->to_string()), {}));
  }
  if (plan.first) QK_RETURN_IF_ERROR(save_log_meta(fs, directory, *plan.first));
  for (auto name = plan.removed.rbegin(); name != plan.removed.rend(); ++name) {
    QK_RETURN_IF_ERROR(fs.unlink(join_path(directory, name->to_string())));
  }
  if (!plan.removed.empty()) QK_RETURN_IF_ERROR(fs.sync_dir(directory, SyncKind::kFull));
  if (!plan.cut) return absl::OkStatus();
  if (!plan.cut->open) {
    // A closed name promises its last index, so it must be gone for good before the cut.
    const SegmentName name = SegmentName::make_open(plan.cut->first);
    QK_RETURN_IF_ERROR(fs.rename(join_path(directory, plan.cut->to_string()),
                                 join_path(directory, name.to_string())));
    QK_RETURN_IF_ERROR(fs.sync_dir(directory, SyncKind::kFull));
  }
  QK_RETURN_IF_ERROR(cut->truncate(plan.cut_size));
  return cut->sync(SyncKind::kData);
}

absl::StatusOr<RecoveredLog> recover_log(FileSystem& fs, const std::string& directory) {
  return Recovery(fs, directory).run();
}

}  // namespace qk::families::local
