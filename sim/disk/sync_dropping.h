// SyncDroppingFileSystem: forwards everything to another file system, but silently skips the sync
// of files, and of directories, whose path the predicate names at that moment. For planted bugs:
// the oracles must find who forgets a sync. A file keeps the path that it was opened by.
#pragma once

#include <functional>
#include <memory>
#include <string>
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
  class DroppingFile final : public families::FileWrapper {
   public:
    DroppingFile(std::unique_ptr<families::File> inner, std::string_view path,
                 const Predicate* drops)
        : FileWrapper(std::move(inner)), path_(path), drops_(*drops) {}
    absl::Status sync(families::SyncKind kind) override {
      return drops_(path_) ? absl::OkStatus() : inner().sync(kind);
    }

   private:
    const std::string path_;
    const Predicate& drops_;
  };

  std::unique_ptr<families::File> wrap(std::unique_ptr<families::File> file, std::string_view path,
                                       families::OpenFlags) override {
    return std::make_unique<DroppingFile>(std::move(file), path, &drops_);
  }

  const std::unique_ptr<families::FileSystem> owned_;
  Predicate drops_;
};

}  // namespace qk::sim
