#include "image/content.h"

#include "families/base/check.h"
#include "families/contract/lost_vote.h"

namespace qk::image {
namespace {

absl::Status wrong(const std::string& message) { return absl::InvalidArgumentError(message); }

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
  QK_RETURN_IF_ERROR(families::check_entry(entry, next_index_));
  QK_RETURN_IF_ERROR(terms_.add(entry.index, entry.term));
  last_term_ = entry.term;
  ++next_index_;
  ++totals_.entries;
  return absl::OkStatus();
}

void ContentChecker::entries_passed(std::string_view encoded, std::string_view rest) {
  if (digests_) log_->add_encoded(next_index_ - 1, encoded, rest);
}

absl::Status ContentChecker::hard_state(const families::HardState& state) {
  if (stage_ != Stage::kEntries || hard_state_) return wrong("meta record out of place");
  if (next_index_ <= last_) {
    return wrong(cat("log ends before entry ", next_index_, ", expected ", first_, "..", last_));
  }
  if (const absl::Status status = families::check_hard_state(state); !status.ok()) {
    return annotate(status, "meta record");
  }
  hard_state_ = state;
  return absl::OkStatus();
}

absl::Status ContentChecker::snapshot(const SnapshotHead& head) {
  if (stage_ != Stage::kEntries || !hard_state_) return wrong("snapshot record out of place");
  if (head.meta) QK_RETURN_IF_ERROR(families::check_snapshot_meta(*head.meta));
  QK_RETURN_IF_ERROR(check_no_gap(first_, head.meta));
  if (head.meta) QK_RETURN_IF_ERROR(terms_.check_snapshot(*head.meta));
  const absl::Status vote = families::check_vote_not_lost(*hard_state_, last_term_, head.meta);
  if (!vote.ok() && !features_.lost_vote) {
    return wrong(
        cat(to_std(vote.message()), ", and the header does not name the feature ", kLostVote));
  }
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
  QK_RETURN_IF_ERROR(end_file());
  if (totals_.files == head_.files) {
    return wrong(cat("file \"", path, "\" beyond the ", head_.files, " announced"));
  }
  QK_ASSIGN_OR_RETURN(const families::SnapshotPlaces::Added added, places_.add(head.file));
  if (added.place != path && !features_.listed_names) {
    return wrong(cat("file \"", path, "\": not the normal form \"", added.place,
                     "\", and the header does not name the feature ", kListedNames));
  }
  if (head.unlisted && !features_.unlisted_files) {
    return wrong(cat("file \"", path,
                     "\": not in the table, and the header does not name the feature ",
                     kUnlistedFiles));
  }
  if (head.unlisted && added.place != path) {
    return wrong(cat("file \"", path, "\": not in the table, expected its place \"", added.place,
                     "\" as its name"));
  }
  if (added.file == unlisted_.size()) unlisted_.push_back(head.unlisted);
  if (added.shared && (head.unlisted || unlisted_[added.file]) && path != last_path_) {
    return wrong(cat("file \"", path, "\": not in the table, but another name leads to it"));
  }
  if (totals_.files > 0 && path <= last_path_) {
    return wrong(cat("file \"", path, "\" after \"", last_path_,
                     "\", expected each path once, in byte order"));
  }
  place_ = added.file;
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

absl::Status ContentChecker::end_file() {
  if (file_ && digests_) {
    const Digest content = file_hash_.digest();
    snapshot_->add_file(*file_, content);
    if (place_ == contents_.size()) {
      contents_.push_back(content);
    } else if (contents_[place_] != content) {
      return wrong(cat("file \"", file_->file.path,
                       "\": other bytes than another name of the same place has"));
    }
  }
  file_.reset();
  return absl::OkStatus();
}

absl::Status ContentChecker::finish() {
  if (stage_ != Stage::kFiles) return wrong("content ends before its snapshot record");
  if (file_remaining_ > 0) {
    return wrong(cat("file \"", file_->file.path, "\" lacks ", file_remaining_, " bytes"));
  }
  if (totals_.files != head_.files) {
    return wrong(cat("content has ", totals_.files, " files, expected ", head_.files));
  }
  QK_RETURN_IF_ERROR(end_file());
  stage_ = Stage::kDone;
  if (!digests_) return absl::OkStatus();
  totals_.state = combine(log_->finish(), hash_meta(*hard_state_), snapshot_->finish());
  return absl::OkStatus();
}

}  // namespace qk::image
