// OverlayFileSystem: a copy-on-write view of another file system. Reads see the lower one; writes,
// new and removed names, and locks stay in memory. The lower file system is only read, so a source
// can be opened by an engine that writes on open (a hot write-ahead log, a lock file) and is
// provably untouched.
//
// Nothing here is ever durable: syncs succeed and do nothing, and all changes end with the object.
// Changed pages are kept in memory, so it is meant for recovery writes, not for whole imports.
//
// The lower file system must outlive the overlay and all handles, and must not change meanwhile.
// Two lower names of one file are two files here.
#pragma once

#include <memory>

#include "families/fs/file_system.h"

namespace qk::families {

class OverlayFileSystem final : public FileSystem {
 public:
  explicit OverlayFileSystem(FileSystem* lower);
  ~OverlayFileSystem() override;

  absl::StatusOr<std::unique_ptr<File>> open(std::string_view path, OpenFlags flags) override;
  absl::Status unlink(std::string_view path) override;
  absl::Status rename(std::string_view from, std::string_view to) override;
  absl::Status link(std::string_view existing, std::string_view name) override;
  absl::Status mkdir(std::string_view path) override;
  absl::Status rmdir(std::string_view path) override;
  absl::StatusOr<std::vector<std::string>> list(std::string_view path) override;
  absl::StatusOr<FileStat> stat(std::string_view path) override;
  absl::Status sync_dir(std::string_view path, SyncKind kind) override;
  absl::StatusOr<std::unique_ptr<FileLock>> lock(std::string_view path) override;
  // Of the lower file system.
  absl::StatusOr<uint64_t> free_space(std::string_view path) override;

 private:
  class Node;
  class OverlayFile;
  class OverlayLock;
  using NodeRef = std::shared_ptr<Node>;
  struct Place;

  absl::StatusOr<NodeRef> child(const NodeRef& directory, const std::string& name);
  absl::StatusOr<NodeRef> find(std::string_view path, std::string_view what);
  absl::StatusOr<Place> find_place(std::string_view path, std::string_view what);
  absl::StatusOr<NodeRef> find_or_create(std::string_view path, OpenFlags flags,
                                         std::string_view what);
  absl::StatusOr<std::vector<std::string>> names(const NodeRef& directory);
  NodeRef make_node(FileKind kind);

  FileSystem* lower_;
  uint64_t next_inode_ = 1;
  NodeRef root_;
};

}  // namespace qk::families
