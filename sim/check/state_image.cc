#include "sim/check/state_image.h"

#include <algorithm>

#include "families/base/bytes.h"
#include "families/base/hash.h"
#include "families/fs/file_util.h"

namespace qk::sim {
namespace {

template <typename Field>
void put_optional(std::string* out, const std::optional<Field>& field, std::string_view bytes) {
  put_u8(out, field.has_value() ? 1 : 0);
  put_bytes(out, bytes);
}

// A writer and a reader show their files by the same calls.
template <typename Tree>
absl::StatusOr<uint64_t> hash_tree(const Tree& tree) {
  QK_ASSIGN_OR_RETURN(const std::vector<std::string> unlisted, tree.unlisted());
  std::vector<std::pair<families::SnapshotFile, bool>> files;
  for (const families::SnapshotFile& file : tree.files()) files.emplace_back(file, false);
  for (const std::string& place : unlisted) {
    files.emplace_back(families::SnapshotFile{place, {}}, true);
  }
  std::sort(files.begin(), files.end(),
            [](const auto& a, const auto& b) { return a.first.path < b.first.path; });
  TreeHasher hasher;
  for (const auto& [file, is_unlisted] : files) {
    auto opened = is_unlisted ? tree.open_unlisted(file.path) : tree.open_file(file.path);
    QK_ASSIGN_OR_RETURN(const auto handle, std::move(opened));
    QK_ASSIGN_OR_RETURN(const uint64_t size, handle->size());
    std::string bytes(size, '\0');
    QK_RETURN_IF_ERROR(families::read_exact(*handle, file.path, 0, bytes));
    hasher.add(file, bytes, is_unlisted);
  }
  return hasher.finish();
}

void put_peers(std::string* out, const std::vector<std::string>& peers) {
  put_le64(out, peers.size());
  for (const std::string& peer : peers) put_bytes(out, peer);
}

}  // namespace

bool StateImage::fresh() const {
  return first == 1 && last == 0 && !snapshot && hard_state == families::HardState{};
}

const EntryDigest* StateImage::find(int64_t index) const {
  if (index < first || index > last) return nullptr;
  return &entries[static_cast<size_t>(index - first)];
}

bool StateImage::holds(int64_t index, int64_t term) const {
  if (const EntryDigest* entry = find(index)) return entry->term == term;
  return snapshot && snapshot->meta.last_included_index >= index;
}

EntryDigest digest_of(const families::LogEntry& entry) {
  return {entry.index, entry.term, entry.type, xxh3_64(entry.payload)};
}

absl::StatusOr<StateImage> read_state(families::Family& family) {
  StateImage state;
  families::LogStorage& log = family.log();
  state.first = log.first_index();
  state.last = log.last_index();
  if (state.first <= state.last) {
    QK_RETURN_IF_ERROR(log.scan(state.first, state.last, [&](const families::LogEntry& entry) {
      state.entries.push_back(digest_of(entry));
      if (entry.type != families::EntryType::kConfiguration) return absl::OkStatus();
      QK_ASSIGN_OR_RETURN(auto configuration, families::decode_configuration(entry.payload));
      state.configurations.emplace_back(entry.index, std::move(configuration));
      return absl::OkStatus();
    }));
  }
  const int64_t count = static_cast<int64_t>(state.entries.size());
  if (count != state.last - state.first + 1) {
    return absl::InternalError(
        cat("log of [", state.first, ", ", state.last, "] shows ", count, " entries"));
  }
  for (int64_t i = 0; i < count; ++i) {
    const int64_t index = state.entries[static_cast<size_t>(i)].index;
    if (index != state.first + i) {
      return absl::InternalError(cat("log shows index ", index, ", expected ", state.first + i));
    }
  }
  state.hard_state = family.meta().hard_state();
  const auto reader = family.snapshot().open();
  if (reader.ok()) {
    QK_ASSIGN_OR_RETURN(const uint64_t tree, tree_hash(**reader));
    state.snapshot = SnapshotDigest{(*reader)->meta(), tree};
  } else if (!absl::IsNotFound(reader.status())) {
    return reader.status();
  }
  return state;
}

void TreeHasher::add(const families::SnapshotFile& file, std::string_view bytes, bool unlisted) {
  put_bytes(&encoded_, file.path);
  // Nothing for a listed file: presence bytes, which follow, are 0 or 1.
  if (unlisted) put_u8(&encoded_, 2);
  put_optional(&encoded_, file.meta.user_meta, file.meta.user_meta.value_or(""));
  put_optional(&encoded_, file.meta.checksum, file.meta.checksum.value_or(""));
  put_optional(&encoded_, file.meta.source, {});
  put_le32(&encoded_, static_cast<uint32_t>(file.meta.source.value_or(0)));
  put_le64(&encoded_, bytes.size());
  put_le64(&encoded_, xxh3_64(bytes));
}

uint64_t TreeHasher::finish() const { return xxh3_64(encoded_); }

absl::StatusOr<uint64_t> tree_hash(const families::SnapshotReader& reader) {
  return hash_tree(reader);
}

absl::StatusOr<uint64_t> tree_hash(const families::SnapshotWriter& writer) {
  return hash_tree(writer);
}

bool same_snapshot(const std::optional<SnapshotDigest>& a, const std::optional<SnapshotDigest>& b) {
  if (!a || !b) return !a && !b;
  return a->meta == b->meta && (!a->tree || !b->tree || *a->tree == *b->tree);
}

bool same_state(const StateImage& a, const StateImage& b) {
  return a.first == b.first && a.last == b.last && a.entries == b.entries &&
         a.hard_state == b.hard_state && same_snapshot(a.snapshot, b.snapshot);
}

uint64_t fingerprint(const StateImage& state) {
  std::string out;
  put_le64(&out, static_cast<uint64_t>(state.first));
  put_le64(&out, static_cast<uint64_t>(state.last));
  for (const EntryDigest& entry : state.entries) {
    put_le64(&out, static_cast<uint64_t>(entry.term));
    put_u8(&out, static_cast<uint8_t>(entry.type));
    put_le64(&out, entry.payload_hash);
  }
  put_le64(&out, static_cast<uint64_t>(state.hard_state.term));
  put_bytes(&out, state.hard_state.voted_for);
  put_u8(&out, state.snapshot ? 1 : 0);
  if (state.snapshot) {
    const families::SnapshotMeta& meta = state.snapshot->meta;
    put_le64(&out, static_cast<uint64_t>(meta.last_included_index));
    put_le64(&out, static_cast<uint64_t>(meta.last_included_term));
    put_peers(&out, meta.peers);
    put_peers(&out, meta.old_peers);
    QK_CHECK(state.snapshot->tree.has_value());
    put_le64(&out, *state.snapshot->tree);
  }
  return xxh3_64(out);
}

std::string describe(const EntryDigest& entry) {
  return cat("(index ", entry.index, ", term ", entry.term, ", ", to_string(entry.type),
             ", payload ", hex16(entry.payload_hash), ")");
}

std::string describe(const families::HardState& state) {
  return cat("(term ", state.term, ", vote ", state.voted_for.empty() ? "nobody" : state.voted_for,
             ")");
}

std::string describe(const std::optional<SnapshotDigest>& snapshot) {
  if (!snapshot) return "no snapshot";
  return cat("snapshot (index ", snapshot->meta.last_included_index, ", term ",
             snapshot->meta.last_included_term, ", ", snapshot->meta.peers.size(), "+",
             snapshot->meta.old_peers.size(), " peers, tree ",
             snapshot->tree ? cat(hex16(*snapshot->tree)) : "unknown", ")");
}

std::optional<Difference> first_difference(const StateImage& a, const StateImage& b) {
  for (int64_t i = std::max(a.first, b.first); i <= std::min(a.last, b.last); ++i) {
    if (*a.find(i) != *b.find(i)) return Difference{i, describe(*a.find(i)), describe(*b.find(i))};
  }
  if (a.first != b.first || a.last != b.last) {
    const int64_t index =
        a.first != b.first ? std::min(a.first, b.first) : std::min(a.last, b.last) + 1;
    return Difference{index, cat("log [", a.first, ", ", a.last, "]"),
                      cat("log [", b.first, ", ", b.last, "]")};
  }
  if (a.hard_state != b.hard_state) {
    return Difference{0, describe(a.hard_state), describe(b.hard_state)};
  }
  if (!same_snapshot(a.snapshot, b.snapshot)) {
    return Difference{0, describe(a.snapshot), describe(b.snapshot)};
  }
  return std::nullopt;
}

}  // namespace qk::sim
