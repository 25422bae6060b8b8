// LegacySnapshotStorage: braft's LocalSnapshotStorage (braft-local-format.md 4, 6.11, 6.12). Of a new
// snapshot the meta file alone is synced by it; the files are synced by who writes them, as braft's
// copier and a careful application do. A snapshot whose meta cannot be read counts as none, and older
// ones are gone by then.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "families/contract/snapshot_tree_writer.h"
#include "sim/legacy/legacy_file.h"

namespace qk::sim::legacy {

class LegacySnapshot;

class LegacySnapshotStorage final : public families::SnapshotStorage {
 public:
  static absl::StatusOr<std::unique_ptr<LegacySnapshotStorage>> open(families::FileSystem& fs,
                                                                     const std::string& directory,
                                                                     Errno* error);

  absl::StatusOr<std::shared_ptr<families::SnapshotReader>> open() override;
  std::optional<families::SnapshotMeta> current() const override;
  absl::StatusOr<std::unique_ptr<families::SnapshotWriter>> create() override;
  families::Outcome publish(std::unique_ptr<families::SnapshotWriter> writer) override;

 private:
  LegacySnapshotStorage(families::FileSystem& fs, std::string directory)
      : fs_(fs), directory_(std::move(directory)) {}

  families::FileSystem& fs_;
  const std::string directory_;
  std::shared_ptr<LegacySnapshot> current_;
  const families::SnapshotTreeWriter::Slot writer_ = families::SnapshotTreeWriter::make_slot();
};

}  // namespace qk::sim::legacy
