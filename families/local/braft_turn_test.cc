// Turns of real braft in a directory that was ours: after a kill at every file operation of every
// mutation, braft opens the log, appends and is killed; then it is our turn again. Nothing that
// braft acknowledged may be lost or hidden, and nothing that was acknowledged to us.
//
// Braft is played here by its file operations (braft-local-format.md 2.2 and 2.3). Its verdict on a
// directory that it refuses ends the turn.
#include <catch2/catch.hpp>
#include <functional>
#include <map>

#include "families/base/bytes.h"
#include "families/fs/fault_file_system.h"
#include "families/fs/file_util.h"
#include "families/local/log_storage.h"
#include "families/local/private_notes.h"
#include "families/testing/scratch_disk.h"

namespace qk::families::local {
namespace {

constexpr LogOptions kOptions = {.segment_size = 3000};
constexpr char kDirectory[] = "/log";

using Entries = std::map<int64_t, LogEntry>;

std::vector<LogEntry> batch_of(int64_t first, int64_t count, int64_t term) {
  std::vector<LogEntry> batch;
  for (int64_t i = first; i < first + count; ++i) {
    batch.push_back({i, term, EntryType::kData, cat("entry ", i, std::string(400, 'x'))});
  }
  return batch;
}

bool ends_with_tmp(const std::string& name) {
  return name.size() > 4 && name.substr(name.size() - 4) == ".tmp";
}

// Braft's storage of one log, after a good init.
class Braft {
 public:
  // nullopt: braft refuses the directory.
  static std::optional<Braft> open(FileSystem& fs, const std::string& directory) {
    Braft braft(fs, directory);
    return braft.init() ? std::optional<Braft>(braft) : std::nullopt;
  }

  int64_t first() const { return first_; }
  int64_t last() const { return last_; }
  const Entries& entries() const { return entries_; }

  void append(int64_t count, int64_t term) {
    for (const LogEntry& entry : batch_of(last_ + 1, count, term)) {
      if (!open_) {
        open_ = SegmentName::make_open(entry.index);
        REQUIRE(write_file(fs_, path_of(*open_), "").ok());
      }
      const auto file = fs_.open(path_of(*open_), {});
      REQUIRE(file.ok());
      std::string bytes;
      encode_entry(entry, ChecksumType::kCrc32c, &bytes);
      REQUIRE((*file)->write_at(*(*file)->size(), bytes).ok());
      REQUIRE((*file)->sync(SyncKind::kFull).ok());
      entries_[entry.index] = entry;
      last_ = entry.index;
    }
  }

 private:
  Braft(FileSystem& fs, std::string directory) : fs_(fs), directory_(std::move(directory)) {}
  std::string path_of(const SegmentName& name) const {
    return join_path(directory_, name.to_string());
  }

  bool init() {
    const auto meta = read_file(fs_, join_path(directory_, "log_meta"), 100);
    REQUIRE(meta.ok());
    // 00 00 00 02 08 FIRST, of which the tests need one byte.
    REQUIRE(meta->size() == 6);
    first_ = (*meta)[5];
    std::vector<SegmentName> closed;
    const auto names = fs_.list(directory_);
    REQUIRE(names.ok());
    for (const std::string& name : *names) {
      if (ends_with_tmp(name)) {
        REQUIRE(fs_.unlink(join_path(directory_, name)).ok());
        continue;
      }
      const auto segment = parse_segment_name(name);
      if (!segment) continue;
      if (segment->open && open_) return false;
      if (segment->open) {
        open_ = segment;
      } else if (segment->last < first_) {
        REQUIRE(fs_.unlink(path_of(*segment)).ok());
      } else {
        if (!closed.empty() && segment->first != closed.back().last + 1) return false;
        closed.push_back(*segment);
      }
    }
    if (!closed.empty() && closed.front().first > first_) return false;
    last_ = first_ - 1;
    for (const SegmentName& name : closed) {
      if (!load(name, name.last)) return false;
    }
    if (open_ && !load(*open_, -1)) return false;
    if (open_ && last_ < first_) {
      REQUIRE(fs_.unlink(path_of(*open_)).ok());
      open_.reset();
    }
    last_ = std::max(last_, first_ - 1);
    entries_.erase(entries_.begin(), entries_.lower_bound(first_));
    return true;
  }

  bool load(const SegmentName& name, int64_t last) {
    const auto bytes = read_file(fs_, path_of(name), 1 << 20);
    REQUIRE(bytes.ok());
    size_t offset = 0;
    int64_t index = name.first;
    EntryHeader header;
    for (; offset + kEntryHeaderSize <= bytes->size(); ++index) {
      if (!try_decode_header(bytes->data() + offset, &header)) return false;
      if (offset + header.entry_size() > bytes->size()) break;
      entries_[index] = {index, header.term, header.type,
                         bytes->substr(offset + kEntryHeaderSize, header.data_length)};
      offset += header.entry_size();
    }
    if (last >= 0 && index != last + 1) return false;
    if (offset < bytes->size()) {
      const auto file = fs_.open(path_of(name), {});
      REQUIRE((*file)->truncate(offset).ok());
    }
    last_ = index - 1;
    return true;
  }

  FileSystem& fs_;
  std::string directory_;
  int64_t first_ = 1;
  int64_t last_ = 0;
  std::optional<SegmentName> open_;
  Entries entries_;
};

struct Mutation {
  std::string name;
  std::function<Outcome(SegmentLogStorage&)> run;
};

std::vector<Mutation> mutations() {
  return {
      {"append a batch over a roll", [](auto& log) { return log.append(batch_of(25, 8, 1)); }},
      {"append one", [](auto& log) { return log.append(batch_of(25, 1, 1)); }},
      {"truncate in the open segment", [](auto& log) { return log.truncate_suffix(23); }},
      {"truncate over segments", [](auto& log) { return log.truncate_suffix(9); }},
      {"truncate to a segment's end", [](auto& log) { return log.truncate_suffix(14); }},
      {"truncate all", [](auto& log) { return log.truncate_suffix(0); }},
      {"truncate the prefix", [](auto& log) { return log.truncate_prefix(18); }},
      {"reset inside", [](auto& log) { return log.reset(12); }},
      {"reset to an older index", [](auto& log) { return log.reset(1); }},
      {"reset beyond", [](auto& log) { return log.reset(60); }},
  };
}

Entries entries_of(SegmentLogStorage& log) {
  Entries entries;
  if (log.first_index() > log.last_index()) return entries;
  const absl::Status status =
      log.scan(log.first_index(), log.last_index(), [&](const LogEntry& entry) {
        entries[entry.index] = entry;
        return absl::OkStatus();
      });
  INFO(status);
  REQUIRE(status.ok());
  return entries;
}

struct Turns {
  int kills = 0;
  int turns = 0;  // of braft
};

// Kills at mutating call `n` of `mutation`; false if it ends before. `appends`: what braft appends
// in its turn. `brought_back`: a power cut undoes braft's removal of the notes.
bool kill_at(const Mutation& mutation, uint64_t n, Fault::Effect effect, int64_t appends,
             bool brought_back, Turns* turns) {
  ScratchDisk disk;
  FaultFileSystem faults(&disk.fs());
  const std::string directory = disk.path() + kDirectory;
  REQUIRE(disk.fs().mkdir(directory).ok());
  REQUIRE(SegmentLogStorage::create(disk.fs(), directory).ok());
  FailStop fail_stop;
  auto log = SegmentLogStorage::open(faults, directory, kOptions, &fail_stop);
  REQUIRE(log.ok());
  for (int64_t first = 1; first <= 24; first += 4) {
    REQUIRE((*log)->append(batch_of(first, 4, 1)).ok());
  }
  Fault fault;
  fault.effect = effect;
  fault.lasts = true;
  faults.fail_at(n, fault);
  (void)mutation.run(**log);
  if (!faults.failed()) return false;
  log->reset();
  ++turns->kills;

  std::map<std::string, std::string> notes;
  for (const std::string_view name : {kBatchNoteName, kTruncationNoteName}) {
    const auto bytes = read_file(disk.fs(), join_path(directory, name), 1 << 20);
    if (bytes.ok()) notes[std::string(name)] = *bytes;
  }
  auto braft = Braft::open(disk.fs(), directory);
  if (braft) {
    ++turns->turns;
    braft->append(appends, 2);
    if (brought_back) {
      for (const auto& [name, bytes] : notes) {
        REQUIRE(write_file(disk.fs(), join_path(directory, name), bytes).ok());
      }
    }
  }
  for (int open = 0; open < 2; ++open) {
    FailStop again;
    const auto ours = SegmentLogStorage::open(disk.fs(), directory, kOptions, &again);
    INFO("open " << open << ": " << ours.status());
    REQUIRE(ours.ok());
    if (!braft) continue;
    CHECK((*ours)->first_index() == braft->first());
    CHECK((*ours)->last_index() == braft->last());
    CHECK((entries_of(**ours) == braft->entries()));
  }
  return true;
}

TEST_CASE("what braft acknowledged after a kill of ours stays") {
  Turns turns;
  for (const Mutation& mutation : mutations()) {
    for (const auto effect : {Fault::Effect::kNone, Fault::Effect::kPart, Fault::Effect::kAll}) {
      for (const int64_t appends : {0, 1, 6}) {
        for (const bool brought_back : {false, true}) {
          // A note that comes back after a turn in which braft wrote nothing may be obeyed.
          if (brought_back && appends == 0) continue;
          for (uint64_t n = 1;; ++n) {
            CAPTURE(mutation.name, n, static_cast<int>(effect), appends, brought_back);
            if (!kill_at(mutation, n, effect, appends, brought_back, &turns)) break;
          }
        }
      }
    }
  }
  INFO(turns.kills << " kills, " << turns.turns << " turns of braft");
  CHECK(turns.kills > 500);
  CHECK(turns.turns == turns.kills);
}

}  // namespace
}  // namespace qk::families::local
