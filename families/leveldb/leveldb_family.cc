#include "families/leveldb/leveldb_family.h"

#include "families/engine/kv_family.h"
#include "families/leveldb/engine.h"

namespace qk::families {
namespace {

constexpr char kName[] = "leveldb";

std::vector<OptionDescriptor> descriptors() {
  return {
      size_option("write_buffer_size", LeveldbOptions().write_buffer_bytes, 64 << 10, 256 << 20)};
}

absl::StatusOr<std::unique_ptr<Family>> open(const OpenRequest& request) {
  QK_ASSIGN_OR_RETURN(const OptionValues values,
                      read_options(kName, descriptors(), request.options));
  LeveldbOptions options;
  options.write_buffer_bytes = values.number("write_buffer_size");
  return open_kv_family(
      request, kName,
      [options](FileSystem* fs, const std::string& path, bool create, LogMark* mark) {
        return open_leveldb_engine(fs, path, create, options, mark);
      });
}

}  // namespace

FamilyDescriptor leveldb_family() {
  FamilyDescriptor family = kv_family_descriptor(kName);
  family.options = descriptors();
  family.open = open;
  return family;
}

}  // namespace qk::families
