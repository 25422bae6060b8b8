// Planted bugs of image, import, dual write and migration.
#include "families/base/bytes.h"
#include "families/base/hash.h"
#include "image/identity.h"
#include "sim/explore/plants.h"

namespace qk::sim {
namespace {

const migration::Instance& mirror_of(const migration::Manifest& manifest) {
  return manifest.authoritative == migration::Side::kA ? manifest.b : manifest.a;
}

}  // namespace

bool mark_import_complete(std::string_view path, std::string* bytes) {
  constexpr size_t kCrcBytes = 4;
  // Its name while it is written; the state is the last byte before the checksum.
  if (!path.ends_with("/qk_identity.tmp") || bytes->size() <= kCrcBytes) return true;
  char& state = (*bytes)[bytes->size() - kCrcBytes - 1];
  if (state != static_cast<char>(image::InstanceState::kImporting)) return true;
  state = static_cast<char>(image::InstanceState::kCurrent);
  bytes->resize(bytes->size() - kCrcBytes);
  put_le32(bytes, crc32c(*bytes));
  return true;
}

std::vector<Row> migration_plants() {
  std::vector<Row> rows;
  rows.push_back({{"import-marker-first", "KB-51", "IMG", "P0", "crash-in-every-phase", "ora.L14",
                   "an import says that it is complete before its content is there"},
                  [](Plant& plant) {
                    plant.files = [&plant](const MutantNode&) {
                      FileBugs bugs;
                      bugs.write = [&plant](std::string_view path, uint64_t, std::string* bytes) {
                        return !plant.dice.acts() || mark_import_complete(path, bytes);
                      };
                      return bugs;
                    };
                  }});
  rows.push_back({{"ack-before-mirror", "KB-60", "DW", "P1", "rolling-local-to-sqlite", "ora.D1",
                   "a dual write is acknowledged before the mirror's files are synced"},
                  [](Plant& plant) {
                    plant.files = [&plant](const MutantNode& node) {
                      FileBugs bugs;
                      const auto hit = [&plant, node](std::string_view path) {
                        const migration::Manifest& manifest = node.witness->manifest();
                        return is_dual(manifest.phase) &&
                               path.starts_with(mirror_of(manifest).root) && plant.dice.acts();
                      };
                      bugs.skips_sync = hit;
                      bugs.skips_sync_dir = hit;
                      return bugs;
                    };
                  }});
  return rows;
}

}  // namespace qk::sim
