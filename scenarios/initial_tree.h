// The directory trees that simulated disks start with: real braft directories embedded in this
// program, or directories next to a scenario file.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "families/base/status.h"
#include "families/fs/file_system.h"
#include "sim/cluster/plan.h"

namespace qk::scenarios {

struct InitialDirectory {
  sim::DirectoryTree tree;
  // Equal for two names of one directory, through symbolic links and mounts as well.
  std::string identity;
};

// `initial_dir` of a scenario -> the directory, or an error that names it. NotFound: there is none.
using TreeResolver = std::function<absl::StatusOr<InitialDirectory>(const std::string&)>;

// "braft:CASE": the node's directories of an embedded case. Anything else: a directory, relative
// to `base` unless absolute, read through `fs`, which must outlive the resolver.
TreeResolver make_tree_resolver(families::FileSystem& fs, std::string base);

// A gzipped tar archive's members below `prefix` + "/", without that prefix, in byte order of their
// paths; empty directories are kept. InvalidArgument for a path that escapes, a member that is
// neither file nor directory, a name given twice, or more than 64 MiB or 100000 members;
// NotFound if nothing lies below the prefix; DataLoss for a damaged archive.
absl::StatusOr<sim::DirectoryTree> read_archive(std::string_view archive, std::string_view prefix);

// Names of the embedded cases, and one case as recorded: the node's directories plus
// "expected.json", the logical state that braft itself reads from them.
std::vector<std::string> braft_cases();
absl::StatusOr<sim::DirectoryTree> braft_case(std::string_view name);

}  // namespace qk::scenarios
