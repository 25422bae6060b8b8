// StateDigest: the canonical digest of one instance's durable Raft state (migration.md 8). Image
// trailers, validation cuts and equivalence reports use this one form; it sees a family only
// through its interfaces (EV-1), so physical layout never matters (EV-7, EV-12). The exact bytes
// are written down in image/FORMAT.md, "Digests".
//
// What cannot be read has no digest: every error is returned, nothing is skipped (EV-X1).
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "families/base/hash.h"
#include "families/contract/family.h"
#include "image/canonical.h"

namespace qk::image {

struct StateDigest {
  Digest log{};
  Digest meta{};
  Digest snapshot{};
  Digest overall{};  // over the three above
  friend bool operator==(const StateDigest&, const StateDigest&) = default;
};
using qk::to_hex;
// The overall digest, 64 hexadecimal digits.
std::string to_hex(const StateDigest& digest);
// One line for each domain that differs: "\n  log: digest 5f..., expected 07...".
std::string differing_domains(const StateDigest& found, const StateDigest& expected);

// Keeps the hashes of blocks that were retained whole, and the current snapshot's, so that a later
// digest of the same instance reads only what changed. Whoever mutates the instance says so; a
// digest that must prove what is on disk uses no cache.
class DigestCache {
 public:
  // Entries at and above `index` changed (suffix truncation, reset). Appending needs no call.
  void invalidate_from(int64_t index);
  // Entries below `first_kept` are gone (prefix truncation).
  void drop_below(int64_t first_kept);
  void invalidate_snapshot();
  void clear();

  size_t blocks() const { return blocks_.size(); }

 private:
  friend absl::StatusOr<StateDigest> compute_digest(families::Family& family, DigestCache* cache);

  std::map<int64_t, Digest> blocks_;  // by block number; whole blocks only
  std::optional<std::pair<families::SnapshotMeta, Digest>> snapshot_;
};

// The digest of the state as it is now; the caller makes "now" a cut, by having no mutation in
// flight. With a cache, blocks and the snapshot known to it are not read. An error names the domain
// that could not be read: "log: ...", "snapshot: ...".
absl::StatusOr<StateDigest> compute_digest(families::Family& family, DigestCache* cache = nullptr);

// The incremental pieces, for code that sees the state pass by.
class LogHasher {
 public:
  LogHasher(int64_t first, int64_t last);
  // Every index of [first, last], in order.
  void add(const families::LogEntry& entry);
  // Instead of adding entries up to `last`, all of one block: their canonical forms, one after the
  // other, in one or two pieces.
  void add_encoded(int64_t last, std::string_view entries, std::string_view rest = {});
  // Instead of adding the entries of the next block, which must be a whole one.
  void add_block(int64_t block, const Digest& hash);
  Digest finish();

  int64_t next_index() const { return next_; }
  // The block that the last add() completed, if it did.
  const std::optional<std::pair<int64_t, Digest>>& completed() const { return completed_; }

 private:
  void begin_block();
  void flush();
  // Moves on to `next`.
  void advance(int64_t next);

  Sha256 log_;
  Sha256 block_;
  int64_t next_;
  int64_t last_;
  bool in_block_ = false;
  std::optional<std::pair<int64_t, Digest>> completed_;
  std::string pending_;  // of the block; hashing a few bytes at a time costs three times as much
};

class SnapshotHasher {
 public:
  explicit SnapshotHasher(const SnapshotHead& head);
  // Files in byte order of path; `content` is the SHA-256 of the file's bytes.
  void add_file(const FileHead& head, const Digest& content);
  Digest finish();

 private:
  Sha256 hash_;
};

Digest hash_meta(const families::HardState& state);
StateDigest combine(const Digest& log, const Digest& meta, const Digest& snapshot);

}  // namespace qk::image
