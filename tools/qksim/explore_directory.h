// The directory of an exploration:
//
//   explore.json           what it explores
//   records.jsonl          one line for each unit that is done (sim/explore/crash_exploration.h)
//   report.txt             what it found; no time of day and no duration in it
//   found-N.qks.txtpb      one scenario for each finding, that `qksim run` reproduces
//
// record_directory.h says what a kill leaves of it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "sim/explore/crash_exploration.h"
#include "tools/qksim/record_directory.h"

namespace qk::cli {

// One window of one run.
struct ExploreVariant {
  std::string scenario;  // as the command line names it
  std::string name;      // the scenario's
  std::string pair;      // "local>sqlite": of the families of its first migration
  std::vector<std::string> sets;
  uint64_t seed = 0;
  std::string window;
  uint64_t scenario_hash = 0;
};

struct ExploreDefinition {
  std::string build;
  std::string directory;  // absolute; what scenarios that are files are relative to
  std::vector<ExploreVariant> variants;
  std::vector<std::string> nodes;
  std::string levels;
  uint32_t omit = 1;
  uint32_t nested = 0;
  uint32_t most = 0;
  uint32_t recheck = 0;
  uint32_t shard = 1;
  uint32_t shards = 1;
  std::string planted;
};

std::string to_text(const ExploreDefinition& definition);
// Of untrusted text: DataLoss says what is wrong with it.
absl::StatusOr<ExploreDefinition> parse_exploration(std::string_view text);

struct ExploreRecords {
  ExploreDefinition definition;
  std::vector<std::map<uint64_t, sim::ExploredUnit>> units;  // of each variant, by number
};

inline constexpr RecordNames kExploreNames = {"exploration", "explore.json"};

// Reads a directory; nothing is written. `*whole`: see for_each_record().
absl::StatusOr<ExploreRecords> read_exploration(families::FileSystem& fs, const std::string& path,
                                                uint64_t* whole);

}  // namespace qk::cli
