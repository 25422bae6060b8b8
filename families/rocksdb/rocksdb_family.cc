#include "families/rocksdb/rocksdb_family.h"

#include <charconv>

#include "families/engine/kv_family.h"
#include "families/rocksdb/engine.h"

namespace qk::families {
namespace {

// Bounds of both options; the defaults stand in RocksOptions.
constexpr uint64_t kMinFlushBytes = 256;
constexpr uint64_t kMaxFlushBytes = uint64_t{1} << 30;
constexpr uint64_t kMinCompactionFiles = 2;
constexpr uint64_t kMaxCompactionFiles = 64;

const std::vector<OptionDescriptor>& options() {
  static const std::vector<OptionDescriptor> kOptions = {
      {"flush_bytes", cat(RocksOptions().flush_bytes), cat(kMinFlushBytes, "..", kMaxFlushBytes)},
      {"compaction_files", cat(RocksOptions().compaction_files),
       cat(kMinCompactionFiles, "..", kMaxCompactionFiles)},
  };
  return kOptions;
}

absl::StatusOr<uint64_t> parse_option(const FamilyOptions& given, const OptionDescriptor& option,
                                      uint64_t min, uint64_t max) {
  const auto it = given.find(option.name);
  const std::string& text = it == given.end() ? option.default_value : it->second;
  uint64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error == std::errc() && stop == end && value >= min && value <= max) return value;
  return absl::InvalidArgumentError(cat("family rocksdb: option ", option.name, ": found \"", text,
                                        "\", expected ", option.allowed));
}

absl::StatusOr<std::unique_ptr<Family>> open(const OpenRequest& request) {
  RocksOptions parsed;
  QK_ASSIGN_OR_RETURN(parsed.flush_bytes,
                      parse_option(request.options, options()[0], kMinFlushBytes, kMaxFlushBytes));
  QK_ASSIGN_OR_RETURN(const uint64_t files, parse_option(request.options, options()[1],
                                                         kMinCompactionFiles, kMaxCompactionFiles));
  parsed.compaction_files = static_cast<int>(files);
  const auto open_engine = [&parsed](FileSystem* fs, const std::string& path, bool create,
                                     LogMark* mark) {
    return open_rocks_engine(fs, path, create, parsed, mark);
  };
  return open_kv_family(request, "rocksdb", open_engine);
}

}  // namespace

FamilyDescriptor rocksdb_family() {
  FamilyDescriptor family = kv_family_descriptor("rocksdb");
  family.options = options();
  family.open = open;
  return family;
}

}  // namespace qk::families
