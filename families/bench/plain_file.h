// A plain file, written and read in large parts: what no snapshot and no image can do without.
#pragma once

#include <cstdint>
#include <string>

namespace qk::families::bench {

// Synced, its name not.
void write_plain_file(const std::string& path, uint64_t bytes);
void read_plain_file(const std::string& path);

}  // namespace qk::families::bench
