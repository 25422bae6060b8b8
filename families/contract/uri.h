// Storage URIs `scheme://path` and the triple of braft's NodeOptions.
//
// As braft does, the scheme is trimmed and every whitespace character of the path is dropped
// (braft-local-format.md 7). `local-merged` and `local-mixed` are refused with a message that says
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

// The three URIs of braft's NodeOptions (SB-10..12, BC-1).
struct UriTriple {
  std::string log_uri;
  std::string raft_meta_uri;
  std::string snapshot_uri;
  bool empty() const { return log_uri.empty() && raft_meta_uri.empty() && snapshot_uri.empty(); }
};

// Where they say that an instance lies.
struct StorageLocation {
  std::string family;  // the scheme
  // The directory that holds all three parts, whatever their names there; of parts that do not
  // lie in one, the directory of the log, and the parts outside of it are absolute.
  std::string root;
  PartPaths parts;
};
// `directory`: absolute; what relative paths are relative to. The three must name one family, and
// three directories of which none lies in another; which families exist, and which of them can have
// parts in several directories, open_family() says.
absl::StatusOr<StorageLocation> parse_triple(const UriTriple& triple, std::string_view directory);

// InvalidArgument unless the family can have its parts there: most keep all in one directory, under
// names of their own.
absl::Status check_part_paths(const FamilyDescriptor& family, std::string_view root,
                              const PartPaths& parts);

// The family with the names in its root that an instance with these parts has, which must not be
// split.
FamilyDescriptor with_parts(FamilyDescriptor family, const PartPaths& parts);

}  // namespace qk::families
