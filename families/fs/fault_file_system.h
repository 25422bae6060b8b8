// FaultFileSystem: forwards to another file system, and fails one mutating call, by number, with
// EIO, before it took effect; and keeps a list of the mutating calls. For tests of what a family
// does after an error, and of what it asks of the disk.
#pragma once

#include <cerrno>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "families/fs/file_system.h"

namespace qk::families {

class FaultFileSystem final : public FileSystem {
 public:
  explicit FaultFileSystem(FileSystem* inner) : inner_(*inner) {}

  // The n-th mutating call from now on fails (1 is the next); 0: none does.
  void fail_at(uint64_t n) { countdown_ = n; }
  // Whether the failure has happened.
  bool failed() const { return failed_; }
  // "write log/log_meta.tmp": every mutating call since the last take, the failed ones too; a file
  // is named as it was opened.
  std::vector<std::string> take_calls() { return std::exchange(calls_, {}); }

  absl::StatusOr<std::unique_ptr<File>> open(std::string_view path, OpenFlags flags) override {
    if (flags.create || flags.truncate) QK_RETURN_IF_ERROR(count("open", path));
    QK_ASSIGN_OR_RETURN(std::unique_ptr<File> file, inner_.open(path, flags));
    return std::make_unique<FaultFile>(this, std::move(file), path);
  }
  absl::Status unlink(std::string_view path) override {
    QK_RETURN_IF_ERROR(count("unlink", path));
    return inner_.unlink(path);
  }
  absl::Status rename(std::string_view from, std::string_view to) override {
    QK_RETURN_IF_ERROR(count("rename", cat(from, " ", to)));
    return inner_.rename(from, to);
  }
  absl::Status link(std::string_view existing, std::string_view name) override {
    QK_RETURN_IF_ERROR(count("link", cat(existing, " ", name)));
    return inner_.link(existing, name);
  }
  absl::Status mkdir(std::string_view path) override {
    QK_RETURN_IF_ERROR(count("mkdir", path));
    return inner_.mkdir(path);
  }
  absl::Status rmdir(std::string_view path) override {
    QK_RETURN_IF_ERROR(count("rmdir", path));
    return inner_.rmdir(path);
  }
  absl::StatusOr<std::vector<std::string>> list(std::string_view path) override {
    return inner_.list(path);
  }
  absl::StatusOr<FileStat> stat(std::string_view path) override { return inner_.stat(path); }
  absl::Status sync_dir(std::string_view path, SyncKind kind) override {
    QK_RETURN_IF_ERROR(count("sync_dir", path));
    return inner_.sync_dir(path, kind);
  }
  absl::StatusOr<std::unique_ptr<FileLock>> lock(std::string_view path) override {
    return inner_.lock(path);
  }
  absl::StatusOr<uint64_t> free_space(std::string_view path) override {
    return inner_.free_space(path);
  }

 private:
  class FaultFile final : public File {
   public:
    FaultFile(FaultFileSystem* fs, std::unique_ptr<File> inner, std::string_view path)
        : fs_(*fs), inner_(std::move(inner)), path_(path) {}
    absl::StatusOr<size_t> read_at(uint64_t offset, std::span<char> buffer) override {
      return inner_->read_at(offset, buffer);
    }
    absl::Status write_at(uint64_t offset, std::string_view bytes) override {
      QK_RETURN_IF_ERROR(fs_.count("write", path_));
      return inner_->write_at(offset, bytes);
    }
    absl::Status truncate(uint64_t size) override {
      QK_RETURN_IF_ERROR(fs_.count("truncate", path_));
      return inner_->truncate(size);
    }
    absl::StatusOr<uint64_t> size() override { return inner_->size(); }
    absl::Status sync(SyncKind kind) override {
      QK_RETURN_IF_ERROR(fs_.count("sync", path_));
      return inner_->sync(kind);
    }

   private:
    FaultFileSystem& fs_;
    const std::unique_ptr<File> inner_;
    const std::string path_;
  };

  absl::Status count(std::string_view what, std::string_view path) {
    calls_.push_back(cat(what, " ", path));
    if (countdown_ == 0 || --countdown_ > 0) return absl::OkStatus();
    failed_ = true;
    return errno_status(EIO, cat("injected: ", what));
  }

  FileSystem& inner_;
  uint64_t countdown_ = 0;
  bool failed_ = false;
  std::vector<std::string> calls_;
};

}  // namespace qk::families
