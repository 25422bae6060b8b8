#include "migration/fence.h"

#include <algorithm>
#include <charconv>

#include "families/base/suggest.h"
#include "families/fs/file_util.h"
#include "image/identity.h"

namespace qk::migration {
namespace {

constexpr std::string_view kFenceText = "fenced at generation ";

std::string fence_text(std::string_view root, uint64_t generation) {
  return cat(kFenceText, generation, "; the instance was moved to ",
             families::base_name(fenced_path(root, generation)), "\n");
}

}  // namespace

std::string fenced_path(std::string_view root, uint64_t generation) {
  return cat(root, ".fenced-", generation);
}

absl::Status fence_root(families::FileSystem& fs, std::string_view root, uint64_t generation) {
  const auto found = fs.stat(root);
  if (!found.ok() && !absl::IsNotFound(found.status())) return found.status();
  if (found.ok() && found->kind == families::FileKind::kDirectory) {
    QK_RETURN_IF_ERROR(fs.rename(root, fenced_path(root, generation)));
  }
  QK_RETURN_IF_ERROR(families::write_file(fs, root, fence_text(root, generation)));
  return fs.sync_dir(families::parent_path(root), families::SyncKind::kFull);
}

absl::Status check_fence_unfinished(families::FileSystem& fs, std::string_view root,
                                    uint64_t generation) {
  const std::string moved = fenced_path(root, generation);
  const auto found = fs.stat(root);
  if (absl::IsNotFound(found.status())) {
    QK_ASSIGN_OR_RETURN(const bool there, families::exists(fs, moved));
    if (there) return absl::OkStatus();
    return absl::FailedPreconditionError(
        cat("found neither ", root, " nor ", moved, ", expected one of them"));
  }
  QK_RETURN_IF_ERROR(found.status());
  if (found->kind == families::FileKind::kDirectory) return absl::OkStatus();
  const std::string expected = fence_text(root, generation);
  std::string text;
  if (found->kind == families::FileKind::kFile && found->size <= expected.size()) {
    QK_ASSIGN_OR_RETURN(text, families::read_file(fs, root, expected.size()));
    if (expected.starts_with(text)) return absl::OkStatus();
  }
  return absl::FailedPreconditionError(cat(root, " is a file that no fence made: expected ",
                                           expected.size(), " bytes \"",
                                           expected.substr(0, expected.size() - 1), "\""));
}

std::optional<uint64_t> generation_of_fence(std::string_view text) {
  if (!text.starts_with(kFenceText)) return std::nullopt;
  text.remove_prefix(kFenceText.size());
  uint64_t generation = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), generation);
  const bool whole = error == std::errc() && end != text.data() + text.size() && *end == ';';
  return whole ? std::optional(generation) : std::nullopt;
}

absl::Status check_fence_takes_only(families::FileSystem& fs, std::string_view root,
                                    const std::vector<std::string>& own) {
  QK_ASSIGN_OR_RETURN(const std::vector<std::string> names, fs.list(root));
  for (const std::string& name : names) {
    if (image::is_reserved_name(name) || std::find(own.begin(), own.end(), name) != own.end()) {
      continue;
    }
    return absl::FailedPreconditionError(cat(
        root, " holds \"", name, "\", which a fence would take; expected ", join(own), " alone"));
  }
  return absl::OkStatus();
}

}  // namespace qk::migration
