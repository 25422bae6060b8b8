// BuggyFileSystem: a file system between a process and its disk that does some things wrongly, for
// planted bugs. What a hook of FileBugs does not mention is as it should be. A file keeps the path
// that it was opened by.
#pragma once

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "families/fs/file_system_wrapper.h"

namespace qk::sim {

// Each is asked at the moment of the call; null: never.
struct FileBugs {
  using Names = std::function<bool(std::string_view path)>;
  Names skips_sync;           // of a file
  Names skips_sync_dir;       // of a directory
  Names swallows_sync_error;  // of a file or directory: the sync is made, and its error ignored
  Names dirties_after_failed_sync;  // of a file: what a failed sync lost is written again, unasked
  Names reads_zeros;                // of a file: in place of what cannot be read
  Names skips_unlink;
  Names skips_truncate;
  std::function<bool(std::string_view from, std::string_view to)> skips_rename;
  // May change what is written; false: nothing is.
  std::function<bool(std::string_view path, uint64_t offset, std::string* bytes)> write;
  // After each call that wrote bytes or changed a name.
  std::function<void(families::FileSystem& disk, std::string_view path)> changed;
  // When a process begins.
  std::function<void(families::FileSystem& disk)> mounted;
};

class BuggyFileSystem final : public families::FileSystemWrapper {
 public:
  BuggyFileSystem(std::unique_ptr<families::FileSystem> disk, FileBugs bugs)
      : FileSystemWrapper(disk.get()), disk_(std::move(disk)), bugs_(std::move(bugs)) {
    if (bugs_.mounted) bugs_.mounted(inner());
  }

  absl::Status sync_dir(std::string_view path, families::SyncKind kind) override {
    if (hits(bugs_.skips_sync_dir, path)) return absl::OkStatus();
    return swallowed(inner().sync_dir(path, kind), path);
  }
  absl::Status unlink(std::string_view path) override {
    return hits(bugs_.skips_unlink, path) ? absl::OkStatus() : done(inner().unlink(path), path);
  }
  absl::Status rename(std::string_view from, std::string_view to) override {
    if (bugs_.skips_rename && bugs_.skips_rename(from, to)) return absl::OkStatus();
    return done(inner().rename(from, to), to);
  }
  absl::Status rename_new(std::string_view from, std::string_view to) override {
    return done(inner().rename_new(from, to), to);
  }
  absl::Status mkdir(std::string_view path) override { return done(inner().mkdir(path), path); }

 private:
  class BuggyFile final : public families::FileWrapper {
   public:
    BuggyFile(std::unique_ptr<families::File> inner, std::string_view path, BuggyFileSystem* owner)
        : FileWrapper(std::move(inner)), path_(path), owner_(*owner) {}
    absl::StatusOr<size_t> read_at(uint64_t offset, std::span<char> buffer) override {
      const auto read = inner().read_at(offset, buffer);
      if (status_errno(read.status()) != EIO || !hits(owner_.bugs_.reads_zeros, path_)) return read;
      QK_ASSIGN_OR_RETURN(const uint64_t size, inner().size());
      const uint64_t length = offset < size ? std::min<uint64_t>(buffer.size(), size - offset) : 0;
      std::fill_n(buffer.begin(), length, '\0');
      return length;
    }
    absl::Status sync(families::SyncKind kind) override {
      if (hits(owner_.bugs_.skips_sync, path_)) return absl::OkStatus();
      const absl::Status synced = inner().sync(kind);
      if (!synced.ok() && hits(owner_.bugs_.dirties_after_failed_sync, path_)) write_again();
      return owner_.swallowed(synced, path_);
    }
    absl::Status truncate(uint64_t size) override {
      if (hits(owner_.bugs_.skips_truncate, path_)) return absl::OkStatus();
      return owner_.done(inner().truncate(size), path_);
    }
    absl::Status write_at(uint64_t offset, std::string_view bytes) override {
      if (!owner_.bugs_.write) return owner_.done(inner().write_at(offset, bytes), path_);
      std::string changed(bytes);
      if (!owner_.bugs_.write(path_, offset, &changed)) return absl::OkStatus();
      return owner_.done(inner().write_at(offset, changed), path_);
    }

   private:
    void write_again() {
      const auto size = inner().size();
      if (!size.ok()) return;
      std::string bytes(*size, '\0');
      const auto read = inner().read_at(0, {bytes.data(), bytes.size()});
      if (read.ok()) inner().write_at(0, bytes.substr(0, *read)).IgnoreError();
    }

    const std::string path_;
    BuggyFileSystem& owner_;
  };

  static bool hits(const FileBugs::Names& names, std::string_view path) {
    return names && names(path);
  }
  absl::Status swallowed(absl::Status status, std::string_view path) const {
    return hits(bugs_.swallows_sync_error, path) ? absl::OkStatus() : status;
  }
  absl::Status done(absl::Status status, std::string_view path) {
    if (status.ok() && bugs_.changed) bugs_.changed(inner(), path);
    return status;
  }
  std::unique_ptr<families::File> wrap(std::unique_ptr<families::File> file, std::string_view path,
                                       families::OpenFlags flags) override {
    if (flags.create && bugs_.changed) bugs_.changed(inner(), path);
    return std::make_unique<BuggyFile>(std::move(file), path, this);
  }

  const std::unique_ptr<families::FileSystem> disk_;
  const FileBugs bugs_;
};

// KB-51: an import says that it is complete before its content is there: the sidecar that should
// say "importing" says what it will say at the end.
bool mark_import_complete(std::string_view path, std::string* bytes);

}  // namespace qk::sim
