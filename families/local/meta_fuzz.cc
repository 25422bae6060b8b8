// Target: the two small records of a legacy directory, log_meta and raft_meta
// (families/local/protobuf_file.h, log_recovery.h, meta_storage.h).
//
// Input: a byte, 0 for raft_meta and 1 for log_meta, then the file. What opens is saved again, in
// its canonical bytes, and those open as the same.
#include "families/base/check.h"
#include "families/fs/file_util.h"
#include "families/local/log_storage.h"
#include "families/local/meta_storage.h"
#include "tools/fuzz/golden_seeds.h"
#include "tools/fuzz/target.h"

namespace qk::fuzz {
namespace {

using families::FailStop;
using families::local::FileMetaStorage;
using families::local::SegmentLogStorage;

constexpr const char* kDirectory = "/d";

void run_raft_meta(MemoryDisk& disk, std::string_view bytes) {
  disk.put(kDirectory, families::local::kRaftMetaName, bytes);
  FailStop fail_stop;
  const auto meta = FileMetaStorage::open(disk.fs(), kDirectory, &fail_stop);
  if (!meta.ok()) return;
  const families::HardState state = (*meta)->hard_state();
  QK_CHECK(state.term >= 1);
  QK_CHECK((*meta)->save(state).ok());
  const auto again = FileMetaStorage::open(disk.fs(), kDirectory, &fail_stop);
  QK_CHECK(again.ok() && (*again)->hard_state() == state);
}

void run_log_meta(MemoryDisk& disk, std::string_view bytes) {
  disk.put(kDirectory, families::local::kLogMetaName, bytes);
  FailStop fail_stop;
  int64_t first = 0;
  {
    const auto log = SegmentLogStorage::open(disk.fs(), kDirectory, {}, &fail_stop);
    if (!log.ok()) return;
    first = (*log)->first_index();
    QK_CHECK(first >= 1 && (*log)->last_index() == first - 1);
    if (first == INT64_MAX) return;
    QK_CHECK((*log)->truncate_prefix(first + 1).ok());
  }
  const auto again = SegmentLogStorage::open(disk.fs(), kDirectory, {}, &fail_stop);
  QK_CHECK(again.ok() && (*again)->first_index() == first + 1);
}

}  // namespace

std::vector<std::string> seeds() {
  std::vector<std::string> inputs;
  for (const char* folder : {"raft_meta/", "log/"}) {
    for (const Tree& tree : golden_trees(folder, 1 << 20)) {
      for (const auto& [path, bytes] : tree) {
        if (path == families::local::kRaftMetaName) inputs.push_back('\0' + bytes);
        if (path == families::local::kLogMetaName) inputs.push_back('\1' + bytes);
      }
    }
  }
  std::sort(inputs.begin(), inputs.end());
  inputs.erase(std::unique(inputs.begin(), inputs.end()), inputs.end());
  return inputs;
}

void run(std::string_view input) {
  if (input.empty()) return;
  MemoryDisk disk;
  if (input[0] == 0) {
    run_raft_meta(disk, input.substr(1));
  } else {
    run_log_meta(disk, input.substr(1));
  }
}

}  // namespace qk::fuzz
