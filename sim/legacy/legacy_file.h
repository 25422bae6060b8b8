// ProtoBufFile and errno as braft has them (braft-local-format.md 1, 6.4, 6.5).
#pragma once

#include <string>
#include <string_view>

#include "families/fs/file_system.h"
#include "google/protobuf/message_lite.h"

namespace qk::sim::legacy {

// errno of the thread that opens an instance: a call that fails sets it, one that succeeds leaves it. braft
// asks it whether a record is missing, also where the failure was none of a call.
class Errno {
 public:
  explicit Errno(int stale) : value_(stale) {}
  int value() const { return value_; }
  // Notes the error of a call; true if it was one.
  bool failed(const absl::Status& status);

 private:
  int value_;
};

// Up to `size` bytes at `offset`; fewer at the end of the file.
absl::StatusOr<std::string> read_bytes(families::File& file, uint64_t offset, uint64_t size);

// ProtoBufFile::load. False: it failed, for whatever reason. A message that does not parse counts as
// loaded, with the fields that were decoded.
bool load_record(families::FileSystem& fs, std::string_view path, Errno* error,
                 google::protobuf::MessageLite* message);
// ProtoBufFile::save: writes PATH.tmp, syncs it, renames it. Nothing makes the name durable.
absl::Status save_record(families::FileSystem& fs, std::string_view path,
                         const google::protobuf::MessageLite& message);

// mkdir with parents, which nothing makes durable.
absl::Status make_directory(families::FileSystem& fs, std::string_view path, Errno* error);

}  // namespace qk::sim::legacy
