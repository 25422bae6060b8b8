#include "tools/fuzz/memory_disk.h"

#include <cerrno>

#include "families/base/bytes.h"
#include "families/base/check.h"
#include "families/fs/file_util.h"

namespace qk::fuzz {
namespace {

constexpr size_t kMaxPath = 255;  // its length is one byte
constexpr uint64_t kNoSpaceLimit = uint64_t{1} << 40;

absl::Status missing(std::string_view path) { return errno_status(ENOENT, path); }

}  // namespace

absl::StatusOr<std::unique_ptr<families::File>> EmptyFileSystem::open(std::string_view path,
                                                                      families::OpenFlags) {
  return missing(path);
}
absl::Status EmptyFileSystem::unlink(std::string_view path) { return missing(path); }
absl::Status EmptyFileSystem::rename(std::string_view from, std::string_view) {
  return missing(from);
}
absl::Status EmptyFileSystem::link(std::string_view existing, std::string_view) {
  return missing(existing);
}
absl::Status EmptyFileSystem::mkdir(std::string_view path) { return errno_status(EROFS, path); }
absl::Status EmptyFileSystem::rmdir(std::string_view path) { return missing(path); }
absl::StatusOr<std::vector<std::string>> EmptyFileSystem::list(std::string_view path) {
  if (path != "/") return missing(path);
  return std::vector<std::string>();
}
absl::StatusOr<families::FileStat> EmptyFileSystem::stat(std::string_view path) {
  if (path != "/") return missing(path);
  return families::FileStat{.kind = families::FileKind::kDirectory, .inode = 1};
}
absl::Status EmptyFileSystem::sync_dir(std::string_view path, families::SyncKind) {
  return path == "/" ? absl::OkStatus() : missing(path);
}
absl::StatusOr<std::unique_ptr<families::FileLock>> EmptyFileSystem::lock(std::string_view path) {
  return missing(path);
}
absl::StatusOr<uint64_t> EmptyFileSystem::free_space(std::string_view) { return kNoSpaceLimit; }

void MemoryDisk::put(std::string_view root, std::string_view path, std::string_view bytes) {
  if (!families::is_safe_relative_path(path)) return;
  const std::string full = families::join_path(root, path);
  if (!families::make_directories(fs(), families::parent_path(full)).ok()) return;
  families::write_file(fs(), full, bytes).IgnoreError();
}

std::string encode_tree(const Tree& tree) {
  std::string input;
  for (const auto& [path, bytes] : tree) {
    QK_CHECK(path.size() <= kMaxPath);
    put_u8(&input, static_cast<uint8_t>(path.size()));
    input += path;
    put_bytes(&input, bytes);
  }
  return input;
}

Tree decode_tree(std::string_view input) {
  Tree tree;
  ByteReader reader(input);
  while (reader.remaining() > 0) {
    const size_t path_length = reader.u8();
    const std::string path(reader.take(std::min(path_length, reader.remaining())));
    if (reader.remaining() < 4) break;
    const size_t length = reader.le32();
    tree[path] = std::string(reader.take(std::min(length, reader.remaining())));
  }
  return tree;
}

Tree read_tree(families::FileSystem& fs, std::string_view root) {
  Tree tree;
  const auto paths = families::list_tree(fs, root);
  QK_CHECK(paths.ok());
  for (const std::string& path : *paths) {
    const auto bytes = families::read_file(fs, families::join_path(root, path), uint64_t{1} << 30);
    QK_CHECK(bytes.ok());
    tree[path] = *bytes;
  }
  return tree;
}

}  // namespace qk::fuzz
