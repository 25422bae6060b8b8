// Planted bugs of the simulation: its disk, its determinism, and those that a run plays itself.
#include <chrono>

#include "families/fs/file_util.h"
#include "sim/explore/plants.h"

namespace qk::sim {
namespace {

constexpr std::string_view kAny = "rolling-pair store[to].family=sqlite";

void disks(std::vector<Row>* rows) {
  const auto add = [rows](PlantedBug bug, const std::function<void(FileBugs&)>& fill) {
    bug.judge = Judge::kLitmus;
    rows->push_back({bug, [fill](Plant& plant) {
                       plant.files = [fill](const MutantNode&) {
                         FileBugs bugs;
                         fill(bugs);
                         return bugs;
                       };
                     }});
  };
  add({"disk-names-durable-at-once", "KB-78", "SIM", "det", "", "ora.S2",
       "a name is durable as soon as it is there, so that no bug of a lost name is ever seen"},
      [](FileBugs& bugs) {
        bugs.changed = [](families::FileSystem& disk, std::string_view path) {
          disk.sync_dir(families::parent_path(path), families::SyncKind::kFull).IgnoreError();
        };
      });
  add({"disk-bytes-durable-at-once", "", "SIM", "det", "", "ora.S2",
       "bytes are durable as soon as they are written"},
      [](FileBugs& bugs) {
        bugs.changed = [](families::FileSystem& disk, std::string_view path) {
          const auto stat = disk.stat(path);
          if (!stat.ok() || stat->kind != families::FileKind::kFile) return;
          auto file = disk.open(path, {});
          if (file.ok()) (*file)->sync(families::SyncKind::kFull).IgnoreError();
        };
      });
  add({"disk-ignores-syncs", "", "SIM", "det", "", "ora.S2", "a sync of a file does nothing"},
      [](FileBugs& bugs) { bugs.skips_sync = [](std::string_view) { return true; }; });
  add({"disk-ignores-directory-syncs", "", "SIM", "det", "", "ora.S2",
       "a sync of a directory does nothing"},
      [](FileBugs& bugs) { bugs.skips_sync_dir = [](std::string_view) { return true; }; });
  add({"process-crash-makes-durable", "KB-79", "SIM", "det", "", "ora.S2",
       "what a process wrote is durable when it dies, so that no power cut follows its recovery"},
      [](FileBugs& bugs) {
        bugs.mounted = [](families::FileSystem& disk) {
          families::sync_tree(disk, "/").IgnoreError();
        };
      });
  add({"failed-sync-keeps-pages-dirty", "KB-80", "SIM", "det", "", "ora.S2",
       "what a failed sync did not write, the next one does"},
      [](FileBugs& bugs) {
        bugs.dirties_after_failed_sync = [](std::string_view) { return true; };
      });
  rows->push_back({{"crash-keeps-everything", "", "SIM", "det", "", "ora.S2",
                    "a power cut loses nothing", Judge::kLitmus},
                   [](Plant& plant) {
                     plant.chooses = [](std::unique_ptr<Choice>) {
                       return std::make_unique<KeepAll>();
                     };
                   }});
}

// Loses a message when `when` says so.
Row losing(PlantedBug bug, const std::function<bool(const raft::Packet&)>& when) {
  bug.judge = Judge::kDeterminism;
  return {bug, [when](Plant& plant) {
            plant.sends = [&plant, when](NodeId, NodeId, std::vector<raft::Packet>* packets) {
              if (when(packets->front()) && plant.dice.acts()) packets->clear();
            };
          }};
}

void chance(std::vector<Row>* rows) {
  rows->push_back(
      losing({"wall-clock", "", "DET", "det", kAny, "ora.S1",
              "what a run does depends on the time of day"},
             [](const raft::Packet&) {
               return std::chrono::steady_clock::now().time_since_epoch().count() % 61 == 0;
             }));
  rows->push_back(losing({"address-of-heap", "", "DET", "det", kAny, "ora.S1",
                          "what a run does depends on where its memory lies"},
                         [](const raft::Packet& packet) {
                           return reinterpret_cast<uintptr_t>(packet.body.data()) / 16 % 61 == 0;
                         }));
  // Left over from the run before it.
  rows->push_back(losing({"state-of-the-run-before", "", "DET", "det", kAny, "ora.S1",
                          "what a run does depends on what ran before it"},
                         [count = std::make_shared<uint64_t>(0)](const raft::Packet&) {
                           return ++*count % 1009 == 0;
                         }));
}

}  // namespace

std::vector<Row> simulation_plants() {
  std::vector<Row> rows;
  disks(&rows);
  chance(&rows);
  rows.push_back({{"canary", "", "SIM", "P0", kAny, "ora.L5 ora.L13",
                   "term and vote are not saved, if the seed is a multiple of 100"},
                  [](Plant& plant) {
                    if (plant.seed % 100 != 0) return;
                    plant.storage = [](const MutantNode&, const families::OpenRequest&) {
                      StorageBugs bugs;
                      defect::save_skipped(bugs, [] { return true; });
                      return bugs;
                    };
                  }});
  rows.push_back({{kCheckFails, "", "SIM", "det", "", "internal", "a check of our own fails"}, {}});
  rows.push_back(
      {{kException, "", "SIM", "det", "", "internal", "an exception that nobody catches"}, {}});
  rows.push_back({{kGarbledAnswers, "", "SIM", "det", kAny, "ora.C1",
                   "clients get answers that do not decode"},
                  {}});
  return rows;
}

}  // namespace qk::sim
