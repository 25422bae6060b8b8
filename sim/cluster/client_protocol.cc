#include "sim/cluster/client_protocol.h"

#include "families/base/bytes.h"

namespace qk::sim {
namespace {

constexpr std::string_view kMagic("\0qk\1", 4);

}  // namespace

std::string_view to_string(CommandKind kind) {
  switch (kind) {
    case CommandKind::kRead:
      return "read";
    case CommandKind::kWrite:
      return "write";
    case CommandKind::kCas:
      return "cas";
    case CommandKind::kAppend:
      return "append";
    case CommandKind::kAdd:
      return "add";
  }
  return "unknown";
}

std::string_view to_string(ResponseStatus status) {
  switch (status) {
    case ResponseStatus::kOk:
      return "ok";
    case ResponseStatus::kMismatch:
      return "mismatch";
    case ResponseStatus::kStale:
      return "stale";
    case ResponseStatus::kMalformed:
      return "malformed";
  }
  return "unknown";
}

std::string encode_command(const Command& command) {
  std::string out(kMagic);
  put_le64(&out, command.session);
  put_le64(&out, command.request);
  put_u8(&out, static_cast<uint8_t>(command.kind));
  put_bytes(&out, command.key);
  put_bytes(&out, command.value);
  put_bytes(&out, command.expected);
  put_le64(&out, static_cast<uint64_t>(command.amount));
  return out;
}

bool is_command(std::string_view payload) { return payload.substr(0, kMagic.size()) == kMagic; }

absl::StatusOr<Command> decode_command(std::string_view payload) {
  ByteReader reader(payload);
  const bool magic = reader.take(kMagic.size()) == kMagic;
  Command command;
  command.session = reader.le64();
  command.request = reader.le64();
  const uint8_t kind = reader.u8();
  command.key = reader.bytes();
  command.value = reader.bytes();
  command.expected = reader.bytes();
  command.amount = static_cast<int64_t>(reader.le64());
  if (!magic || !reader.done() || kind < 1 || kind > 5) {
    return absl::InvalidArgumentError(
        cat("command of ", payload.size(), " bytes: bad magic, kind or length"));
  }
  command.kind = static_cast<CommandKind>(kind);
  return command;
}

std::string encode_response(const Response& response) {
  std::string out;
  put_u8(&out, static_cast<uint8_t>(response.status));
  put_bytes(&out, response.value);
  put_le64(&out, static_cast<uint64_t>(response.counter));
  return out;
}

absl::StatusOr<Response> decode_response(std::string_view bytes) {
  ByteReader reader(bytes);
  Response response;
  const uint8_t status = reader.u8();
  response.value = reader.bytes();
  response.counter = static_cast<int64_t>(reader.le64());
  if (!reader.done() || status < 1 || status > 4) {
    return absl::InvalidArgumentError(
        cat("response of ", bytes.size(), " bytes: bad status or length"));
  }
  response.status = static_cast<ResponseStatus>(status);
  return response;
}

}  // namespace qk::sim
