// FileMetaStorage: term and vote in one ProtoBufFile, `raft_meta/raft_meta`
// (braft-local-format.md 3).
//
// After a crash: the last saved pair, or the one being saved. No file reads as the initial state
// (term 1, nobody), because braft writes none before the first save and save() makes the file's
// name durable before it returns. A file that is not a whole record is DataLoss, never "first
// start".
#pragma once

#include <memory>
#include <string>

#include "families/contract/fail_stop.h"
#include "families/contract/meta_storage.h"
#include "families/fs/file_system.h"

namespace qk::families::local {

inline constexpr std::string_view kRaftMetaName = "raft_meta";

class FileMetaStorage final : public MetaStorage {
 public:
  // The directory must exist. `fs` and `fail_stop` must outlive the object.
  static absl::StatusOr<std::unique_ptr<FileMetaStorage>> open(FileSystem& fs,
                                                               const std::string& directory,
                                                               FailStop* fail_stop);

  HardState hard_state() const override { return state_; }
  Outcome save(const HardState& state) override;

 private:
  FileMetaStorage(FileSystem& fs, std::string path, HardState state, FailStop* fail_stop)
      : fs_(fs), path_(std::move(path)), state_(std::move(state)), fail_stop_(*fail_stop) {}

  FileSystem& fs_;
  const std::string path_;
  HardState state_;
  FailStop& fail_stop_;
};

}  // namespace qk::families::local
