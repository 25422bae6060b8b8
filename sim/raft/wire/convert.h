// Typed messages to legacy packets and back.
//
// A request that is not for this node and group, or whose fields no correct node would send, is
// InvalidArgument; the caller drops it. Bounds: terms and indices lie in [0, kMaxNumber], so that
// arithmetic on them cannot overflow; payload lengths must add up to the attachment.
#pragma once

#include "families/base/status.h"
#include "families/contract/rules.h"
#include "families/contract/snapshot_storage.h"
#include "sim/raft/message.h"
#include "sim/raft/wire/packet.h"

namespace qk::raft {

inline constexpr int64_t kMaxNumber = int64_t{1} << 60;

// `self` is the sender, message.peer the receiver.
Packet to_packet(const Message& message, const std::string& group, const std::string& self);
// `from` is the sender as the transport knows it. Not for get_file.
absl::StatusOr<Message> from_packet(const Packet& packet, const std::string& group,
                                    const std::string& self, const std::string& from);

// get_file.
struct FileRequest {
  int64_t reader_id = 0;
  std::string filename;
  int64_t offset = 0;
  int64_t count = 0;
};
struct FileResponse {
  bool eof = false;
};
Packet to_packet(const FileRequest& request, uint64_t call_id);
absl::StatusOr<FileRequest> file_request(const Packet& packet);
Packet file_response(uint64_t call_id, bool eof, std::string bytes);
// The bytes are packet.attachment; their number was checked.
absl::StatusOr<FileResponse> file_response(const Packet& packet);

// The table that get_file of kSnapshotTableName answers.
using families::kSnapshotTableName;
struct SnapshotTable {
  families::SnapshotMeta meta;
  std::vector<families::SnapshotFile> files;
};
std::string encode_table(const families::SnapshotMeta& meta,
                         const std::vector<families::SnapshotFile>& files);
// Names are kept as they are listed; none occurs twice, and check_snapshot_files() takes them all.
absl::StatusOr<SnapshotTable> decode_table(std::string_view bytes);

}  // namespace qk::raft
