// FileSystemWrapper, FileWrapper: forward every call to another file system or file. A fault
// injector, a recorder or a test overrides the calls it is about and inherits the rest, so a call
// added to FileSystem reaches all of them.
//
// FileSystemWrapper::open() passes each opened file to wrap(), which by default returns it as it
// is; override wrap() to see what happens to files.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "families/fs/file_system.h"

namespace qk::families {

class FileWrapper : public File {
 public:
  explicit FileWrapper(std::unique_ptr<File> inner) : inner_(std::move(inner)) {}

  absl::StatusOr<size_t> read_at(uint64_t offset, std::span<char> buffer) override {
    return inner_->read_at(offset, buffer);
  }
  absl::Status write_at(uint64_t offset, std::string_view bytes) override {
    return inner_->write_at(offset, bytes);
  }
  absl::Status truncate(uint64_t size) override { return inner_->truncate(size); }
  absl::StatusOr<uint64_t> size() override { return inner_->size(); }
  absl::Status sync(SyncKind kind) override { return inner_->sync(kind); }
  absl::StatusOr<uint64_t> skip_hole(uint64_t offset) override { return inner_->skip_hole(offset); }

 protected:
  File& inner() { return *inner_; }

 private:
  const std::unique_ptr<File> inner_;
};

class FileSystemWrapper : public FileSystem {
 public:
  // `inner` must outlive the wrapper and every file opened through it.
  explicit FileSystemWrapper(FileSystem* inner) : inner_(*inner) {}

  absl::StatusOr<std::unique_ptr<File>> open(std::string_view path, OpenFlags flags) override {
    QK_ASSIGN_OR_RETURN(std::unique_ptr<File> file, inner_.open(path, flags));
    return wrap(std::move(file), path, flags);
  }
  absl::Status unlink(std::string_view path) override { return inner_.unlink(path); }
  absl::Status rename(std::string_view from, std::string_view to) override {
    return inner_.rename(from, to);
  }
  absl::Status link(std::string_view existing, std::string_view name) override {
    return inner_.link(existing, name);
  }
  absl::Status mkdir(std::string_view path) override { return inner_.mkdir(path); }
  absl::Status rmdir(std::string_view path) override { return inner_.rmdir(path); }
  absl::StatusOr<std::vector<std::string>> list(std::string_view path) override {
    return inner_.list(path);
  }
  absl::StatusOr<FileStat> stat(std::string_view path) override { return inner_.stat(path); }
  absl::Status sync_dir(std::string_view path, SyncKind kind) override {
    return inner_.sync_dir(path, kind);
  }
  absl::StatusOr<std::unique_ptr<FileLock>> lock(std::string_view path) override {
    return inner_.lock(path);
  }
  absl::StatusOr<uint64_t> free_space(std::string_view path) override {
    return inner_.free_space(path);
  }
  absl::Status rename_new(std::string_view from, std::string_view to) override {
    return inner_.rename_new(from, to);
  }
  absl::StatusOr<std::unique_ptr<FileLock>> lock_directory(std::string_view path) override {
    return inner_.lock_directory(path);
  }
  absl::StatusOr<bool> is_symlink(std::string_view path) override {
    return inner_.is_symlink(path);
  }
  absl::StatusOr<std::string> real_path(std::string_view path) override {
    return inner_.real_path(path);
  }
  absl::Status check_writable(std::string_view path) override {
    return inner_.check_writable(path);
  }

 protected:
  FileSystem& inner() { return inner_; }
  virtual std::unique_ptr<File> wrap(std::unique_ptr<File> file, std::string_view /*path*/,
                                     OpenFlags /*flags*/) {
    return file;
  }

 private:
  FileSystem& inner_;
};

}  // namespace qk::families
