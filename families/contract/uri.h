// Storage URIs `scheme://path` and the legacy triple of braft's NodeOptions.
//
// As braft does, the scheme is trimmed and every whitespace character of the path is dropped
// (braft-local-format 7). `local-merged` and `local-mixed` are refused with a message that says
// they are out of scope.
#pragma once

#include <string>
#include <string_view>

#include "families/contract/family.h"

namespace qk::families {

struct StorageUri {
  std::string scheme;
  std::string path;
};

// InvalidArgument: no "://", empty scheme or empty path.
absl::StatusOr<StorageUri> parse_uri(std::string_view text);

// The three URIs of braft. All must name one family, and their paths must be ROOT/log,
// ROOT/raft_meta and ROOT/snapshot of one root; returns {scheme, ROOT}.
struct UriTriple {
  std::string log_uri;
  std::string raft_meta_uri;
  std::string snapshot_uri;
};
absl::StatusOr<StorageUri> parse_triple(const UriTriple& triple);

}  // namespace qk::families
