// Target: the table of a legacy snapshot, __raft_snapshot_meta (families/local/snapshot_table.h).
//
// Input: the file. What loads is written again and loads as the same; and a directory with this
// table opens with its meta, lists its files, and reads none that is not there.
#include <iterator>

#include "families/base/check.h"
#include "families/fs/file_util.h"
#include "families/local/snapshot_storage.h"
#include "families/local/snapshot_table.h"
#include "tools/fuzz/golden_seeds.h"
#include "tools/fuzz/target.h"

namespace qk::fuzz {
namespace {

using families::kSnapshotTableName;
using families::local::DirectorySnapshotStorage;
using families::local::load_snapshot_table;
using families::local::SnapshotTable;

constexpr size_t kDigits = 20;

bool same(const SnapshotTable& a, const SnapshotTable& b) {
  return a.meta == b.meta && a.files == b.files;
}

void open_directory(const SnapshotTable& table, std::string_view bytes) {
  std::string number = cat(table.meta.last_included_index);
  number.insert(0, kDigits - number.size(), '0');
  MemoryDisk disk;
  disk.put("/snapshot", cat("snapshot_", number, "/", kSnapshotTableName), bytes);
  families::FailStop fail_stop;
  const auto storage = DirectorySnapshotStorage::open(disk.fs(), "/snapshot", &fail_stop);
  if (!storage.ok()) {
    QK_CHECK(table.meta.last_included_term < 1);
    return;
  }
  QK_CHECK((*storage)->current() == table.meta);
  const auto reader = (*storage)->open();
  QK_CHECK(reader.ok() && (*reader)->files() == table.files);
  for (const families::SnapshotFile& file : table.files) {
    // The only file there is the table itself, and no name leads to it.
    QK_CHECK(!(*reader)->open_file(file.path).ok());
  }
}

}  // namespace

std::vector<std::string> seeds() {
  std::vector<std::string> inputs;
  for (const Tree& tree : golden_trees("snapshot/", 1 << 20)) {
    for (const auto& [path, bytes] : tree) {
      if (families::base_name(cat("/", path)) == kSnapshotTableName) inputs.push_back(bytes);
    }
  }
  std::sort(inputs.begin(), inputs.end());
  inputs.erase(std::unique(inputs.begin(), inputs.end()), inputs.end());
  return inputs;
}

void run(std::string_view input) {
  MemoryDisk disk;
  disk.put("/tree", kSnapshotTableName, input);
  const auto table = load_snapshot_table(disk.fs(), "/tree");
  if (!table.ok()) return;
  QK_CHECK(families::make_directories(disk.fs(), "/copy").ok());
  QK_CHECK(families::local::write_snapshot_table(disk.fs(), "/copy", *table).ok());
  const auto again = load_snapshot_table(disk.fs(), "/copy");
  QK_CHECK(again.ok() && same(*again, *table));
  if (table->meta.last_included_index >= 1) open_directory(*table, input);
}

}  // namespace qk::fuzz
