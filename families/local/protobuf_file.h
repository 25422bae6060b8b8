// ProtoBufFile: braft's envelope of log_meta, raft_meta and __raft_snapshot_meta: a big-endian
// uint32 length, then that many bytes of one protobuf message. No magic, no checksum; bytes after
// the message are ignored (braft-local-format.md 1).
//
// Unlike braft, every damage is an error: a short file, or a message that does not parse, is never
// read as an absent or default one.
#pragma once

#include <string>
#include <string_view>

#include "families/fs/file_system.h"
#include "google/protobuf/message_lite.h"

namespace qk::families::local {

inline constexpr uint64_t kMaxProtoBufFileSize = 64u << 20;

std::string encode_protobuf_file(const google::protobuf::MessageLite& message);

// NotFound if there is no such file; DataLoss, naming `path`, for anything that is not a whole
// record.
absl::Status load_protobuf_file(FileSystem& fs, std::string_view path,
                                google::protobuf::MessageLite* message);

// Atomic: after a crash `path` holds the old or the new record. The new one is durable on return.
absl::Status save_protobuf_file(FileSystem& fs, std::string_view path,
                                const google::protobuf::MessageLite& message);

}  // namespace qk::families::local
