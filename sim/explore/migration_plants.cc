// Planted bugs of image, import, dual write and migration.
#include <algorithm>
#include <map>
#include <utility>

#include "families/base/bytes.h"
#include "families/base/hash.h"
#include "image/identity.h"
#include "sim/explore/plants.h"

namespace qk::sim {
namespace {

using families::HardState;
using families::LogEntry;
using migration::Phase;

constexpr std::string_view kSmall = "rolling-pair store[to].family=sqlite";
constexpr std::string_view kLonger = "rolling-pair store[to].family=sqlite run_for=40s";
// Leaders are cut off with entries that nobody else has, and migrate without handing over: what they
// then have to cut off lies in both families.
constexpr std::string_view kCutTails =
    "rolling-under-random-faults run_for=70s random.mean_time_to_crash=20s "
    "random.mean_time_to_partition=1500ms random.partition_for=500ms..1500ms "
    "migration[0].transfer_leadership_first=false migration[0].dual_write_for=12s";
// Several candidates at a time, whose logs differ: who has refused one votes for another one in the
// same term.
constexpr std::string_view kContestedRoll =
    "rolling-under-random-faults cluster.nodes=5 cluster.election_timeout=150ms..160ms "
    "cluster.link.latency=10ms..120ms workload.clients=20 workload.rate=5 "
    "random.mean_time_to_partition=1s random.mean_time_to_crash=20s random.quiet_after=50s "
    "migration[0].dual_write_for=10s run_for=120s expect.max_ack_gap=60s";
// The leader stops while the first node imports, which votes for another one.
constexpr std::string_view kVoteInImport =
    "rolling-pair store[to].family=sqlite at[0].t=@migrating:BOOT at[0].crash.node=@leader "
    "migration[0].on_validation_fail=HALT";
// A bit of a mark flips at rest; without the lost writes that come before it.
constexpr std::string_view kRottingMarks = "damaged-migration at[3].t=n1:B+1s";
constexpr std::string_view kRandom = "rolling-under-random-faults";
// Long dual writes under load, in which whoever migrates crashes: between the two writes of a
// mutation, too.
constexpr std::string_view kDualCrashes =
    "contested-leaders run_for=22s migration[0].dual_write_for=3s random.quiet_after=11s "
    "random.mean_time_to_crash=400ms";
constexpr std::string_view kInstalling =
    "rolling-under-random-faults cluster.snapshot_every_entries=20";

bool in_mirror(const Scene& scene) { return scene.is_mirror(); }
// B before it is a mirror: while it is made, and while it catches up.
bool in_new_target(const Scene& scene) {
  return scene.is_target() && scene.phase() < Phase::kDualWrite;
}
bool in_source_of_export(const Scene& scene) {
  return scene.phase() == Phase::kExporting && scene.within(scene.manifest().a.root);
}

void alter(LogEntry* entry) {
  if (entry->type == families::EntryType::kData && !entry->payload.empty()) {
    entry->payload.back() = static_cast<char>(entry->payload.back() ^ 1);
  }
}

// The hard state of an export's cut, which is the first that is read after the mark of the export was
// begun: not what a start reads that finds itself in an export, and not what an oracle compares with.
Row captured_as(PlantedBug bug, const std::function<HardState(const HardState&)>& alter) {
  return {bug, [alter](Plant& plant) {
            plant.storage = [&plant, alter](const MutantNode& node,
                                            const families::OpenRequest& request) {
              StorageBugs bugs;
              const Scene scene{node, request.root};
              const auto seen = std::make_shared<uint64_t>(node.witness->exports_marked());
              bugs.hard_state = [&plant, alter, scene, seen](const HardState& right) {
                const uint64_t marked = scene.node.witness->exports_marked();
                if (*seen == marked || !scene.within(scene.manifest().a.root)) return right;
                *seen = marked;
                return plant.dice.acts() ? alter(right) : right;
              };
              return bugs;
            };
          }};
}

void imports(std::vector<Row>* rows) {
  rows->push_back({{"import-marker-first", "KB-51", "IMG", "P0", "crash-in-every-phase", "ora.L14",
                    "an import says that it is complete before its content is there"},
                   [](Plant& plant) {
                     plant.files = [&plant](const MutantNode&) {
                       FileBugs bugs;
                       bugs.write = [&plant](std::string_view path, uint64_t, std::string* bytes) {
                         return !plant.dice.acts() || mark_import_complete(path, bytes);
                       };
                       return bugs;
                     };
                   }});
  // The first open of the target writes, later ones read: they share what was written.
  rows->push_back(
      {{"import-altered-reads-cached", "KB-72", "IMG", "det", kSmall, "ora.D1 ora.M3 ora.D3",
        "an import changes a payload, and every check of it reads a cache"},
       [](Plant& plant) {
         plant.storage = [&plant, wrong = std::make_shared<std::map<std::string, int64_t>>()](
                             const MutantNode& node, const families::OpenRequest& request) {
           StorageBugs bugs;
           const Scene scene{node, request.root};
           const std::string key = cat(node.id, scene.manifest().b.root);
           bugs.load = [&plant, wrong, scene, key](LogEntry* entry) {
             if (entry->type != families::EntryType::kData || !in_new_target(scene) ||
                 wrong->count(key) > 0 || !plant.dice.acts()) {
               return;
             }
             (*wrong)[key] = entry->index;
             alter(entry);
           };
           bugs.read = [wrong, scene, key](LogEntry* entry) {
             const auto it = wrong->find(key);
             if (it != wrong->end() && it->second == entry->index && scene.is_target()) {
               alter(entry);
             }
           };
           return bugs;
         };
       }});
  const auto add = [rows](PlantedBug bug, const Where& where, const Defect& defect) {
    rows->push_back(family_row(bug, where, defect));
  };
  rows->push_back(captured_as({"export-vote-lost", "KB-57", "IMG", "N", kSmall,
                               "ora.I1 ora.D1 ora.D4", "an image holds the term without its vote"},
                              [](const HardState& right) {
                                return HardState{right.term, ""};
                              }));
  // An export refuses a term below its log's, and nothing explains why the node stops then.
  rows->push_back(captured_as({"export-term-low", "", "IMG", "N", kSmall,
                               "ora.I1 ora.D1 ora.D4 ora.L12", "an image holds an older term"},
                              [](const HardState& right) {
                                return HardState{std::max<int64_t>(0, right.term - 1), ""};
                              }));
  add({"export-altered", "", "IMG", "N", kSmall, "ora.I1 ora.D1",
       "an image holds another payload than the log"},
      in_source_of_export, [](StorageBugs& bugs, const Hit& hit) {
        bugs.read = [hit](LogEntry* entry) {
          if (hit()) alter(entry);
        };
      });
  add({"import-vote-lost", "", "IMG", "det", kSmall, "ora.D1 ora.M3 ora.D4 ora.L12 expect",
       "an import does not write the vote"},
      in_new_target, defect::save_without_vote);
  add({"import-snapshot-term-wrong", "KB-52", "IMG", "det", kSmall, "ora.D1 ora.M3 ora.L12 expect",
       "an import writes another term into the snapshot"},
      in_new_target, defect::snapshot_term_high);
  add({"import-loses-file", "", "IMG", "det", kSmall, "ora.D1 ora.M3 ora.L12 expect",
       "an import leaves a file of the snapshot out of its table"},
      in_new_target, defect::publish_loses_file);
  add(
      {"catch-up-vote-lost", "KB-61", "MC", "N", kVoteInImport, "ora.D1 ora.M3 ora.D4 expect",
       "a vote between the cut of the export and the dual write is not replayed"},
      [](const Scene& scene) { return scene.is_target() && scene.phase() == Phase::kValidated; },
      defect::save_without_vote);
  add(
      {"catch-up-altered", "", "MC", "N", kSmall, "ora.D1 ora.M3 ora.D3 expect",
       "an entry that is replayed between the cut of the export and the dual write changes"},
      [](const Scene& scene) { return scene.is_target() && scene.phase() == Phase::kValidated; },
      defect::append_altered);
}

void dual_writes(std::vector<Row>* rows) {
  rows->push_back({{"ack-before-mirror", "KB-60", "DW", "P1", kSmall, "ora.D1",
                    "a dual write is acknowledged before the mirror's files are synced"},
                   [](Plant& plant) {
                     plant.files = [&plant](const MutantNode& node) {
                       FileBugs bugs;
                       const auto hit = [&plant, node](std::string_view path) {
                         return Scene{node, std::string(path)}.is_mirror() && plant.dice.acts();
                       };
                       bugs.skips_sync = hit;
                       bugs.skips_sync_dir = hit;
                       return bugs;
                     };
                   }});
  const auto add = [rows](PlantedBug bug, const Defect& defect) {
    rows->push_back(family_row(bug, in_mirror, defect));
  };
  add({"mirror-error-swallowed", "KB-59", "DW", "E", kSmall, "ora.D2 ora.D1 ora.D5",
       "an append of the mirror fails, and its error is swallowed"},
      defect::append_refused);
  add({"mirror-skips-append", "", "DW", "P0", kSmall, "ora.D1 ora.D5 ora.L12",
       "an append is not mirrored"},
      defect::append_skipped);
  add({"mirror-late", "", "DW", "P0", kSmall, "ora.D1 ora.D5 ora.L12",
       "the mirror writes an append with the next one only"},
      defect::append_late);
  add({"mirror-cut-short", "KB-48", "DW", "P0", kRandom, "ora.D1 ora.D5 ora.L12",
       "the last entry of a batch is not mirrored, and the batch counts as whole"},
      defect::append_cut_short);
  add({"mirror-altered", "", "DW", "P0", kSmall, "ora.D1 ora.D3 ora.D5 ora.M3",
       "the mirror gets another payload"},
      defect::append_altered);
  add({"mirror-old-term", "", "DW", "P0", kRandom, "ora.D1 ora.D3 ora.D5 ora.M3",
       "the mirror gets the first entry of a term with the term before it"},
      defect::append_old_term);
  add({"mirror-skips-save", "", "DW", "P0", kRandom, "ora.D1 ora.D4 ora.D5 ora.L5",
       "term and vote are not mirrored"},
      defect::save_skipped);
  add({"mirror-save-late", "", "DW", "P0", kRandom, "ora.D1 ora.D4 ora.D5 ora.L5",
       "term and vote are mirrored with the next ones only"},
      defect::save_late);
  add({"mirror-vote-partly", "KB-63", "DW", "P0", kContestedRoll, "ora.D1 ora.D4 ora.D5 ora.L5",
       "the vote is mirrored only when the term changes", Judge::kRun,
       "a vote in a term that is already saved is seldom given", "conformance DUAL/each_operation"},
      defect::save_only_new_terms);
  add({"mirror-without-vote", "", "DW", "P0", kRandom, "ora.D1 ora.D4 ora.D5 ora.L5",
       "the term is mirrored, the vote is not"},
      defect::save_without_vote);
  add({"mirror-skips-truncate-prefix", "", "DW", "P0", kInstalling, "ora.D1 ora.D5 ora.D3",
       "compaction is not mirrored"},
      defect::truncate_prefix_skipped);
  add({"mirror-skips-truncate-suffix", "", "DW", "P0", kCutTails, "ora.D1 ora.D5 ora.D3 ora.L12",
       "what is cut off is not cut off from the mirror"},
      defect::truncate_suffix_skipped);
  add({"mirror-cuts-one-more", "", "DW", "P0", kCutTails, "ora.D1 ora.D5 ora.D3 ora.L12",
       "one entry too many is cut off from the mirror"},
      defect::truncate_suffix_one_more);
  add({"mirror-skips-reset", "", "DW", "P0", kInstalling, "ora.D1 ora.D5 ora.D3 ora.L12",
       "the mirror's log stays when a snapshot replaces it", Judge::kRun,
       "a log is reset only where it conflicts with an installed snapshot at its last index, which "
       "hardly any run reaches while it migrates",
       "conformance DUAL/each_operation"},
      defect::reset_skipped);
  add({"mirror-skips-publish", "", "DW", "P0", kInstalling, "ora.D1 ora.D5 ora.D3",
       "a snapshot is not mirrored"},
      defect::publish_skipped);
  add({"mirror-loses-file", "", "DW", "P0", kInstalling, "ora.D1 ora.D5 ora.D3 ora.M3",
       "a file of a snapshot is not in the mirror's table"},
      defect::publish_loses_file);
  // What a start writes to the mirror before anything is written to the primary, it makes up for.
  rows->push_back(
      {{"reconcile-loses-entry", "KB-49", "DW", "P0", kDualCrashes, "ora.D3 ora.D1 ora.L9 ora.L12",
        "after a crash in a dual phase the mirror is given all that it lacks but the last entry"},
       [](Plant& plant) {
         plant.storage = [&plant, written = std::make_shared<std::map<NodeId, bool>>()](
                             const MutantNode& node, const families::OpenRequest& request) {
           StorageBugs bugs;
           const Scene scene{node, request.root};
           (*written)[node.id] = false;
           bugs.append = [&plant, written, scene](families::LogStorage& log,
                                                  std::span<const LogEntry> entries) {
             bool& in_service = (*written)[scene.node.id];
             const bool mirror = scene.is_mirror();
             if (mirror && !in_service && entries.size() > 0 && plant.dice.acts()) {
               const auto less = entries.first(entries.size() - 1);
               return less.empty() ? families::Outcome::success(1) : log.append(less);
             }
             if (!mirror) in_service = true;
             return log.append(entries);
           };
           return bugs;
         };
       }});
  // Wherever it was kept: B's is used, and A's is newer.
  add({"old-vote-wins", "KB-64", "DW", "P0", kRandom, "ora.D4 ora.L5 ora.D3 ora.L9 ora.L12",
       "after a crash the hard state of both families is read as one that is older than A's"},
      [](StorageBugs& bugs, const Hit& hit) {
        bugs.recovered = [hit](families::Family&) { (void)hit(); };
        bugs.hard_state = [hit](const HardState& right) {
          return right.voted_for.empty() || !hit() ? right : HardState{right.term, ""};
        };
      });
}

void operators(std::vector<Row>* rows) {
  rows->push_back({{"guard-sees-no-harm", "", "MC", "N", kRandom, "ora.M11",
                    "the guard is told that every node is healthy and at rest"},
                   [](Plant& plant) {
                     plant.surveys = [&plant](std::vector<migration::NodeStatus>* cluster) {
                       if (!plant.dice.acts()) return;
                       for (migration::NodeStatus& node : *cluster) {
                         node.healthy = true;
                         node.phase = Phase::kIdle;
                       }
                     };
                   }});
  // In its hard form one node does. Asked again, it forgets again.
  rows->push_back({{"request-forgotten", "", "MC", "N", kLonger, "ora.M8",
                    "a node says yes to what the operator asks for, and never does it"},
                   [](Plant& plant) {
                     plant.forgets = [&plant](NodeId node) {
                       return plant.dice.always() || plant.dice.place(3) + 1 == node;
                     };
                   }});
}

void phases(std::vector<Row>* rows) {
  // The first sync of the directory after the rename.
  rows->push_back({{"fence-not-synced", "KB-73", "MC", "P1", kSmall, "ora.M1",
                    "the fence of the old family is not synced"},
                   [](Plant& plant) {
                     plant.files = [&plant](const MutantNode&) {
                       FileBugs bugs;
                       auto renamed = std::make_shared<bool>(false);
                       bugs.skips_rename = [renamed](std::string_view, std::string_view to) {
                         *renamed = *renamed || to.find(".fenced-") != std::string_view::npos;
                         return false;
                       };
                       bugs.skips_sync_dir = [&plant, renamed](std::string_view) {
                         return std::exchange(*renamed, false) && plant.dice.acts();
                       };
                       return bugs;
                     };
                   }});
  const auto add = [rows](PlantedBug bug, std::string_view part,
                          const std::function<void(FileBugs&, const OnPath&)>& fill) {
    rows->push_back(file_row(
        bug, [part](std::string_view path) { return path.find(part) != std::string_view::npos; },
        fill));
  };
  add({"manifest-not-synced", "KB-73", "MC", "P1", kSmall, "ora.M2",
       "the mark of a phase is not synced"},
      "/migration/manifest", [](FileBugs& bugs, const OnPath& hit) { bugs.skips_sync = hit; });
  add({"manifest-not-written", "KB-69", "MC", "P0", kSmall, "ora.M2",
       "the mark of a phase is not written, and the mark before it stays"},
      "/migration/manifest", [](FileBugs& bugs, const OnPath& hit) {
        bugs.write = [hit](std::string_view path, uint64_t, std::string*) { return !hit(path); };
      });
  add({"manifest-bit-flipped", "", "MC", "P0", kSmall, "ora.M2 ora.L9",
       "a bit of the mark of a phase is written wrongly"},
      "/migration/manifest", [](FileBugs& bugs, const OnPath& hit) {
        bugs.write = [hit](std::string_view path, uint64_t, std::string* bytes) {
          if (!hit(path)) return true;
          // Of both copies.
          for (const size_t at : {size_t{9}, bytes->size() / 2 + 9}) {
            if (at < bytes->size()) (*bytes)[at] = static_cast<char>((*bytes)[at] ^ 1);
          }
          return true;
        };
      });
  add({"manifest-written-once", "", "MC", "E", kRottingMarks, "ora.M2 ora.M1 ora.L9",
       "the mark of a phase has no second copy"},
      "/migration/manifest", [](FileBugs& bugs, const OnPath& hit) {
        bugs.write = [hit](std::string_view path, uint64_t, std::string* bytes) {
          if (!hit(path)) return true;
          bytes->resize(bytes->size() / 2);
          bytes->resize(bytes->find_last_not_of('\0') + 1);
          return true;
        };
      });
  add({"journal-not-written", "", "MC", "P0", kRandom, "ora.D3 ora.L9 ora.L12 ora.L2",
       "what a dual write is about to do is not written down first"},
      "/migration/journal", [](FileBugs& bugs, const OnPath& hit) {
        bugs.write = [hit](std::string_view path, uint64_t, std::string*) { return !hit(path); };
      });
  add({"journal-not-synced", "", "MC", "P1", kDualCrashes, "ora.D3 ora.L9 ora.L12 ora.L2",
       "what a dual write is about to do is not synced first"},
      "/migration/journal", [](FileBugs& bugs, const OnPath& hit) { bugs.skips_sync = hit; });
  add({"image-bit-flipped", "", "IMG", "det", kSmall, "ora.I1 ora.I3 expect",
       "a bit of an image is written wrongly"},
      ".qki", [](FileBugs& bugs, const OnPath& hit) {
        bugs.write = [hit](std::string_view path, uint64_t, std::string* bytes) {
          if (!bytes->empty() && hit(path)) bytes->back() = static_cast<char>(bytes->back() ^ 1);
          return true;
        };
      });
}

}  // namespace

bool mark_import_complete(std::string_view path, std::string* bytes) {
  constexpr size_t kCrcBytes = 4;
  // Its name while it is written; the state is the last byte before the checksum.
  if (!path.ends_with("/qk_identity.tmp") || bytes->size() <= kCrcBytes) return true;
  char& state = (*bytes)[bytes->size() - kCrcBytes - 1];
  if (state != static_cast<char>(image::InstanceState::kImporting)) return true;
  state = static_cast<char>(image::InstanceState::kCurrent);
  bytes->resize(bytes->size() - kCrcBytes);
  put_le32(bytes, crc32c(*bytes));
  return true;
}

std::vector<Row> migration_plants() {
  std::vector<Row> rows;
  imports(&rows);
  dual_writes(&rows);
  phases(&rows);
  operators(&rows);
  return rows;
}

}  // namespace qk::sim
