// SyncDroppingFileSystem: forwards everything to another file system, but silently skips the sync
// of files, and of directories, whose path the predicate names. For planted bugs: the oracles must
// find a family that forgets a sync. A file keeps the path that it was opened by.
#pragma once

#include <functional>
#include <memory>
#include <string_view>
#include <utility>

#include "families/fs/file_system_wrapper.h"

namespace qk::sim {

class SyncDroppingFileSystem final : public families::FileSystemWrapper {
 public:
  using Predicate = std::function<bool(std::string_view path)>;

  SyncDroppingFileSystem(std::unique_ptr<families::FileSystem> inner, Predicate drops)
      : FileSystemWrapper(inner.get()), owned_(std::move(inner)), drops_(std::move(drops)) {}

  absl::Status sync_dir(std::string_view path, families::SyncKind kind) override {
    return drops_(path) ? absl::OkStatus() : inner().sync_dir(path, kind);
  }

 private:
  class UnsyncedFile final : public families::FileWrapper {
   public:
    using FileWrapper::FileWrapper;
    absl::Status sync(families::SyncKind) override { return absl::OkStatus(); }
  };

  std::unique_ptr<families::File> wrap(std::unique_ptr<families::File> file, std::string_view path,
                                       families::OpenFlags) override {
    if (!drops_(path)) return file;
    return std::make_unique<UnsyncedFile>(std::move(file));
  }

  const std::unique_ptr<families::FileSystem> owned_;
  Predicate drops_;
};

}  // namespace qk::sim
