// Planted bugs of storage: of families, and of what they make of their files at a start.
#include <map>
#include <set>

#include "sim/explore/plants.h"

namespace qk::sim {
namespace {

// Of two families, one run after the other; many crashes; and with snapshots that followers need.
constexpr std::string_view kPair = "rolling-pair store[to].family=sqlite";
constexpr std::string_view kTree = "rolling-pair";
// Of local, whose first sync after the start fails.
constexpr std::string_view kDiskFaults = "disk-faults";
constexpr std::string_view kFaults = "rolling-under-random-faults";
// Segments of a few entries.
constexpr std::string_view kSegments =
    "rolling-under-random-faults store[old].local.segment_size=4KiB";
// The same where leaders are cut off with a tail that others cut.
constexpr std::string_view kCutSegments =
    "rolling-under-random-faults store[old].local.segment_size=1KiB run_for=70s "
    "random.mean_time_to_crash=20s random.mean_time_to_partition=1500ms "
    "random.partition_for=500ms..1500ms migration[0].transfer_leadership_first=false "
    "migration[0].dual_write_for=12s";
// With tails that conflict with a snapshot.
constexpr std::string_view kResets = "snapshots-over-tails";
// Several candidates at a time, whose logs differ: who has refused one votes for another one in the
// same term.
constexpr std::string_view kContestedVotes =
    "snapshots-over-tails cluster.snapshot_every_entries=200 cluster.nodes=5 "
    "cluster.election_timeout=150ms..160ms cluster.link.latency=10ms..120ms workload.clients=20 "
    "workload.rate=5 random.mean_time_to_partition=1s";
// Bytes at rest change, and sectors cannot be read.
constexpr std::string_view kLying = "lying-disks random.mean_time_to_bad_sector=500ms";
constexpr std::string_view kRottingLogs =
    "lying-disks random.mean_time_to_bit_flip=100ms random.mean_time_to_bad_sector=60s "
    "random.mean_time_to_crash=20s";
constexpr std::string_view kRotting =
    "lying-disks store[from].family=sqlite store[to].family=rocksdb "
    "random.mean_time_to_bit_flip=300ms";
constexpr std::string_view kInstalls =
    "rolling-under-random-faults cluster.snapshot_every_entries=20";

OnPath containing(std::string_view part) {
  return [part](std::string_view path) { return path.find(part) != std::string_view::npos; };
}

bool anywhere(const Scene&) { return true; }
// A start of the node, and not the look of an import at what it has just written.
bool at_start(const Scene& scene) {
  return !scene.is_target() || scene.phase() >= migration::Phase::kDualWrite;
}

void sync_skipped(FileBugs& bugs, const OnPath& hit) { bugs.skips_sync = hit; }
void sync_dir_skipped(FileBugs& bugs, const OnPath& hit) { bugs.skips_sync_dir = hit; }
void syncs_skipped(FileBugs& bugs, const OnPath& hit) {
  bugs.skips_sync = hit;
  bugs.skips_sync_dir = hit;
}
void unlink_skipped(FileBugs& bugs, const OnPath& hit) { bugs.skips_unlink = hit; }
void truncate_skipped(FileBugs& bugs, const OnPath& hit) { bugs.skips_truncate = hit; }
void rename_skipped(FileBugs& bugs, const OnPath& hit) {
  bugs.skips_rename = [hit](std::string_view, std::string_view to) { return hit(to); };
}
void write_altered(FileBugs& bugs, const OnPath& hit) {
  bugs.write = [hit](std::string_view path, uint64_t, std::string* bytes) {
    if (!bytes->empty() && hit(path)) bytes->back() = static_cast<char>(bytes->back() ^ 1);
    return true;
  };
}
void write_cut_short(FileBugs& bugs, const OnPath& hit) {
  bugs.write = [hit](std::string_view path, uint64_t, std::string* bytes) {
    if (bytes->size() > 64 && hit(path)) bytes->resize(bytes->size() / 2);
    return true;
  };
}
void sync_error_swallowed(FileBugs& bugs, const OnPath& hit) { bugs.swallows_sync_error = hit; }
// The directory is not synced after a name was removed from it.
void removal_not_synced(FileBugs& bugs, const OnPath& hit) {
  auto removed = std::make_shared<bool>(false);
  bugs.skips_unlink = [hit, removed](std::string_view path) {
    if (hit(path)) *removed = true;
    return false;
  };
  bugs.skips_sync_dir = [removed](std::string_view path) {
    return path.ends_with("/log") && std::exchange(*removed, false);
  };
}

// Until the first save, the hard state reads as `alter` makes it.
void recovered_as(StorageBugs& bugs, const Hit& hit,
                  const std::function<families::HardState(const families::HardState&)>& alter) {
  auto lies = std::make_shared<bool>(false);
  bugs.recovered = [hit, lies](families::Family&) { *lies = hit(); };
  bugs.hard_state = [lies, alter](const families::HardState& right) {
    return *lies ? alter(right) : right;
  };
  bugs.save = [lies](families::MetaStorage& meta, const families::HardState& state) {
    *lies = false;
    return meta.save(state);
  };
}

void files(std::vector<Row>* rows) {
  const auto add = [rows](PlantedBug bug, const OnPath& where, const auto& fill) {
    rows->push_back(file_row(bug, where, fill));
  };
  add({"vote-not-synced", "KB-20", "ST", "P1", kPair, "ora.L5 ora.L13",
       "local: the file with term and vote is not synced"},
      containing("/raft_meta"), syncs_skipped);
  add({"vote-not-renamed", "", "ST", "P0", kPair, "ora.L5 ora.L13",
       "local: the file with term and vote is written beside its place, and left there"},
      containing("/raft_meta/raft_meta"), rename_skipped);
  add({"vote-bit-flipped", "KB-25", "ST", "P0", kPair, "ora.L5 ora.L2 ora.L9",
       "local: a bit of term and vote is written wrongly"},
      containing("/raft_meta/raft_meta"), write_altered);
  add({"segment-not-synced", "KB-45", "ST", "P1", kPair, "ora.L1",
       "local: what a sync of a segment returns is ignored, so an unsynced one counts as synced"},
      containing("/log/log_inprogress"), sync_skipped);
  add({"sync-error-swallowed", "", "ST", "P0", kDiskFaults, "ora.L11",
       "local: the error that a sync of a segment returns is ignored"},
      containing("/log/log_inprogress"), sync_error_swallowed);
  add({"bad-sector-reads-as-zeros", "", "ST", "E", kLying, "ora.L9 ora.L12",
       "local: a part of a segment that cannot be read reads as zeros"},
      containing("/log/log_"), [](FileBugs& bugs, const OnPath& hit) { bugs.reads_zeros = hit; });
  add(
      {"segment-name-not-synced", "KB-3", "ST", "P2", kPair, "ora.L1 ora.L9 ora.L13 ora.L10",
       "local: the name of a new segment is not synced"},
      [](std::string_view path) { return path.ends_with("/log"); }, sync_dir_skipped);
  add({"segment-bit-flipped", "", "ST", "P0", kPair, "ora.L1 ora.L9",
       "local: a bit of what is appended is written wrongly"},
      containing("/log/log_inprogress"), write_altered);
  add({"segment-write-cut-short", "", "ST", "P0", kPair, "ora.L1 ora.L9",
       "local: half of what is appended is written"},
      containing("/log/log_inprogress"), write_cut_short);
  add({"segments-return", "KB-40", "ST", "P2", kCutSegments, "ora.L2 ora.R4 ora.L1 ora.L9",
       "local: the removal of a segment is not synced"},
      containing("/log/log_"), removal_not_synced);
  add({"segment-not-removed", "KB-54", "ST", "P0", kCutSegments, "ora.L1 ora.L2 ora.L9",
       "local: a segment that was truncated stays"},
      containing("/log/log_"), unlink_skipped);
  add({"segment-not-cut", "", "ST", "P0", kSegments, "ora.L1 ora.L2 ora.L9",
       "local: a segment is not cut where the log is"},
      containing("/log/log_"), truncate_skipped);
  add({"log-range-not-synced", "", "ST", "P1", kPair, "ora.L1 ora.L2 ora.L9 ora.L10",
       "local: the file with the first index is not synced"},
      containing("/log/log_meta"), sync_skipped);
  add({"log-range-not-renamed", "", "ST", "P0", kPair, "ora.L1 ora.L2 ora.L9 ora.L12",
       "local: the file with the first index is written beside its place, and left there"},
      containing("/log/log_meta"), rename_skipped);
  add({"snapshot-files-not-synced", "KB-28", "ST", "P2", kPair, "ora.L1 ora.L9",
       "a snapshot is published before its files are synced"},
      containing("/snapshot/temp"), syncs_skipped);
  add(
      {"snapshot-name-not-synced", "", "ST", "P2", kPair, "ora.L1 ora.L9 ora.L4 ora.L10",
       "local: the directory that a snapshot is renamed in is not synced"},
      [](std::string_view path) { return path.ends_with("/snapshot"); }, sync_dir_skipped);
  add({"sqlite-wal-not-synced", "KB-10", "ST", "P1", kPair, "ora.L1 ora.L5 ora.D1",
       "sqlite: the write-ahead log is not synced"},
      containing("/db-wal"), sync_skipped);
  add(
      {"rocksdb-log-not-synced", "", "ST", "P1", kTree, "ora.L1 ora.L5 ora.D1",
       "rocksdb: the write-ahead log is not synced"},
      [](std::string_view path) { return path.ends_with(".log"); }, sync_skipped);
  add({"rocksdb-manifest-not-synced", "KB-11", "ST", "P1", kTree,
       "ora.L1 ora.L5 ora.D1 ora.L9 ora.L14 ora.L10",
       "rocksdb: the list of live files is not synced"},
      containing("/MANIFEST"), sync_skipped);
}

void families_of(std::vector<Row>* rows) {
  const auto add = [rows](PlantedBug bug, const Defect& defect) {
    rows->push_back(family_row(bug, anywhere, defect));
  };
  add({"append-skipped", "", "ST", "P0", kPair, "ora.L1 ora.R7 ora.L12",
       "an append does nothing and says ok"},
      defect::append_skipped);
  add({"append-late", "KB-6", "ST", "P0", kPair, "ora.L1 ora.R7 ora.D5",
       "an append is acknowledged before it is written: the next one writes it"},
      defect::append_late);
  add({"append-cut-short", "KB-48", "ST", "P0", kFaults, "ora.L1 ora.L12 ora.R7",
       "the last entry of a batch is left out, and the batch counts as whole"},
      defect::append_cut_short);
  add({"append-altered", "", "ST", "P0", kPair, "ora.L1 ora.L2 ora.D1 ora.R7",
       "a bit of a payload changes on its way into the log"},
      defect::append_altered);
  add({"append-old-term", "KB-44", "ST", "P0", kPair, "ora.L1 ora.L2 ora.R7",
       "the first entry of a term is written with the term before it"},
      defect::append_old_term);
  add({"truncate-prefix-skipped", "KB-17", "ST", "P0", kPair, "ora.L1 ora.L2",
       "entries below a snapshot stay"},
      defect::truncate_prefix_skipped);
  add({"truncate-prefix-one-more", "KB-43", "ST", "P0", kPair, "ora.L1 ora.L2 ora.L4",
       "compaction removes one entry too many"},
      defect::truncate_prefix_one_more);
  add({"truncate-suffix-skipped", "", "ST", "P0", kFaults, "ora.L1 ora.L2 ora.L12 ora.R4",
       "entries that conflict stay"},
      defect::truncate_suffix_skipped);
  add({"truncate-suffix-one-more", "KB-41", "ST", "P0", kFaults, "ora.L1 ora.L2 ora.L12",
       "one entry too many is cut off"},
      defect::truncate_suffix_one_more);
  add({"reset-skipped", "KB-33", "ST", "P0", kResets, "ora.L1 ora.L2 ora.L4 ora.L12 ora.R4",
       "the log stays when a snapshot replaces it"},
      defect::reset_skipped);
  add({"reset-one-more", "KB-55", "ST", "P0", kResets, "ora.L1 ora.L2 ora.L4 ora.L12",
       "after an installed snapshot the log begins one index too late"},
      defect::reset_one_more);
  add({"save-skipped", "", "ST", "P0", kPair, "ora.L5 ora.L13", "term and vote are not saved"},
      defect::save_skipped);
  add({"save-late", "", "ST", "P0", kPair, "ora.L5 ora.L13",
       "term and vote are saved with the next ones only"},
      defect::save_late);
  add({"save-without-vote", "", "ST", "P0", kPair, "ora.L5", "the term is saved, the vote is not"},
      defect::save_without_vote);
  add({"save-only-new-terms", "", "ST", "P0", kContestedVotes, "ora.L5",
       "a vote in a term that is already saved is not saved"},
      defect::save_only_new_terms);
  add({"publish-skipped", "KB-37", "ST", "P0", kPair, "ora.L1 ora.L4",
       "a snapshot is reported, and not there"},
      defect::publish_skipped);
  add({"publish-loses-file", "", "ST", "P0", kPair, "ora.L1 ora.L2 ora.D1",
       "a file is missing in the table of a snapshot"},
      defect::publish_loses_file);
  add({"snapshot-index-low", "KB-36", "ST", "P0", kPair, "ora.L1 ora.L2 ora.L4",
       "a snapshot says that it ends one entry earlier"},
      defect::snapshot_index_low);
  add({"snapshot-term-high", "", "ST", "P0", kPair, "ora.L1 ora.L2",
       "a snapshot says that its last entry is of a later term"},
      defect::snapshot_term_high);
  add({"damage-served", "", "ST", "E", kRottingLogs,
       "ora.R4 ora.R6 ora.R5 ora.I1 ora.L1 ora.L2 ora.M3 ora.D1 ora.D3 ora.C1",
       "an entry whose checksum does not hold is read all the same"},
      [](StorageBugs& bugs, const Hit& hit) {
        // The same answer for each read of an entry.
        bugs.damaged =
            [hit, served = std::make_shared<std::map<int64_t, bool>>()](families::LogEntry* entry) {
              const auto [found, first] = served->try_emplace(entry->index, false);
              if (first) found->second = hit();
              return found->second;
            };
      });
  add({"damage-taken-for-absence", "KB-24", "ST", "E", kRotting, "ora.L9 ora.L12 ora.L13",
       "a damaged instance counts as none"},
      [](StorageBugs& bugs, const Hit& hit) { bugs.absent = hit; });
  add({"stale-read", "", "ST", "P0", kPair,
       "ora.L1 ora.L2 ora.L12 ora.R4 ora.R6 ora.C1 ora.I1 ora.D3",
       "an entry is read with another payload than it has"},
      [](StorageBugs& bugs, const Hit& hit) {
        bugs.read = [hit](families::LogEntry* entry) {
          if (entry->type == families::EntryType::kData && !entry->payload.empty() && hit()) {
            entry->payload.back() = static_cast<char>(entry->payload.back() ^ 1);
          }
        };
      });
}

void recovery(std::vector<Row>* rows) {
  // A process that died leaves bytes that a reader sees and that no sync has covered.
  rows->push_back({{"recovery-not-synced", "", "REC", "P0", kFaults, "ora.L10",
                    "a start syncs nothing of what it found"},
                   [](Plant& plant) {
                     auto opening = std::make_shared<std::set<NodeId>>();
                     plant.files = [&plant, opening](const MutantNode& node) {
                       opening->insert(node.id);
                       FileBugs bugs;
                       bugs.skips_sync = [&plant, opening, id = node.id](std::string_view) {
                         return opening->contains(id) && plant.dice.acts();
                       };
                       bugs.skips_sync_dir = bugs.skips_sync;
                       return bugs;
                     };
                     // Asked when the instance is open.
                     plant.storage = [opening](const MutantNode& node,
                                               const families::OpenRequest&) {
                       opening->erase(node.id);
                       return StorageBugs();
                     };
                   }});
  const auto add = [rows](PlantedBug bug, const Defect& defect) {
    rows->push_back(family_row(bug, at_start, defect));
  };
  add({"recovery-drops-tail", "KB-12", "REC", "P0", kPair, "ora.L1 ora.D3 ora.M3",
       "a start takes the last entry for torn"},
      [](StorageBugs& bugs, const Hit& hit) {
        bugs.recovered = [hit](families::Family& family) {
          families::LogStorage& log = family.log();
          if (log.last_index() < log.first_index() || !hit()) return;
          (void)log.truncate_suffix(log.last_index() - 1);
        };
      });
  add({"recovery-empties-log", "", "REC", "P0", kPair, "ora.L1 ora.L4 ora.D3 ora.L12 ora.L9 ora.M3",
       "a start resets the log to the index after its last entry"},
      [](StorageBugs& bugs, const Hit& hit) {
        bugs.recovered = [hit](families::Family& family) {
          families::LogStorage& log = family.log();
          if (log.last_index() >= log.first_index() && hit()) {
            (void)log.truncate_prefix(log.last_index() + 1);
          }
        };
      });
  add({"recovery-forgets-hard-state", "KB-24", "REC", "P0", kPair, "ora.L5 ora.L13 ora.D4 ora.L10",
       "a start finds neither term nor vote"},
      [](StorageBugs& bugs, const Hit& hit) {
        recovered_as(bugs, hit, [](const families::HardState&) { return families::HardState{}; });
      });
  add({"recovery-forgets-vote", "", "REC", "P0", kPair, "ora.L5 ora.D4 ora.L10",
       "a start finds the term without its vote"},
      [](StorageBugs& bugs, const Hit& hit) {
        recovered_as(bugs, hit, [](const families::HardState& right) {
          return families::HardState{right.term, ""};
        });
      });
  add({"recovery-persists-early", "KB-49", "REC", "P0", kPair, "ora.L2 ora.L5 ora.D4 ora.M3",
       "a start saves a term that nobody has asked for yet"},
      [](StorageBugs& bugs, const Hit& hit) {
        bugs.recovered = [hit](families::Family& family) {
          if (hit()) (void)family.meta().save({family.meta().hard_state().term + 1, ""});
        };
      });
  add({"recovery-invents-entry", "KB-8", "REC", "P0", kPair, "ora.L2 ora.D3 ora.M3",
       "a start appends an entry that it has already"},
      [](StorageBugs& bugs, const Hit& hit) {
        bugs.recovered = [hit](families::Family& family) {
          families::LogStorage& log = family.log();
          if (log.last_index() < log.first_index() || !hit()) return;
          auto last = log.entry(log.last_index());
          if (!last.ok()) return;
          ++last->index;
          (void)log.append({&*last, 1});
        };
      });
}

}  // namespace

std::vector<Row> storage_plants() {
  std::vector<Row> rows;
  files(&rows);
  families_of(&rows);
  recovery(&rows);
  return rows;
}

}  // namespace qk::sim
