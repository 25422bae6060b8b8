// Planted bugs of storage: of families, and of what they make of their files at a start.
#include "sim/explore/plants.h"

namespace qk::sim {
namespace {

bool contains(std::string_view path, std::string_view part) {
  return path.find(part) != std::string_view::npos;
}

}  // namespace

std::vector<Row> storage_plants() {
  std::vector<Row> rows;
  rows.push_back({{"vote-not-synced", "KB-20", "BL", "P1", "rolling-local-to-sqlite", "ora.L5",
                   "the sync of the file with term and vote is skipped"},
                  [](Plant& plant) {
                    plant.files = [&plant](const MutantNode&) {
                      FileBugs bugs;
                      const auto hit = [&plant](std::string_view path) {
                        return contains(path, "/raft_meta") && plant.dice.acts();
                      };
                      bugs.skips_sync = hit;
                      bugs.skips_sync_dir = hit;
                      return bugs;
                    };
                  }});
  return rows;
}

}  // namespace qk::sim
