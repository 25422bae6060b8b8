// What several users of FileSystem need: whole files, trees, atomic replacement. Every function
// goes through FileSystem, so it works on a simulated disk as on a real one.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "families/fs/file_system.h"

namespace qk::families {

std::string join_path(std::string_view directory, std::string_view name);
// "/a/b" -> "/a"; "/a" -> "/".
std::string_view parent_path(std::string_view path);
std::string_view base_name(std::string_view path);

// A relative path of a snapshot file is safe if it has no leading '/', no empty, "." or ".."
// component, no NUL, and is 1..4096 bytes long (contract decision A-19).
bool is_safe_relative_path(std::string_view path);

absl::StatusOr<bool> exists(FileSystem& fs, std::string_view path);

// Fails with InvalidArgument if the file is longer than `max_size`, before allocating.
absl::StatusOr<std::string> read_file(FileSystem& fs, std::string_view path, uint64_t max_size);

// Reads exactly buffer.size() bytes, or fails with DataLoss naming `path`.
absl::Status read_exact(File& file, std::string_view path, uint64_t offset, std::span<char> buffer);

// Creates or truncates `path`, writes all bytes and syncs the file; the name is not yet durable.
absl::Status write_file(FileSystem& fs, std::string_view path, std::string_view bytes);

// Makes what is read durable: writes each byte again, in place, and syncs. For files whose writer may
// have stopped because a sync failed. Its pages count as clean then, although they were never written
// back: they can be read, a sync of them returns OK and does nothing, and a power cut takes them.
absl::Status write_again(File& file);

// Durable atomic replacement: write PATH.tmp, sync it, rename, sync the directory. After a crash
// `path` holds the old or the new bytes; a leftover PATH.tmp is harmless.
absl::Status replace_file(FileSystem& fs, std::string_view path, std::string_view bytes);

// mkdir with parents; syncs the parent of each directory it makes, and of the deepest one that it
// finds (a process that died between mkdir and sync_dir left that one volatile), so that all that
// were made by this function are durable on return. Existing directories are fine.
absl::Status make_directories(FileSystem& fs, std::string_view path);

// Removes a file, or a directory with everything below it. Missing is fine. Not synced.
absl::Status remove_tree(FileSystem& fs, std::string_view path);

// Syncs every file and directory below `root`, `root` included (not its parent).
absl::Status sync_tree(FileSystem& fs, std::string_view root);

// Relative paths of all files below `root`, in byte order of the whole relative path.
absl::StatusOr<std::vector<std::string>> list_tree(FileSystem& fs, std::string_view root);

// Copies one file in chunks of 64 KiB; the target is created or truncated, and not synced.
absl::Status copy_file(FileSystem& from_fs, std::string_view from, FileSystem& to_fs,
                       std::string_view to);

}  // namespace qk::families
