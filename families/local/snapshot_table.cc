#include "families/local/snapshot_table.h"

#include <algorithm>

#include "families/fs/file_util.h"
#include "families/local/local.pb.h"
#include "families/local/protobuf_file.h"

namespace qk::families::local {

bool SnapshotTable::contains(std::string_view path) const {
  const auto at =
      std::lower_bound(files.begin(), files.end(), path,
                       [](const SnapshotFile& f, std::string_view p) { return f.path < p; });
  return at != files.end() && at->path == path;
}

absl::StatusOr<SnapshotTable> load_snapshot_table(FileSystem& fs, std::string_view tree) {
  const std::string path = join_path(tree, kSnapshotTableName);
  proto::LocalSnapshotPbMeta message;
  QK_RETURN_IF_ERROR(load_protobuf_file(fs, path, &message));
  if (!message.has_meta()) return absl::DataLossError(cat(path, ": has no meta record"));
  SnapshotTable table;
  table.meta.last_included_index = message.meta().last_included_index();
  table.meta.last_included_term = message.meta().last_included_term();
  table.meta.peers.assign(message.meta().peers().begin(), message.meta().peers().end());
  table.meta.old_peers.assign(message.meta().old_peers().begin(), message.meta().old_peers().end());
  for (const auto& file : message.files()) {
    SnapshotFile entry{file.name(), {}};
    if (file.meta().has_user_meta()) entry.meta.user_meta = file.meta().user_meta();
    if (file.meta().has_source()) entry.meta.source = file.meta().source();
    if (file.meta().has_checksum()) entry.meta.checksum = file.meta().checksum();
    table.files.push_back(std::move(entry));
  }
  // All at once: any number of names may be listed in any order.
  std::sort(table.files.begin(), table.files.end(),
            [](const SnapshotFile& a, const SnapshotFile& b) { return a.path < b.path; });
  const auto twice = std::adjacent_find(
      table.files.begin(), table.files.end(),
      [](const SnapshotFile& a, const SnapshotFile& b) { return a.path == b.path; });
  if (twice != table.files.end()) {
    return absl::DataLossError(cat(path, ": file name \"", twice->path, "\" is listed twice"));
  }
  const absl::Status legal = check_snapshot_files(table.files).status();
  if (!legal.ok()) return annotate(legal, path);
  return table;
}

absl::Status write_snapshot_table(FileSystem& fs, std::string_view tree,
                                  const SnapshotTable& table) {
  proto::LocalSnapshotPbMeta message;
  message.mutable_meta()->set_last_included_index(table.meta.last_included_index);
  message.mutable_meta()->set_last_included_term(table.meta.last_included_term);
  for (const std::string& peer : table.meta.peers) message.mutable_meta()->add_peers(peer);
  for (const std::string& peer : table.meta.old_peers) message.mutable_meta()->add_old_peers(peer);
  for (const SnapshotFile& file : table.files) {
    auto* entry = message.add_files();
    entry->set_name(file.path);
    // Present even when empty, as braft writes it.
    auto* meta = entry->mutable_meta();
    if (file.meta.user_meta) meta->set_user_meta(*file.meta.user_meta);
    if (file.meta.source) meta->set_source(static_cast<proto::FileSource>(*file.meta.source));
    if (file.meta.checksum) meta->set_checksum(*file.meta.checksum);
  }
  return write_file(fs, join_path(tree, kSnapshotTableName), encode_protobuf_file(message));
}

}  // namespace qk::families::local
