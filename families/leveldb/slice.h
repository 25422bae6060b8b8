// Between LevelDB's slices and ours.
#pragma once

#include <leveldb/slice.h>

#include <string_view>

namespace qk::families {

inline leveldb::Slice to_slice(std::string_view bytes) { return {bytes.data(), bytes.size()}; }
inline std::string_view to_view(const leveldb::Slice& slice) {
  return {slice.data(), slice.size()};
}

}  // namespace qk::families
