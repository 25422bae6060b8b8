// Where image bytes go to and come from: Sink (append only) and Source (random access).
#pragma once

#include <cstdint>
#include <iosfwd>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "families/fs/file_system.h"

namespace qk::image {

class Sink {
 public:
  virtual ~Sink() = default;
  virtual absl::Status append(std::string_view bytes) = 0;
  // Everything was appended; what durability that brings is the sink's.
  virtual absl::Status finish() = 0;
};

// Writes a temporary file beside PATH; finish() syncs it, renames it to PATH and syncs the
// directory. So PATH is a whole image or whatever it was before, at every crash point.
//
// In a directory of one's own the temporary file is PATH.tmp, and what an earlier process left
// under either name is replaced. In a directory that others use too, give a `unique` word: the
// temporary file is then PATH.UNIQUE.tmp, which must not exist and is locked while it is written,
// and PATH is never replaced (AlreadyExists). If finish() fails, its last sync included, PATH is
// not there.
class FileSink final : public Sink {
 public:
  FileSink(families::FileSystem* fs, std::string path, std::string unique = "");
  absl::Status append(std::string_view bytes) override;
  absl::Status finish() override;
  // Removes the temporary file if this sink made one and has not renamed it.
  absl::Status discard();

 private:
  bool shared() const { return !unique_.empty(); }
  // Gives the temporary file its name, replacing nothing.
  absl::Status publish();

  families::FileSystem* fs_;
  std::string path_;
  std::string unique_;
  std::string temporary_;
  std::unique_ptr<families::File> file_;
  std::unique_ptr<families::FileLock> lock_;
  bool made_ = false;  // the temporary file
  uint64_t offset_ = 0;
};

class MemorySink final : public Sink {
 public:
  explicit MemorySink(std::string* bytes) : bytes_(bytes) {}
  absl::Status append(std::string_view bytes) override;
  absl::Status finish() override;

 private:
  std::string* bytes_;
};

// To a pipe or anything else with a stream (CI-29); no durability.
class StreamSink final : public Sink {
 public:
  explicit StreamSink(std::ostream* stream) : stream_(stream) {}
  absl::Status append(std::string_view bytes) override;
  absl::Status finish() override;

 private:
  std::ostream* stream_;
};

// Discards: for an export that is made for its digests alone.
class NullSink final : public Sink {
 public:
  absl::Status append(std::string_view) override { return absl::OkStatus(); }
  absl::Status finish() override { return absl::OkStatus(); }
};

class Source {
 public:
  virtual ~Source() = default;
  virtual std::string name() const = 0;  // for messages
  virtual uint64_t size() const = 0;
  // Exactly buffer.size() bytes at `offset`, which lie within size().
  virtual absl::Status read(uint64_t offset, std::span<char> buffer) const = 0;
};

class FileSource final : public Source {
 public:
  static absl::StatusOr<std::unique_ptr<FileSource>> open(families::FileSystem& fs,
                                                          std::string path);
  std::string name() const override { return path_; }
  uint64_t size() const override { return size_; }
  absl::Status read(uint64_t offset, std::span<char> buffer) const override;

 private:
  FileSource(std::string path, std::unique_ptr<families::File> file, uint64_t size);
  std::string path_;
  std::unique_ptr<families::File> file_;
  uint64_t size_;
};

class MemorySource final : public Source {
 public:
  // `bytes` must outlive the source.
  MemorySource(std::string name, std::string_view bytes) : name_(std::move(name)), bytes_(bytes) {}
  std::string name() const override { return name_; }
  uint64_t size() const override { return bytes_.size(); }
  absl::Status read(uint64_t offset, std::span<char> buffer) const override;

 private:
  std::string name_;
  std::string_view bytes_;
};

}  // namespace qk::image
