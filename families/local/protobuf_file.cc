#include "families/local/protobuf_file.h"

#include "families/base/bytes.h"
#include "families/fs/file_util.h"

namespace qk::families::local {
namespace {

constexpr size_t kLengthSize = 4;

}  // namespace

std::string encode_protobuf_file(const google::protobuf::MessageLite& message) {
  const std::string body = message.SerializeAsString();
  std::string bytes;
  bytes.reserve(kLengthSize + body.size());
  put_be32(&bytes, static_cast<uint32_t>(body.size()));
  bytes += body;
  return bytes;
}

absl::Status load_protobuf_file(FileSystem& fs, std::string_view path,
                                google::protobuf::MessageLite* message) {
  QK_ASSIGN_OR_RETURN(const std::string bytes, read_file(fs, path, kMaxProtoBufFileSize));
  if (bytes.size() < kLengthSize) {
    return absl::DataLossError(
        cat(path, ": found ", bytes.size(), " bytes, expected a length of 4 bytes and a message"));
  }
  const uint32_t length = get_be32(bytes.data());
  if (length > bytes.size() - kLengthSize) {
    return absl::DataLossError(
        cat(path, ": found ", bytes.size() - kLengthSize, " bytes of message, expected ", length));
  }
  // In two steps, because protobuf itself reports a missing field on the standard error stream.
  if (!message->ParsePartialFromArray(bytes.data() + kLengthSize, static_cast<int>(length)) ||
      !message->IsInitialized()) {
    return absl::DataLossError(
        cat(path, ": ", length, " bytes are not a ", message->GetTypeName()));
  }
  return absl::OkStatus();
}

absl::Status save_protobuf_file(FileSystem& fs, std::string_view path,
                                const google::protobuf::MessageLite& message) {
  return replace_file(fs, path, encode_protobuf_file(message));
}

}  // namespace qk::families::local
