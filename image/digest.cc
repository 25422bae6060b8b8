#include "image/digest.h"

#include <algorithm>

#include "families/base/check.h"
#include "image/walk.h"

namespace qk::image {

std::string to_hex(const StateDigest& digest) { return qk::to_hex(digest.overall); }

LogHasher::LogHasher(int64_t first, int64_t last) : next_(first), last_(last) {
  std::string head = "qk.log";
  put_le64(&head, static_cast<uint64_t>(first));
  put_le64(&head, static_cast<uint64_t>(last));
  log_.update(head);
}

void LogHasher::begin_block() {
  completed_.reset();
  if (in_block_) return;
  block_ = Sha256();
  in_block_ = true;
  pending_ = "qk.block";
  put_le64(&pending_, static_cast<uint64_t>(block_of(next_)));
}

void LogHasher::flush() {
  block_.update(pending_);
  pending_.clear();
}

void LogHasher::advance(int64_t next) {
  const int64_t block = block_of(next_);
  next_ = next;
  if (next_ <= last_ && block_of(next_) == block) return;
  flush();
  const Digest hash = block_.digest();
  log_.update(as_bytes(hash));
  in_block_ = false;
  completed_ = {block, hash};
}

void LogHasher::add(const families::LogEntry& entry) {
  constexpr size_t kPiece = 32 << 10;
  QK_CHECK(entry.index == next_ && entry.index <= last_);
  begin_block();
  encode_entry(&pending_, entry);
  if (pending_.size() >= kPiece) flush();
  advance(entry.index + 1);
}

void LogHasher::add_encoded(int64_t last, std::string_view entries, std::string_view rest) {
  QK_CHECK(last >= next_ && last <= last_ && block_of(last) == block_of(next_));
  begin_block();
  flush();
  block_.update(entries);
  block_.update(rest);
  advance(last + 1);
}

void LogHasher::add_block(int64_t block, const Digest& hash) {
  QK_CHECK(!in_block_ && next_ == block_first(block) && block_last(block) <= last_);
  log_.update(as_bytes(hash));
  completed_.reset();
  next_ = block_last(block) + 1;
}

Digest LogHasher::finish() {
  QK_CHECK(next_ == last_ + 1);
  return log_.digest();
}

SnapshotHasher::SnapshotHasher(const SnapshotHead& head) {
  std::string bytes = "qk.snapshot";
  encode_snapshot_head(&bytes, head);
  hash_.update(bytes);
}

void SnapshotHasher::add_file(const FileHead& head, const Digest& content) {
  std::string bytes;
  encode_file_head(&bytes, head);
  hash_.update(bytes);
  hash_.update(as_bytes(content));
}

Digest SnapshotHasher::finish() { return hash_.digest(); }

Digest hash_meta(const families::HardState& state) {
  std::string bytes = "qk.meta";
  encode_hard_state(&bytes, state);
  return sha256(bytes);
}

StateDigest combine(const Digest& log, const Digest& meta, const Digest& snapshot) {
  StateDigest digest{log, meta, snapshot, {}};
  digest.overall = sha256(cat("qk.state", as_bytes(log), as_bytes(meta), as_bytes(snapshot)));
  return digest;
}

std::string differing_domains(const StateDigest& found, const StateDigest& expected) {
  std::string text;
  const auto compare = [&](std::string_view domain, const Digest& a, const Digest& b) {
    if (a != b) text += cat("\n  ", domain, ": digest ", to_hex(a), ", expected ", to_hex(b));
  };
  compare("log", found.log, expected.log);
  compare("meta", found.meta, expected.meta);
  compare("snapshot", found.snapshot, expected.snapshot);
  return text;
}

void DigestCache::invalidate_from(int64_t index) {
  if (index < 1) index = 1;
  blocks_.erase(blocks_.lower_bound(block_of(index)), blocks_.end());
}

void DigestCache::drop_below(int64_t first_kept) {
  while (!blocks_.empty() && block_first(blocks_.begin()->first) < first_kept) {
    blocks_.erase(blocks_.begin());
  }
}

void DigestCache::invalidate_snapshot() { snapshot_.reset(); }

void DigestCache::clear() {
  blocks_.clear();
  snapshot_.reset();
}

absl::StatusOr<StateDigest> compute_digest(families::Family& family, DigestCache* cache) {
  families::LogStorage& log = family.log();
  const int64_t first = log.first_index();
  const int64_t last = log.last_index();
  QK_RETURN_IF_ERROR(annotate(check_log_range(first, last), "log"));

  LogHasher hasher(first, last);
  while (hasher.next_index() <= last) {
    const int64_t from = hasher.next_index();
    const int64_t block = block_of(from);
    const int64_t to = std::min(last, block_last(block));
    const bool whole = from == block_first(block) && to == block_last(block);
    if (whole && cache != nullptr) {
      if (const auto known = cache->blocks_.find(block); known != cache->blocks_.end()) {
        hasher.add_block(block, known->second);
        continue;
      }
    }
    const absl::Status scanned = scan_exactly(log, from, to, [&](const families::LogEntry& entry) {
      hasher.add(entry);
      return absl::OkStatus();
    });
    QK_RETURN_IF_ERROR(annotate(scanned, "log"));
    if (whole && cache != nullptr) cache->blocks_[block] = hasher.completed()->second;
  }

  const auto opened = open_snapshot(family);
  QK_RETURN_IF_ERROR(annotate(opened.status(), "snapshot"));
  const std::shared_ptr<families::SnapshotReader>& reader = *opened;
  Digest snapshot{};
  if (cache != nullptr && reader != nullptr && cache->snapshot_ &&
      cache->snapshot_->first == reader->meta()) {
    snapshot = cache->snapshot_->second;
  } else {
    QK_ASSIGN_OR_RETURN(const std::vector<FileHead> files, sorted_files(reader.get()));
    SnapshotHasher hash(head_of(reader.get(), files));
    const absl::Status hashed =
        hash_files(reader.get(), files, [&](const FileHead& head, const Digest& content) {
          hash.add_file(head, content);
          return absl::OkStatus();
        });
    QK_RETURN_IF_ERROR(annotate(hashed, "snapshot"));
    snapshot = hash.finish();
    if (cache != nullptr) {
      cache->snapshot_.reset();
      if (reader != nullptr) cache->snapshot_ = {reader->meta(), snapshot};
    }
  }
  return combine(hasher.finish(), hash_meta(family.meta().hard_state()), snapshot);
}

}  // namespace qk::image
