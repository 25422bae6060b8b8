#include "sim/raft/message.h"

#include "families/base/strings.h"

namespace qk::raft {

std::string_view to_string(Role role) {
  switch (role) {
    case Role::kFollower:
      return "follower";
    case Role::kPreCandidate:
      return "pre-candidate";
    case Role::kCandidate:
      return "candidate";
    case Role::kLeader:
      return "leader";
  }
  return "unknown";
}

std::string to_string(const Reason& reason) {
  std::string out;
  int64_t next = reason.a;
  for (const char c : reason.text) {
    if (c != '#') {
      out += c;
      continue;
    }
    out += cat(next);
    next = reason.b;
  }
  return out;
}

int64_t term_of(const Message& message) {
  return std::visit([](const auto& body) { return body.term; }, message.body);
}

}  // namespace qk::raft
