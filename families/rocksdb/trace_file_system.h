// TraceFileSystem: forwards to another file system and records every call that changes something:
// operation, path, offset, length and a hash of the bytes. For tests of determinism.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "families/base/hash.h"
#include "families/fs/file_system_wrapper.h"

namespace qk::families {

class TraceFileSystem final : public FileSystemWrapper {
 public:
  using FileSystemWrapper::FileSystemWrapper;

  const std::vector<std::string>& operations() const { return operations_; }

  absl::StatusOr<std::unique_ptr<File>> open(std::string_view path, OpenFlags flags) override {
    if (flags.create) record("open", path);
    return FileSystemWrapper::open(path, flags);
  }
  absl::Status unlink(std::string_view path) override {
    record("unlink", path);
    return inner().unlink(path);
  }
  absl::Status rename(std::string_view from, std::string_view to) override {
    record("rename", from, to);
    return inner().rename(from, to);
  }
  absl::Status link(std::string_view existing, std::string_view name) override {
    record("link", existing, name);
    return inner().link(existing, name);
  }
  absl::Status mkdir(std::string_view path) override {
    record("mkdir", path);
    return inner().mkdir(path);
  }
  absl::Status rmdir(std::string_view path) override {
    record("rmdir", path);
    return inner().rmdir(path);
  }
  absl::Status sync_dir(std::string_view path, SyncKind kind) override {
    record("sync_dir", path);
    return inner().sync_dir(path, kind);
  }
  absl::StatusOr<std::unique_ptr<FileLock>> lock(std::string_view path) override {
    record("lock", path);
    return inner().lock(path);
  }

 private:
  class TraceFile final : public FileWrapper {
   public:
    TraceFile(TraceFileSystem* fs, std::string path, std::unique_ptr<File> inner)
        : FileWrapper(std::move(inner)), fs_(*fs), path_(std::move(path)) {}
    absl::Status write_at(uint64_t offset, std::string_view bytes) override {
      fs_.record("write", path_, offset, "+", bytes.size(), hex16(xxh3_64(bytes)));
      return inner().write_at(offset, bytes);
    }
    absl::Status truncate(uint64_t size) override {
      fs_.record("truncate", path_, size);
      return inner().truncate(size);
    }
    absl::Status sync(SyncKind kind) override {
      fs_.record("sync", path_);
      return inner().sync(kind);
    }

   private:
    TraceFileSystem& fs_;
    const std::string path_;
  };

  std::unique_ptr<File> wrap(std::unique_ptr<File> file, std::string_view path,
                             OpenFlags) override {
    return std::make_unique<TraceFile>(this, std::string(path), std::move(file));
  }

  template <typename... Args>
  void record(std::string_view operation, const Args&... args) {
    std::string line(operation);
    ((line += cat(" ", args)), ...);
    operations_.push_back(std::move(line));
  }

  std::vector<std::string> operations_;
};

}  // namespace qk::families
