// StateImage: the logical durable state of one family at one instant, reduced to what oracles
// compare. It is read through the storage contract and hashed by an encoder of the oracles' own.
//
// Hashes are XXH3: they tell honest states apart, not forged ones.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "families/contract/family.h"

namespace qk::sim {

struct EntryDigest {
  int64_t index = 0;
  int64_t term = 0;
  families::EntryType type = families::EntryType::kData;
  uint64_t payload_hash = 0;
  friend bool operator==(const EntryDigest&, const EntryDigest&) = default;
};

struct SnapshotDigest {
  families::SnapshotMeta meta;
  std::optional<uint64_t> tree;  // hash of paths, file metas and bytes; absent: not known
};

struct StateImage {
  int64_t first = 1;
  int64_t last = 0;  // first + entries.size() - 1
  std::vector<EntryDigest> entries;
  families::HardState hard_state;
  std::optional<SnapshotDigest> snapshot;
  // What the configuration entries among them say, by index, where the reader filled it in. Not
  // compared: their payload hashes are.
  std::vector<std::pair<int64_t, families::Configuration>> configurations;

  // What an instance holds that was never written to.
  bool fresh() const;
  // The retained entry at `index`, or nullptr.
  const EntryDigest* find(int64_t index) const;
  // An entry of this index and term is retained, or a snapshot covers it.
  bool holds(int64_t index, int64_t term) const;
};

// What was found when a state was looked for. An error is a finding of its own, never a fresh
// state: its message names the file and the place.
using Probe = absl::StatusOr<StateImage>;

EntryDigest digest_of(const families::LogEntry& entry);

// Reads everything, snapshot files included. An error of the family is returned.
absl::StatusOr<StateImage> read_state(families::Family& family);

// Over the files of a snapshot, in ascending order of path.
class TreeHasher {
 public:
  // `unlisted`: the file is in the tree, but not in its table.
  void add(const families::SnapshotFile& file, std::string_view bytes, bool unlisted);
  uint64_t finish() const;

 private:
  std::string encoded_;
};
absl::StatusOr<uint64_t> tree_hash(const families::SnapshotReader& reader);
// Of a tree that is about to be published.
absl::StatusOr<uint64_t> tree_hash(const families::SnapshotWriter& writer);

// Equal metas, and equal trees where both are known.
bool same_snapshot(const std::optional<SnapshotDigest>& a, const std::optional<SnapshotDigest>& b);
bool same_state(const StateImage& a, const StateImage& b);

// Of the whole logical state; equal states, equal fingerprints. The tree must be known.
uint64_t fingerprint(const StateImage& state);

// For messages.
std::string describe(const EntryDigest& entry);
std::string describe(const families::HardState& state);
std::string describe(const std::optional<SnapshotDigest>& snapshot);

// The first thing in which two states differ; nullopt if they do not. `index` is that of the
// earliest differing entry, otherwise 0.
struct Difference {
  int64_t index = 0;
  std::string a;
  std::string b;
};
std::optional<Difference> first_difference(const StateImage& a, const StateImage& b);

}  // namespace qk::sim
