#include "families/leveldb/leveldb_family.h"

#include <charconv>

#include "families/engine/kv_family.h"
#include "families/leveldb/engine.h"

namespace qk::families {
namespace {

constexpr char kName[] = "leveldb";
constexpr uint64_t kMinBuffer = 64 << 10;
constexpr uint64_t kMaxBuffer = 256 << 20;

absl::StatusOr<LeveldbOptions> parse_options(const FamilyOptions& given) {
  LeveldbOptions parsed;
  for (const auto& [name, value] : given) {
    if (name != "write_buffer_size") {
      return absl::InvalidArgumentError(
          cat("family leveldb has no option \"", name, "\"; allowed: write_buffer_size"));
    }
    const char* const end = value.data() + value.size();
    const auto [stop, error] = std::from_chars(value.data(), end, parsed.write_buffer_bytes);
    if (error != std::errc() || stop != end || parsed.write_buffer_bytes < kMinBuffer ||
        parsed.write_buffer_bytes > kMaxBuffer) {
      return absl::InvalidArgumentError(cat("family leveldb: option ", name, ": found \"", value,
                                            "\", expected ", kMinBuffer, "..", kMaxBuffer));
    }
  }
  return parsed;
}

absl::StatusOr<std::unique_ptr<Family>> open(const OpenRequest& request) {
  QK_ASSIGN_OR_RETURN(const LeveldbOptions options, parse_options(request.options));
  return open_kv_family(
      request, kName,
      [options](FileSystem* fs, const std::string& path, bool create, LogMark* mark) {
        return open_leveldb_engine(fs, path, create, options, mark);
      });
}

}  // namespace

FamilyDescriptor leveldb_family() {
  FamilyDescriptor family = kv_family_descriptor(kName);
  family.options = {{"write_buffer_size", cat(LeveldbOptions{}.write_buffer_bytes),
                     cat(kMinBuffer, "..", kMaxBuffer, " bytes")}};
  family.open = open;
  return family;
}

}  // namespace qk::families
