// Packet: one legacy RPC message as it crosses the network, request or response.
//
// body is the protobuf message of the method (raft.proto, file_service.proto), attachment the
// bytes that braft keeps outside of it: entry payloads (WC-11), file chunks (WC-12). call_id pairs
// a response with its request. Nothing here is trusted: decode() and convert.h check it all.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "families/base/status.h"

namespace qk::raft {

enum class Method : uint8_t {
  kPreVote,
  kRequestVote,
  kAppendEntries,
  kInstallSnapshot,
  kTimeoutNow,
  kGetFile,
};
inline constexpr int kMethodCount = 6;
// The RPC's name: "append_entries".
std::string_view to_string(Method method);

struct Packet {
  Method method = Method::kPreVote;
  bool response = false;
  uint64_t call_id = 0;
  std::string body;
  std::string attachment;
  // Responses: nonzero = the call failed and body is empty (braft's Controller::SetFailed).
  int32_t error = 0;
};

// brpc's max_body_size; a longer packet is never built and never accepted.
inline constexpr size_t kMaxPacketBytes = 64u << 20;

std::string encode(const Packet& packet);
// InvalidArgument says which part was wrong.
absl::StatusOr<Packet> decode(std::string_view bytes);

}  // namespace qk::raft
