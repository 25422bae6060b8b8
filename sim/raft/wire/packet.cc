#include "sim/raft/wire/packet.h"

#include "families/base/bytes.h"
#include "families/base/check.h"

namespace qk::raft {
namespace {

// Layout: format (1), method (1), response (1), call id (8), error (4), body and attachment, each
// a length (4) and its bytes.
constexpr uint8_t kFormat = 1;
constexpr size_t kFixedBytes = 1 + 1 + 1 + 8 + 4 + 4 + 4;

}  // namespace

std::string_view to_string(Method method) {
  switch (method) {
    case Method::kPreVote:
      return "pre_vote";
    case Method::kRequestVote:
      return "request_vote";
    case Method::kAppendEntries:
      return "append_entries";
    case Method::kInstallSnapshot:
      return "install_snapshot";
    case Method::kTimeoutNow:
      return "timeout_now";
    case Method::kGetFile:
      return "get_file";
  }
  return "unknown";
}

std::string encode(const Packet& packet) {
  const size_t size = kFixedBytes + packet.body.size() + packet.attachment.size();
  QK_CHECK(size <= kMaxPacketBytes);
  std::string out;
  out.reserve(size);
  put_u8(&out, kFormat);
  put_u8(&out, static_cast<uint8_t>(packet.method));
  put_u8(&out, packet.response ? 1 : 0);
  put_le64(&out, packet.call_id);
  put_le32(&out, static_cast<uint32_t>(packet.error));
  put_bytes(&out, packet.body);
  put_bytes(&out, packet.attachment);
  return out;
}

absl::StatusOr<Packet> decode(std::string_view bytes) {
  if (bytes.size() > kMaxPacketBytes) {
    return absl::InvalidArgumentError(
        cat("packet: ", bytes.size(), " bytes, expected at most ", kMaxPacketBytes));
  }
  ByteReader reader(bytes);
  const uint8_t format = reader.u8();
  const uint8_t method = reader.u8();
  const uint8_t response = reader.u8();
  Packet packet;
  packet.call_id = reader.le64();
  packet.error = static_cast<int32_t>(reader.le32());
  const std::string_view body = reader.bytes();
  const std::string_view attachment = reader.bytes();
  if (!reader.done()) {
    return absl::InvalidArgumentError(
        cat("packet of ", bytes.size(),
            " bytes: ", reader.ok() ? cat(reader.remaining(), " trailing bytes") : "truncated"));
  }
  if (format != kFormat) {
    return absl::InvalidArgumentError(
        cat("packet: format ", static_cast<int>(format), ", expected ", static_cast<int>(kFormat)));
  }
  if (method >= kMethodCount || response > 1) {
    return absl::InvalidArgumentError(cat("packet: method ", static_cast<int>(method),
                                          ", response ", static_cast<int>(response),
                                          ": no such message"));
  }
  packet.method = static_cast<Method>(method);
  packet.response = response == 1;
  packet.body = body;
  packet.attachment = attachment;
  return packet;
}

}  // namespace qk::raft
