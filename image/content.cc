#include "image/content.h"

#include "base/check.h"
#include "families/fs/file_util.h"

namespace qk::image {
namespace {

using families::EntryType;

absl::Status wrong(const std::string& message) { return absl::InvalidArgumentError(message); }

absl::Status check_entry(const families::LogEntry& entry, int64_t expected_index,
                         int64_t last_term) {
  const auto bad = [&](const std::string& what) {
    return wrong(cat("entry ", entry.index, ": ", what));
  };
  if (entry.index != expected_index) return bad(cat("expected index ", expected_index));
  if (entry.term < 1 || entry.term < last_term) {
    return bad(cat("term ", entry.term, ", expected at least ", last_term < 1 ? 1 : last_term));
  }
  switch (entry.type) {
    case EntryType::kData:
      return absl::OkStatus();
    case EntryType::kNoOp:
      if (entry.payload.empty()) return absl::OkStatus();
      return bad(cat("no-op with a payload of ", entry.payload.size(), " bytes, expected none"));
    case EntryType::kConfiguration:
      if (auto decoded = families::decode_configuration(entry.payload); !decoded.ok()) {
        return bad(cat("configuration does not decode: ", to_std(decoded.status().message())));
      }
      return absl::OkStatus();
  }
  return bad(cat("type ", static_cast<int>(entry.type), ", expected 1, 2 or 3"));
}

}  // namespace

absl::Status check_no_gap(int64_t first_index, const std::optional<families::SnapshotMeta>& meta) {
  const int64_t snapshot_index = meta ? meta->last_included_index : 0;
  if (first_index - 1 <= snapshot_index) return absl::OkStatus();
  return wrong(cat("gap between snapshot and log: the log starts at index ", first_index, ", ",
                   meta ? cat("the snapshot ends at index ", snapshot_index)
                        : std::string("there is no snapshot"),
                   "; entries ", snapshot_index + 1, "..", first_index - 1, " are nowhere"));
}

absl::Status ContentChecker::range(int64_t first, int64_t last) {
  if (stage_ != Stage::kRange) return wrong("a second range");
  if (first < 1 || last < first - 1 || last == INT64_MAX) {
    return wrong(cat("range ", first, "..", last, ", expected 1 <= first <= last + 1"));
  }
  first_ = first;
  last_ = last;
  next_index_ = first;
  if (digests_) log_.emplace(first, last);
  stage_ = Stage::kEntries;
  return absl::OkStatus();
}

absl::Status ContentChecker::entry(const families::LogEntry& entry) {
  if (stage_ != Stage::kEntries || hard_state_) {
    return wrong(cat("entry ", entry.index, " outside the log's place in the content"));
  }
  if (next_index_ > last_) {
    return wrong(cat("entry ", entry.index, " beyond the range ", first_, "..", last_));
  }
  QK_RETURN_IF_ERROR(check_entry(entry, next_index_, last_term_));
  last_term_ = entry.term;
  ++next_index_;
  ++totals_.entries;
  return absl::OkStatus();
}

void ContentChecker::entries_passed(std::string_view encoded) {
  if (digests_) log_->add_encoded(next_index_ - 1, encoded);
}

absl::Status ContentChecker::hard_state(const families::HardState& state) {
  if (stage_ != Stage::kEntries || hard_state_) return wrong("meta record out of place");
  if (next_index_ <= last_) {
    return wrong(cat("log ends before entry ", next_index_, ", expected ", first_, "..", last_));
  }
  if (state.term < 1) return wrong(cat("meta record: term ", state.term, ", expected at least 1"));
  hard_state_ = state;
  return absl::OkStatus();
}

absl::Status ContentChecker::snapshot(const SnapshotHead& head) {
  if (stage_ != Stage::kEntries || !hard_state_) return wrong("snapshot record out of place");
  // As for the range: an entry may follow.
  if (head.meta &&
      (head.meta->last_included_index < 1 || head.meta->last_included_index == INT64_MAX ||
       head.meta->last_included_term < 1)) {
    return wrong(cat("snapshot ", head.meta->last_included_index, "/",
                     head.meta->last_included_term,
                     ": index and term must be at least 1, and the index below ", INT64_MAX));
  }
  QK_RETURN_IF_ERROR(check_no_gap(first_, head.meta));
  head_ = head;
  if (digests_) snapshot_.emplace(head);
  stage_ = Stage::kFiles;
  return absl::OkStatus();
}

absl::Status ContentChecker::file(const FileHead& head) {
  const std::string& path = head.file.path;
  if (stage_ != Stage::kFiles) return wrong(cat("file \"", path, "\" outside a snapshot"));
  if (file_remaining_ > 0) {
    return wrong(cat("file \"", file_->file.path, "\" lacks ", file_remaining_, " bytes"));
  }
  end_file();
  if (totals_.files == head_.files) {
    return wrong(cat("file \"", path, "\" beyond the ", head_.files, " announced"));
  }
  if (!families::is_safe_relative_path(path)) {
    return wrong(cat("file \"", path, "\": not a relative path below the snapshot"));
  }
  // Earlier paths that are a prefix of this one stay; no later path can continue any other.
  while (!prefixes_.empty() && path.compare(0, prefixes_.back().size(), prefixes_.back()) != 0) {
    prefixes_.pop_back();
  }
  for (const std::string& earlier : prefixes_) {
    if (path.size() > earlier.size() && path[earlier.size()] == '/') {
      return wrong(cat("file \"", path, "\" below \"", earlier, "\", which is a file"));
    }
  }
  if (totals_.files > 0 && path <= last_path_) {
    return wrong(cat("file \"", path, "\" after \"", last_path_,
                     "\", expected each path once, in byte order"));
  }
  prefixes_.push_back(path);
  last_path_ = path;
  file_ = head;
  if (digests_) file_hash_ = Sha256();
  file_remaining_ = head.size;
  ++totals_.files;
  return absl::OkStatus();
}

absl::Status ContentChecker::chunk(std::string_view bytes) {
  if (stage_ != Stage::kFiles || !file_ || bytes.empty() || bytes.size() > file_remaining_) {
    return wrong(cat("chunk of ", bytes.size(), " bytes, expected 1..", file_remaining_));
  }
  if (digests_) file_hash_.update(bytes);
  file_remaining_ -= bytes.size();
  totals_.file_bytes += bytes.size();
  return absl::OkStatus();
}

void ContentChecker::end_file() {
  if (file_ && digests_) snapshot_->add_file(*file_, file_hash_.digest());
  file_.reset();
}

absl::Status ContentChecker::finish() {
  if (stage_ != Stage::kFiles) return wrong("content ends before its snapshot record");
  if (file_remaining_ > 0) {
    return wrong(cat("file \"", file_->file.path, "\" lacks ", file_remaining_, " bytes"));
  }
  if (totals_.files != head_.files) {
    return wrong(cat("content has ", totals_.files, " files, expected ", head_.files));
  }
  end_file();
  stage_ = Stage::kDone;
  if (!digests_) return absl::OkStatus();
  totals_.state = combine(log_->finish(), hash_meta(*hard_state_), snapshot_->finish());
  return absl::OkStatus();
}

}  // namespace qk::image
