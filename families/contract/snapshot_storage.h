// SnapshotStorage: at most one current snapshot, a tree of files with a meta record.
//
// A writer fills a temporary tree; publish() makes it the current snapshot atomically and durably:
// after a crash the current snapshot is the old one or the new one, whole. A temporary tree that
// was not published vanishes at the next open. A snapshot stays readable while a reader holds it,
// even after a newer one was published.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "families/contract/outcome.h"
#include "families/contract/types.h"
#include "families/fs/file_system.h"

namespace qk::families {

class SnapshotReader {
 public:
  virtual ~SnapshotReader() = default;

  virtual const SnapshotMeta& meta() const = 0;
  // In byte order of path. Names are those of the snapshot's table, as they are listed; a listed
  // file may be missing in a legacy directory, and then reading it fails.
  virtual const std::vector<SnapshotFile>& files() const = 0;
  // Directory under which every file lies at its snapshot_file_place() (BC-4).
  virtual std::string get_path() const = 0;
  // Opens a listed file for reading; NotFound if it is not in the table.
  virtual absl::StatusOr<std::unique_ptr<File>> open_file(std::string_view path) const = 0;
  // Places, in byte order, of the files below get_path() that no name of the table leads to. They
  // are part of the tree and of its state, but no reader of the table sees them.
  virtual absl::StatusOr<std::vector<std::string>> unlisted() const = 0;
  // Opens one of unlisted() for reading.
  virtual absl::StatusOr<std::unique_ptr<File>> open_unlisted(std::string_view place) const = 0;
};

class SnapshotWriter {
 public:
  virtual ~SnapshotWriter() = default;

  // Where the tree is being written; the caller may create files there itself, then add_file(). A
  // file that is never added stays in the tree, unlisted.
  virtual std::string get_path() const = 0;
  // Creates an empty file for writing at the place of this name, with the directories that the name
  // leads through. InvalidArgument for a name that snapshot_file_place() refuses.
  virtual absl::StatusOr<std::unique_ptr<File>> create_file(std::string_view path) = 0;
  // Records a name in the table, as it is. AlreadyExists if it is there; InvalidArgument for one
  // that snapshot_file_place() refuses.
  virtual absl::Status add_file(std::string_view path, const FileMeta& meta) = 0;
  // Takes a name out of the table; as in braft, the file stays in the tree. NotFound if the name is
  // not in the table.
  virtual absl::Status remove_file(std::string_view path) = 0;
  virtual absl::Status save_meta(const SnapshotMeta& meta) = 0;

  virtual const SnapshotMeta& meta() const = 0;
  virtual const std::vector<SnapshotFile>& files() const = 0;
  // Opens an added file of the temporary tree for reading.
  virtual absl::StatusOr<std::unique_ptr<File>> open_file(std::string_view path) const = 0;
  // As those of a reader, once sealed.
  virtual absl::StatusOr<std::vector<std::string>> unlisted() const = 0;
  virtual absl::StatusOr<std::unique_ptr<File>> open_unlisted(std::string_view place) const = 0;

  // Makes the whole temporary tree durable (files, directories, table); afterwards it may only be
  // read, published or discarded. Idempotent. InvalidArgument if the table as a whole is not one
  // that check_snapshot_files() takes.
  virtual absl::Status seal() = 0;
};

class SnapshotStorage {
 public:
  virtual ~SnapshotStorage() = default;

  // The current snapshot, or NotFound if there is none. Another error: one exists, but it cannot
  // be read; that is never "none".
  virtual absl::StatusOr<std::shared_ptr<SnapshotReader>> open() = 0;
  // Meta of the current snapshot without opening it; nullopt if there is none.
  virtual std::optional<SnapshotMeta> current() const = 0;

  // A fresh temporary tree; one writer at a time. Dropping the writer discards the tree.
  virtual absl::StatusOr<std::unique_ptr<SnapshotWriter>> create() = 0;
  // Seals if needed and publishes. Decision A-10: equal index, term and configuration as the
  // current snapshot -> ok with count 0, new tree discarded; equal index otherwise, or lower ->
  // failed-clean InvalidArgument.
  virtual Outcome publish(std::unique_ptr<SnapshotWriter> writer) = 0;
};

// SnapshotWriter::create_file() for a tree of files at `tree`, which exists; nothing is synced.
absl::StatusOr<std::unique_ptr<File>> create_snapshot_file(FileSystem& fs, std::string_view tree,
                                                           std::string_view name);

// What unlisted() answers for a tree of files at `tree` with this table. FailedPrecondition for
// what is neither a regular file nor a directory.
absl::StatusOr<std::vector<std::string>> unlisted_snapshot_files(
    FileSystem& fs, const std::string& tree, const std::vector<SnapshotFile>& table);

enum class PublishVerdict : uint8_t { kPublish, kAlreadyPublished };
// A-10 for every family. InvalidArgument: contract violation.
absl::StatusOr<PublishVerdict> judge_publish(const std::optional<SnapshotMeta>& current,
                                             const SnapshotMeta& next);

}  // namespace qk::families
