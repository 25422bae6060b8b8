#include "families/rocksdb/rocksdb_family.h"

#include "families/engine/kv_family.h"
#include "families/rocksdb/engine.h"

namespace qk::families {
namespace {

constexpr char kName[] = "rocksdb";

std::vector<OptionDescriptor> descriptors() {
  const RocksOptions defaults;
  return {
      size_option("flush_bytes", defaults.flush_bytes, 256, uint64_t{1} << 30),
      number_option("compaction_files", static_cast<uint64_t>(defaults.compaction_files), 2, 64)};
}

absl::StatusOr<std::unique_ptr<Family>> open(const OpenRequest& request) {
  QK_ASSIGN_OR_RETURN(const OptionValues values,
                      read_options(kName, descriptors(), request.options));
  RocksOptions parsed;
  parsed.flush_bytes = values.number("flush_bytes");
  parsed.compaction_files = static_cast<int>(values.number("compaction_files"));
  const auto open_engine = [&parsed](FileSystem* fs, const std::string& path, bool create,
                                     LogMark* mark) {
    return open_rocks_engine(fs, path, create, parsed, mark);
  };
  return open_kv_family(request, kName, open_engine);
}

}  // namespace

FamilyDescriptor rocksdb_family() {
  FamilyDescriptor family = kv_family_descriptor(kName);
  family.options = descriptors();
  family.open = open;
  return family;
}

}  // namespace qk::families
