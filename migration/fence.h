// Fence: makes a family root unusable under its old name, so that nobody opens it as authoritative
// (mig.I4). Renaming alone would not do: a legacy binary creates missing directories and would
// start as an empty replica with its vote lost. So the root is renamed to ROOT.fenced-GENERATION
// and a regular file takes the old path. Between the two steps the old path is free for a moment,
// which is why a start finishes fences before it opens anything.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "families/fs/file_system.h"

namespace qk::migration {

std::string fenced_path(std::string_view root, uint64_t generation);

// Durable on OK, and idempotent: after a crash anywhere inside, calling it again finishes it. Who
// cannot be sure that nobody was here since asks check_fence_unfinished() first.
absl::Status fence_root(families::FileSystem& fs, std::string_view root, uint64_t generation);

// OK if `root` is as a crash inside fence_root() leaves it: the directory, nothing while the instance
// is under the fenced path, or the file or a beginning of it. FailedPrecondition otherwise.
absl::Status check_fence_unfinished(families::FileSystem& fs, std::string_view root,
                                    uint64_t generation);

// The generation that the file of a fence names, or nullopt if `text` is not of one.
std::optional<uint64_t> generation_of_fence(std::string_view text);

// A fence takes a root as a whole: FailedPrecondition, naming it, if the root holds a name that is
// neither in `own` nor one of an instance's sidecar.
absl::Status check_fence_takes_only(families::FileSystem& fs, std::string_view root,
                                    const std::vector<std::string>& own);

}  // namespace qk::migration
