// StateMachine: what the cluster replicates. A key-value store with client sessions, and braft's
// example counter, so that a cluster can start from real directories of that counter.
//
// Deterministic: the state is a function of the applied entries alone. Snapshots hold all of it:
//
//   data   Snapshot { required int64 value = 1; } in braft's ProtoBufFile envelope (big-endian
//          uint32 length, then the message), exactly as braft's counter writes it
//   kv     everything else: magic (4), version (4), counts, keys, sessions, CRC-32C (4)
//
// A tree with `data` alone is one of braft's counter; a tree with any other file is refused. It
// makes nothing durable itself: a snapshot counts once the storage has published it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "families/contract/snapshot_storage.h"
#include "families/contract/types.h"
#include "sim/cluster/client_protocol.h"

namespace qk::sim {

class StateMachine {
 public:
  // Returns the encoded Response to a data entry (a counter request of braft is answered like
  // kAdd), and nothing for the other types. A payload that is neither a command nor a counter
  // request changes nothing and is answered kMalformed.
  std::string apply(const families::LogEntry& entry);

  // Creates both files and adds them to the table; the caller saves the meta and publishes.
  absl::Status save(families::SnapshotWriter& writer) const;
  // Replaces the state, or fails and leaves it as it was.
  absl::Status load(const families::SnapshotReader& reader);

  // A function of the state, not of how it was reached: nodes that started from different
  // snapshots of one history agree on it at equal index. O(1).
  uint64_t state_hash() const;

  int64_t counter() const { return counter_; }
  const std::map<std::string, std::string, std::less<>>& values() const { return values_; }

 private:
  struct Session {
    uint64_t request = 0;
    std::string response;
  };

  Response execute(const Command& command);
  Response add(int64_t amount);
  void set(const std::string& key, std::string value);
  std::string encode_kv() const;
  absl::Status decode_kv(std::string_view bytes);

  std::map<std::string, std::string, std::less<>> values_;  // no empty values
  std::map<uint64_t, Session> sessions_;
  int64_t counter_ = 0;
  uint64_t hash_ = 0;  // sum of the hashes of all values and sessions
};

}  // namespace qk::sim
