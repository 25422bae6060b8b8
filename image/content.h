// ContentChecker: the rules of an image's content, applied to its objects as they pass by, and the
// state digest of what passed. The exporter checks what it writes and the reader what it reads with
// this one class, so the exporter cannot write an image that import refuses.
//
// Rules: one range; entries contiguous from first to last, with term >= 1 and not decreasing, known
// type, an empty payload in a no-op and a decodable one in a configuration; one meta record with
// term >= 1; at most one snapshot; its files with names that families/contract/rules.h allows, in
// strictly ascending byte order, each with exactly its bytes, which are the same for all names of
// one place; no gap between snapshot and log (mig.I5: first <= snapshot index + 1), and no term of
// the log that contradicts the snapshot's (families/contract/log_terms.h). A name that is not in
// normal form must be announced by the header's feature kListedNames, a file that is not in
// the table by kUnlistedFiles; no name of the table leads to the latter. A term below the last
// entry's or the snapshot's must be announced by kLostVote.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "families/contract/log_terms.h"
#include "families/contract/rules.h"
#include "image/format.h"

namespace qk::image {

// What a pass over an image's content computes beside checking it.
enum class Hashing : uint8_t {
  kSha256,  // the hashes that the trailer holds
  kXxh3,    // a fast one over the same bytes, to compare this pass with another one
  kBoth,
};

// InvalidArgument unless a node can start from a log that begins at `first_index` and this
// snapshot.
absl::Status check_no_gap(int64_t first_index, const std::optional<families::SnapshotMeta>& meta);

class ContentChecker {
 public:
  // Without digests, totals() lacks the state, and the bytes of two names of one place are not
  // compared; the other rules are the same.
  explicit ContentChecker(bool digests = true) : digests_(digests) {}
  // The features that the header names.
  void set_features(const Features& features) { features_ = features; }

  // Each returns InvalidArgument with what was found and what was expected.
  absl::Status range(int64_t first, int64_t last);
  absl::Status entry(const families::LogEntry& entry);
  // After the entries of a frame, all of one block: their canonical forms, one after the other, in
  // one or two pieces.
  void entries_passed(std::string_view encoded, std::string_view rest = {});
  absl::Status hard_state(const families::HardState& state);
  absl::Status snapshot(const SnapshotHead& head);
  absl::Status file(const FileHead& head);
  absl::Status chunk(std::string_view bytes);
  // Everything that the range and the heads announced has passed.
  absl::Status finish();

  // The next entry that must come; range().last + 1 when all have.
  int64_t next_index() const { return next_index_; }
  int64_t first_index() const { return first_; }
  int64_t last_index() const { return last_; }
  // Of the entries that have passed.
  const families::LogTerms& terms() const { return terms_; }
  // Bytes of the current file that have not passed yet.
  uint64_t file_remaining() const { return file_remaining_; }
  // After finish(); entries, files, file_bytes and state are filled.
  const ImageTotals& totals() const { return totals_; }

 private:
  enum class Stage : uint8_t { kRange, kEntries, kFiles, kDone };

  absl::Status end_file();

  const bool digests_;
  Features features_;
  Stage stage_ = Stage::kRange;
  int64_t first_ = 1;
  int64_t last_ = 0;
  int64_t next_index_ = 1;
  int64_t last_term_ = 0;
  families::LogTerms terms_;
  std::optional<LogHasher> log_;
  std::optional<families::HardState> hard_state_;
  SnapshotHead head_;
  std::optional<SnapshotHasher> snapshot_;
  std::optional<FileHead> file_;
  std::string last_path_;
  families::SnapshotPlaces places_;
  size_t place_ = 0;              // of the current file
  std::vector<bool> unlisted_;    // of each place, in order of their numbers
  std::vector<Digest> contents_;  // of each place, in order of their numbers; with digests only
  Sha256 file_hash_;
  uint64_t file_remaining_ = 0;
  ImageTotals totals_;
};

}  // namespace qk::image
