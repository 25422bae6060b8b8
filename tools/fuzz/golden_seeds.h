// Seeds out of the directories that real braft wrote.
#pragma once

#include <string_view>
#include <vector>

#include "tools/fuzz/memory_disk.h"

namespace qk::fuzz {

// The files below `folder` ("log/") of every case, without that prefix, each tree once, and none
// longer than `max_bytes`: small seeds make fast runs.
std::vector<Tree> golden_trees(std::string_view folder, size_t max_bytes = 4096);

}  // namespace qk::fuzz
