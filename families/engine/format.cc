#include "families/engine/format.h"

#include <charconv>

#include "families/base/hash.h"
#include "families/fs/file_util.h"

namespace qk::families {
namespace {

constexpr std::string_view kName = "FORMAT";
constexpr std::string_view kMagic = "qksim ";
constexpr uint64_t kMaxBytes = 256;
constexpr size_t kChecksumBytes = 1 + 8 + 1;  // space, digits, newline

std::string seal(std::string text) {
  const uint32_t crc = crc32c(text);
  return text.append(cat(" ", hex8(crc), "\n"));
}

}  // namespace

absl::Status write_format(FileSystem& fs, std::string_view directory, std::string_view family) {
  return write_file(fs, join_path(directory, kName),
                    seal(cat(kMagic, family, " ", kKvFormatVersion)));
}

absl::Status check_format(FileSystem& fs, std::string_view directory, std::string_view family) {
  const std::string path = join_path(directory, kName);
  const absl::StatusOr<std::string> read = read_file(fs, path, kMaxBytes);
  if (absl::IsNotFound(read.status())) {
    return absl::DataLossError(
        cat(path, ": missing: ", directory, " is a damaged store, or not one of this program"));
  }
  if (absl::IsInvalidArgument(read.status())) {
    return absl::DataLossError(read.status().message());
  }
  QK_RETURN_IF_ERROR(read.status());
  const auto damaged = [&] {
    return absl::DataLossError(cat(path, ": found ", read->size(),
                                   " bytes, expected the line \"qksim FAMILY VERSION CHECKSUM\""));
  };
  if (read->size() <= kMagic.size() + kChecksumBytes) return damaged();
  const std::string text = read->substr(0, read->size() - kChecksumBytes);
  if (seal(text) != *read || text.rfind(kMagic, 0) != 0) return damaged();
  const size_t space = text.rfind(' ');
  if (space <= kMagic.size()) return damaged();
  const std::string_view found = std::string_view(text).substr(0, space).substr(kMagic.size());
  uint32_t version = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data() + space + 1, end, version);
  if (error != std::errc() || stop != end) return damaged();
  if (found != family) {
    return absl::FailedPreconditionError(
        cat(path, ": a store of family ", found, ", expected ", family));
  }
  if (version != kKvFormatVersion) {
    return absl::FailedPreconditionError(
        cat(path, ": format ", version, version > kKvFormatVersion ? " is newer than" : " is not",
            " the format that this build reads, ", kKvFormatVersion));
  }
  return absl::OkStatus();
}

}  // namespace qk::families
