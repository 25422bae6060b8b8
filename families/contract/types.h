// The plain types of the storage contract: what a Raft node keeps durably, independent of how any
// family stores it. Indices and terms start at 1; 0 means "none".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "families/base/status.h"

namespace qk::families {

struct LogId {
  int64_t index = 0;
  int64_t term = 0;
  friend bool operator==(const LogId&, const LogId&) = default;
};

// Values are those of braft's enum.proto; they are fixed by legacy segments, the wire and images.
enum class EntryType : uint8_t { kNoOp = 1, kData = 2, kConfiguration = 3 };

struct LogEntry {
  int64_t index = 0;
  int64_t term = 0;
  EntryType type = EntryType::kData;
  // kData: the user's bytes. kNoOp: empty. kConfiguration: encode_configuration(), kept byte for
  // byte as it was written.
  std::string payload;
  friend bool operator==(const LogEntry&, const LogEntry&) = default;
};

// Peers in PeerId text form ("127.0.0.1:8100:0:0"). Non-empty old_peers = joint consensus.
struct Configuration {
  std::vector<std::string> peers;
  std::vector<std::string> old_peers;
  friend bool operator==(const Configuration&, const Configuration&) = default;
};

// braft's ConfigurationPBMeta {repeated string peers = 1; repeated string old_peers = 2;} in
// canonical protobuf encoding.
std::string encode_configuration(const Configuration& configuration);
// Of an encoded configuration, and of the two peer lists of a snapshot's meta in an image. Some
// ten thousand peers; it bounds what a damaged one makes its reader allocate, because an empty peer
// takes two bytes there and fifty in memory.
inline constexpr size_t kMaxConfigurationBytes = 1 << 20;
// DataLoss if the payload is longer than kMaxConfigurationBytes, or not such a message.
absl::StatusOr<Configuration> decode_configuration(std::string_view payload);

// Term and vote. Before the first save: term 1 and nobody (braft's initial state).
struct HardState {
  int64_t term = 1;
  std::string voted_for;  // canonical PeerId text, empty = nobody
  friend bool operator==(const HardState&, const HardState&) = default;
};

struct SnapshotMeta {
  int64_t last_included_index = 0;
  int64_t last_included_term = 0;
  std::vector<std::string> peers;
  std::vector<std::string> old_peers;
  friend bool operator==(const SnapshotMeta&, const SnapshotMeta&) = default;
};

// braft's LocalFileMeta; presence of each field is part of the state (contract decision A-3).
struct FileMeta {
  std::optional<std::string> user_meta;
  std::optional<int32_t> source;  // 0 local, 1 reference
  std::optional<std::string> checksum;
  friend bool operator==(const FileMeta&, const FileMeta&) = default;
};

struct SnapshotFile {
  // The name as the snapshot's table lists it; the file lies at snapshot_file_place() of it.
  std::string path;
  FileMeta meta;
  friend bool operator==(const SnapshotFile&, const SnapshotFile&) = default;
};

// PeerId text `ip:port[:idx[:role]]`, as braft parses it (braft-local-format.md 3): idx and role
// default to 0, role is 0 (replica) or 1 (witness). Returns the canonical four-part text, or
// InvalidArgument. The empty peer "0.0.0.0:0:0:0" comes back as "".
absl::StatusOr<std::string> canonical_peer(std::string_view text);
// "" -> "0.0.0.0:0:0:0", anything else unchanged: the form legacy files store.
std::string legacy_peer(std::string_view peer);

std::string_view to_string(EntryType type);

}  // namespace qk::families
