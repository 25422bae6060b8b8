// SyncDroppingFileSystem: forwards everything to another file system, but silently skips the sync
// of files, and of directories, whose path the predicate names. For planted bugs: the oracles must
// find a family that forgets a sync. A file keeps the path that it was opened by.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "families/fs/file_system.h"

namespace qk::sim {

class SyncDroppingFileSystem final : public families::FileSystem {
 public:
  using Predicate = std::function<bool(std::string_view path)>;

  SyncDroppingFileSystem(std::unique_ptr<families::FileSystem> inner, Predicate drops)
      : inner_(std::move(inner)), drops_(std::move(drops)) {}

  absl::StatusOr<std::unique_ptr<families::File>> open(std::string_view path,
                                                       families::OpenFlags flags) override {
    QK_ASSIGN_OR_RETURN(std::unique_ptr<families::File> file, inner_->open(path, flags));
    if (drops_(path)) file = std::make_unique<UnsyncedFile>(std::move(file));
    return file;
  }
  absl::Status unlink(std::string_view path) override { return inner_->unlink(path); }
  absl::Status rename(std::string_view from, std::string_view to) override {
    return inner_->rename(from, to);
  }
  absl::Status link(std::string_view existing, std::string_view name) override {
    return inner_->link(existing, name);
  }
  absl::Status mkdir(std::string_view path) override { return inner_->mkdir(path); }
  absl::Status rmdir(std::string_view path) override { return inner_->rmdir(path); }
  absl::StatusOr<std::vector<std::string>> list(std::string_view path) override {
    return inner_->list(path);
  }
  absl::StatusOr<families::FileStat> stat(std::string_view path) override {
    return inner_->stat(path);
  }
  absl::Status sync_dir(std::string_view path, families::SyncKind kind) override {
    return drops_(path) ? absl::OkStatus() : inner_->sync_dir(path, kind);
  }
  absl::StatusOr<std::unique_ptr<families::FileLock>> lock(std::string_view path) override {
    return inner_->lock(path);
  }
  absl::StatusOr<uint64_t> free_space(std::string_view path) override {
    return inner_->free_space(path);
  }

 private:
  class UnsyncedFile final : public families::File {
   public:
    explicit UnsyncedFile(std::unique_ptr<families::File> inner) : inner_(std::move(inner)) {}

    absl::StatusOr<size_t> read_at(uint64_t offset, std::span<char> buffer) override {
      return inner_->read_at(offset, buffer);
    }
    absl::Status write_at(uint64_t offset, std::string_view bytes) override {
      return inner_->write_at(offset, bytes);
    }
    absl::Status truncate(uint64_t size) override { return inner_->truncate(size); }
    absl::StatusOr<uint64_t> size() override { return inner_->size(); }
    absl::Status sync(families::SyncKind) override { return absl::OkStatus(); }

   private:
    std::unique_ptr<families::File> inner_;
  };

  std::unique_ptr<families::FileSystem> inner_;
  Predicate drops_;
};

}  // namespace qk::sim
