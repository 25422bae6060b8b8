// What an exploration found, as text: equal for equal records, without a time or a directory.
//
//   phase        instants     states   distinct      alike recoveries violations
//   DUAL               89       2161       1185        104       1164          0
//   matrix    P0              EXPORT   BOOT     V1   DUAL     V2    CUT      B
//             local>sqlite        12     31      9    230    101     55      -
//   empty     local>sqlite B at P0
#pragma once

#include <string>

#include "tools/qksim/explore_directory.h"

namespace qk::cli {

sim::ExplorationCounts total_of(const ExploreRecords& records);

// How much was explored, by phase; of several variants, by variant. Then the matrix phase x fault x
// pair of families, with its empty cells.
std::string explored_text(const ExploreRecords& records);

}  // namespace qk::cli
