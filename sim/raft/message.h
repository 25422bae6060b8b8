// The messages of the Raft core, typed: what wire/convert.h makes of packets and back.
//
// They carry exactly what braft's RPCs carry. A response says nothing about the request that it
// answers; call_id pairs them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "families/contract/types.h"

namespace qk::raft {

enum class Role : uint8_t { kFollower, kPreCandidate, kCandidate, kLeader };
std::string_view to_string(Role role);

// Why the core decided something. Each '#' in the text is replaced by the next of the numbers, so
// that nothing is formatted unless somebody looks.
struct Reason {
  std::string_view text;
  int64_t a = 0;
  int64_t b = 0;
};
std::string to_string(const Reason& reason);

// pre_vote and request_vote. A pre-vote names the term that would be asked for.
struct VoteRequest {
  bool pre = false;
  int64_t term = 0;
  families::LogId last_log;
};

struct VoteResponse {
  bool pre = false;
  int64_t term = 0;
  bool granted = false;
};

// Entries follow `prev` without a gap. None: a heartbeat or a probe.
struct AppendRequest {
  int64_t term = 0;
  families::LogId prev;
  int64_t committed = 0;
  std::vector<families::LogEntry> entries;
};

struct AppendResponse {
  int64_t term = 0;
  bool success = false;
  int64_t last_log_index = 0;  // of the follower's log: where to look next after a refusal
};

struct InstallRequest {
  int64_t term = 0;
  families::SnapshotMeta meta;
  std::string uri;  // remote://ip:port/reader_id
};

struct InstallResponse {
  int64_t term = 0;
  bool success = false;
};

struct TimeoutNowRequest {
  int64_t term = 0;
};

struct TimeoutNowResponse {
  int64_t term = 0;
  bool success = false;
};

struct Message {
  std::string peer;  // the other side: whom it goes to, or came from
  uint64_t call_id = 0;
  std::variant<VoteRequest, VoteResponse, AppendRequest, AppendResponse, InstallRequest,
               InstallResponse, TimeoutNowRequest, TimeoutNowResponse>
      body;
};

int64_t term_of(const Message& message);

}  // namespace qk::raft
