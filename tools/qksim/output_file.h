// Files that a verb writes in addition to its output, and may replace: reports, evidence.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

#include "families/base/status.h"
#include "tools/qksim/environment.h"

namespace qk::cli {

// OK if nothing lies at `path`, or a regular file that begins with one of `beginnings`, as every
// earlier file of this kind does. FailedPrecondition otherwise: it is not ours to replace.
absl::Status check_replaceable(const std::string& path,
                               std::initializer_list<std::string_view> beginnings);

// The same, and its directory is there and may be written to: what hours of work are to end in.
absl::Status check_writable(const std::string& path,
                            std::initializer_list<std::string_view> beginnings);

// Replaces the file `path` by one that holds `bytes`, durably. The caller has asked
// check_replaceable(). It is written under another name in the same directory,
// PATH.<16 digits>.tmp, so that no file of the user's is overwritten and any number of processes may
// do so at once; a symbolic link at `path` is replaced and not followed. Signals are held back
// meanwhile.
absl::Status replace_output(const Environment& environment, const std::string& path,
                            std::string_view bytes);

}  // namespace qk::cli
