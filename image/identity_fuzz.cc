// Target: the identity sidecar (image/identity.h).
//
// Input: a byte of mode, then the file. With the lowest bit of the mode set, its checksum is made
// right first. What reads is written again, and reads as the same.
#include "families/base/bytes.h"
#include "families/base/check.h"
#include "families/base/hash.h"
#include "families/fs/file_util.h"
#include "image/identity.h"
#include "tools/fuzz/memory_disk.h"
#include "tools/fuzz/target.h"

namespace qk::fuzz {

std::vector<std::string> seeds() {
  std::vector<std::string> inputs;
  for (const auto state : {image::InstanceState::kEmpty, image::InstanceState::kCurrent}) {
    MemoryDisk disk;
    QK_CHECK(families::make_directories(disk.fs(), "/root").ok());
    const image::Sidecar sidecar{
        {"group", "127.0.0.1:8100:0:0", "lineage", 3}, "sqlite", "instance", state};
    QK_CHECK(image::write_sidecar(disk.fs(), "/root", sidecar).ok());
    const std::string bytes = read_tree(disk.fs(), "/root").begin()->second;
    inputs.push_back('\0' + bytes);
    inputs.push_back('\1' + bytes);
  }
  return inputs;
}

void run(std::string_view input) {
  if (input.empty()) return;
  std::string bytes(input.substr(1));
  constexpr size_t kChecksumSize = 4;
  if ((input[0] & 1) != 0 && bytes.size() >= kChecksumSize) {
    bytes.resize(bytes.size() - kChecksumSize);
    put_le32(&bytes, crc32c(bytes));
  }
  MemoryDisk disk;
  disk.put("/root", image::kSidecarName, bytes);
  const auto sidecar = image::read_sidecar(disk.fs(), "/root");
  if (!sidecar.ok()) return;
  QK_CHECK(sidecar->has_value());
  QK_CHECK(image::write_sidecar(disk.fs(), "/root", **sidecar).ok());
  const auto again = image::read_sidecar(disk.fs(), "/root");
  QK_CHECK(again.ok() && *again == *sidecar);
}

}  // namespace qk::fuzz
