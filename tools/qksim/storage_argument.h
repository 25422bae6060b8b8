// Where an instance lies, as a command line says it: --family and a directory, or the three URIs of
// braft's NodeOptions.
#pragma once

#include <string>

#include "families/contract/uri.h"
#include "tools/qksim/environment.h"
#include "tools/qksim/exit_codes.h"

namespace qk::cli {

struct StorageArgument {
  const families::FamilyDescriptor* family = nullptr;
  std::string root;  // absolute
  families::PartPaths parts;
};

// `directory`: of the option that `option` names. Says what is wrong, as kUsage.
ExitCode find_storage(const Environment& environment, const std::string& family,
                      const std::string& directory, std::string_view option,
                      const families::UriTriple& uris, StorageArgument* out);

// The same by one URI, of the directory that holds all parts, unless `uris` say where.
ExitCode find_place(const Environment& environment, const std::string& uri,
                    const families::UriTriple& uris, std::string_view which, StorageArgument* out);

// The directory above `path` without symbolic links; the last name is not followed.
absl::Status resolve_parent(families::FileSystem& fs, std::string* path);

// "log_uri sqlite:///srv/g1/log, raft_meta_uri ..., snapshot_uri ...", as NodeOptions take them.
std::string uris_of(const StorageArgument& at);

}  // namespace qk::cli
