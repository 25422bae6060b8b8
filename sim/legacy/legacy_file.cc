#include "sim/legacy/legacy_file.h"

#include "families/base/bytes.h"
#include "families/base/strings.h"
#include "families/fs/file_util.h"

namespace qk::sim::legacy {
namespace {

constexpr size_t kLengthBytes = 4;
constexpr uint64_t kMaxRecordBytes = 64u << 20;

}  // namespace

absl::StatusOr<std::string> read_bytes(families::File& file, uint64_t offset, uint64_t size) {
  std::string bytes(size, '\0');
  QK_ASSIGN_OR_RETURN(const size_t got, file.read_at(offset, {bytes.data(), bytes.size()}));
  bytes.resize(got);
  return bytes;
}

bool Errno::failed(const absl::Status& status) {
  if (status.ok()) return false;
  value_ = status_errno(status);
  return true;
}

bool load_record(families::FileSystem& fs, std::string_view path, Errno* error,
                 google::protobuf::MessageLite* message) {
  const auto file = fs.open(path, {.read_only = true});
  if (error->failed(file.status())) return false;
  const auto length = read_bytes(**file, 0, kLengthBytes);
  if (error->failed(length.status()) || length->size() < kLengthBytes) return false;
  const uint64_t size = get_be32(length->data());
  const auto there = (*file)->size();
  // The rest of the file is the most that a read would give.
  if (error->failed(there.status()) || *there < kLengthBytes + size || size > kMaxRecordBytes) {
    return false;
  }
  const auto body = read_bytes(**file, kLengthBytes, size);
  if (error->failed(body.status()) || body->size() < size) return false;
  message->ParsePartialFromString(*body);
  return true;
}

absl::Status save_record(families::FileSystem& fs, std::string_view path,
                         const google::protobuf::MessageLite& message) {
  const std::string body = message.SerializePartialAsString();
  std::string length;
  put_be32(&length, static_cast<uint32_t>(body.size()));
  const std::string temporary = cat(path, ".tmp");
  QK_ASSIGN_OR_RETURN(const auto file, fs.open(temporary, {.create = true, .truncate = true}));
  QK_RETURN_IF_ERROR(file->write_at(0, length));
  QK_RETURN_IF_ERROR(file->write_at(kLengthBytes, body));
  QK_RETURN_IF_ERROR(file->sync(families::SyncKind::kFull));
  return fs.rename(temporary, path);
}

absl::Status make_directory(families::FileSystem& fs, std::string_view path, Errno* error) {
  const auto found = fs.stat(path);
  if (!error->failed(found.status())) return absl::OkStatus();
  if (!absl::IsNotFound(found.status())) return found.status();
  QK_RETURN_IF_ERROR(make_directory(fs, families::parent_path(path), error));
  const absl::Status made = fs.mkdir(path);
  error->failed(made);
  return made;
}

}  // namespace qk::sim::legacy
