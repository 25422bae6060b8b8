// TraceFileSystem: forwards to another file system and records every call that changes something:
// operation, path, offset, length and a hash of the bytes. For tests of determinism.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/hash.h"
#include "families/fs/file_system.h"

namespace qk::families {

class TraceFileSystem final : public FileSystem {
 public:
  explicit TraceFileSystem(FileSystem* inner) : inner_(*inner) {}

  const std::vector<std::string>& operations() const { return operations_; }

  absl::StatusOr<std::unique_ptr<File>> open(std::string_view path, OpenFlags flags) override {
    if (flags.create) record("open", path);
    QK_ASSIGN_OR_RETURN(std::unique_ptr<File> file, inner_.open(path, flags));
    return std::make_unique<TraceFile>(this, std::string(path), std::move(file));
  }
  absl::Status unlink(std::string_view path) override {
    record("unlink", path);
    return inner_.unlink(path);
  }
  absl::Status rename(std::string_view from, std::string_view to) override {
    record("rename", from, to);
    return inner_.rename(from, to);
  }
  absl::Status link(std::string_view existing, std::string_view name) override {
    record("link", existing, name);
    return inner_.link(existing, name);
  }
  absl::Status mkdir(std::string_view path) override {
    record("mkdir", path);
    return inner_.mkdir(path);
  }
  absl::Status rmdir(std::string_view path) override {
    record("rmdir", path);
    return inner_.rmdir(path);
  }
  absl::StatusOr<std::vector<std::string>> list(std::string_view path) override {
    return inner_.list(path);
  }
  absl::StatusOr<FileStat> stat(std::string_view path) override { return inner_.stat(path); }
  absl::Status sync_dir(std::string_view path, SyncKind kind) override {
    record("sync_dir", path);
    return inner_.sync_dir(path, kind);
  }
  absl::StatusOr<std::unique_ptr<FileLock>> lock(std::string_view path) override {
    record("lock", path);
    return inner_.lock(path);
  }
  absl::StatusOr<uint64_t> free_space(std::string_view path) override {
    return inner_.free_space(path);
  }

 private:
  class TraceFile final : public File {
   public:
    TraceFile(TraceFileSystem* fs, std::string path, std::unique_ptr<File> inner)
        : fs_(*fs), path_(std::move(path)), inner_(std::move(inner)) {}
    absl::StatusOr<size_t> read_at(uint64_t offset, std::span<char> buffer) override {
      return inner_->read_at(offset, buffer);
    }
    absl::Status write_at(uint64_t offset, std::string_view bytes) override {
      fs_.record("write", path_, offset, "+", bytes.size(), hex16(xxh3_64(bytes)));
      return inner_->write_at(offset, bytes);
    }
    absl::Status truncate(uint64_t size) override {
      fs_.record("truncate", path_, size);
      return inner_->truncate(size);
    }
    absl::StatusOr<uint64_t> size() override { return inner_->size(); }
    absl::Status sync(SyncKind kind) override {
      fs_.record("sync", path_);
      return inner_->sync(kind);
    }

   private:
    TraceFileSystem& fs_;
    const std::string path_;
    const std::unique_ptr<File> inner_;
  };

  template <typename... Args>
  void record(std::string_view operation, const Args&... args) {
    std::string line(operation);
    ((line += cat(" ", args)), ...);
    operations_.push_back(std::move(line));
  }

  FileSystem& inner_;
  std::vector<std::string> operations_;
};

}  // namespace qk::families
