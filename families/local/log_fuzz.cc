// Target: recovery of a legacy log directory (families/local/log_recovery.h).
//
// Input: a byte of mode, then a tree, which is the log directory. With the lowest bit of the mode
// set, the checksums of all entries are made right first (but for one entry, if the other bits
// number it): random bytes hardly ever pass a CRC, and the rules after that check are what matters.
//
// What opens, opens again with the same entries, takes one more entry, and shows that, too.
#include "families/base/bytes.h"
#include "families/base/check.h"
#include "families/base/hash.h"
#include "families/local/log_storage.h"
#include "tools/fuzz/golden_seeds.h"
#include "tools/fuzz/memory_disk.h"
#include "tools/fuzz/target.h"

namespace qk::fuzz {
namespace {

using families::FailStop;
using families::LogEntry;
using families::local::SegmentLogStorage;

constexpr const char* kDirectory = "/log";
constexpr size_t kHeader = families::local::kEntryHeaderSize;

void set_be32(std::string* bytes, size_t offset, uint32_t value) {
  std::string encoded;
  put_be32(&encoded, value);
  bytes->replace(offset, encoded.size(), encoded);
}

void repair_segment(std::string* bytes, size_t spared) {
  size_t offset = 0;
  for (size_t number = 1; offset + kHeader <= bytes->size(); ++number) {
    const size_t length =
        std::min<size_t>(get_be32(bytes->data() + offset + 12), bytes->size() - offset - kHeader);
    if (number != spared) {
      (*bytes)[offset + 9] &= 1;
      const bool crc = (*bytes)[offset + 9] == 1;
      const std::string_view view(*bytes);
      const std::string_view payload = view.substr(offset + kHeader, length);
      set_be32(bytes, offset + 16, crc ? crc32c(payload) : murmur3_32(payload));
      const std::string_view head = std::string_view(*bytes).substr(offset, kHeader - 4);
      set_be32(bytes, offset + 20, crc ? crc32c(head) : murmur3_32(head));
    }
    offset += kHeader + length;
  }
}

// Every entry, with errors as their codes.
std::string describe(SegmentLogStorage& log) {
  std::string text = cat(log.first_index(), "..", log.last_index(), "\n");
  QK_CHECK(log.first_index() >= 1 && log.last_index() >= log.first_index() - 1);
  for (int64_t index = log.first_index(); index <= log.last_index(); ++index) {
    const auto entry = log.entry(index);
    const auto term = log.term(index);
    QK_CHECK(term.ok());
    if (!entry.ok()) {
      QK_CHECK(absl::IsDataLoss(entry.status()));
      text += cat(index, " unreadable\n");
      continue;
    }
    QK_CHECK(entry->index == index && entry->term == *term);
    text += cat(index, " ", entry->term, " ", to_string(entry->type), " ",
                hex16(xxh3_64(entry->payload)), "\n");
  }
  return text;
}

absl::StatusOr<std::unique_ptr<SegmentLogStorage>> open(MemoryDisk& disk, FailStop* fail_stop) {
  return SegmentLogStorage::open(disk.fs(), kDirectory, {.segment_size = 300}, fail_stop);
}

}  // namespace

std::vector<std::string> seeds() {
  std::vector<std::string> inputs;
  for (const Tree& tree : golden_trees("log/")) {
    inputs.push_back('\0' + encode_tree(tree));
    inputs.push_back('\1' + encode_tree(tree));
  }
  return inputs;
}

void run(std::string_view input) {
  if (input.empty()) return;
  const uint8_t mode = static_cast<uint8_t>(input[0]);
  MemoryDisk disk;
  for (auto& [path, bytes] : decode_tree(input.substr(1))) {
    const bool segment = path.rfind("log_", 0) == 0 && path.find("meta") == std::string::npos;
    if (segment && (mode & 1) != 0) repair_segment(&bytes, mode >> 1);
    disk.put(kDirectory, path, bytes);
  }
  FailStop fail_stop;
  std::string found;
  {
    const auto log = open(disk, &fail_stop);
    if (!log.ok()) return;
    found = describe(**log);
  }
  const auto again = open(disk, &fail_stop);
  QK_CHECK(again.ok());
  QK_CHECK(describe(**again) == found);

  if ((*again)->last_index() == INT64_MAX) return;
  const LogEntry next{(*again)->last_index() + 1, INT64_MAX, families::EntryType::kData, "next"};
  QK_CHECK((*again)->append({&next, 1}).ok());
  const auto grown = open(disk, &fail_stop);
  QK_CHECK(grown.ok());
  const auto entry = (*grown)->entry(next.index);
  QK_CHECK(entry.ok() && *entry == next);
}

}  // namespace qk::fuzz
