// Target: what comes before a LevelDB or RocksDB may open its directory after a crash: CURRENT, the
// MANIFEST and the write-ahead logs (families/engine/recovery.h, log_scan.h).
//
// Input: a byte of mode, then a tree, which is the directory. With the lowest bit of the mode set,
// the checksums of all fragments are made right first. A refusal changes nothing; what is accepted
// is accepted again, unchanged and as the same. With the next bit set, WAL 4 is named in the mark.
#include <algorithm>

#include "families/base/bytes.h"
#include "families/base/check.h"
#include "families/base/hash.h"
#include "families/engine/recovery.h"
#include "families/fs/file_util.h"
#include "tools/fuzz/memory_disk.h"
#include "tools/fuzz/target.h"

namespace qk::fuzz {
namespace {

using families::RecoveredLogs;

constexpr const char* kDirectory = "/db";
constexpr size_t kBlock = 32768;
constexpr size_t kHeader = 4 + 2 + 1;  // checksum, length, type

// As the engines mask it.
uint32_t checksum(std::string_view type_and_payload) {
  const uint32_t crc = crc32c(type_and_payload);
  return ((crc >> 15) | (crc << 17)) + 0xa282ead8u;
}

// Makes the checksums of all fragments right that the lengths let find.
void repair(std::string* log) {
  for (size_t at = 0; at + kHeader <= log->size();) {
    const size_t left = kBlock - at % kBlock;
    if (left < kHeader) {
      at += left;
      continue;
    }
    const auto byte = [&](size_t i) { return static_cast<unsigned char>((*log)[at + i]); };
    const size_t length = byte(4) | static_cast<size_t>(byte(5)) << 8;
    if (length > std::min(left, log->size() - at) - kHeader) return;
    std::string encoded;
    put_le32(&encoded, checksum(std::string_view(*log).substr(at + 6, length + 1)));
    log->replace(at, encoded.size(), encoded);
    at += kHeader + length;
  }
}

// A record of one fragment, its checksum still to be made.
void add_record(std::string* log, std::string_view payload) {
  put_le32(log, 0);
  put_u8(log, static_cast<uint8_t>(payload.size()));
  put_u8(log, static_cast<uint8_t>(payload.size() >> 8));
  put_u8(log, 1);
  *log += payload;
}

std::string batch(uint64_t sequence, uint32_t count) {
  std::string record;
  put_le64(&record, sequence);
  put_le32(&record, count);
  return record + "changes";
}

}  // namespace

std::vector<std::string> seeds() {
  // Edits: comparator; first needed log 3, next file 9, last sequence number 5; a table file.
  std::string manifest;
  add_record(&manifest, std::string("\x01\x03"
                                    "cmp",
                                    5));
  add_record(&manifest, std::string("\x02\x03\x03\x09\x04\x05", 6));
  add_record(&manifest, std::string("\x02\x03\x07\x00\x04", 5));
  std::string old_log;
  std::string log;
  std::string next_log;
  add_record(&old_log, batch(1, 1));
  for (uint64_t sequence = 5; sequence < 9; ++sequence) add_record(&log, batch(sequence, 1));
  add_record(&next_log, batch(9, 2));
  std::vector<std::string> inputs;
  for (const bool torn : {false, true}) {
    Tree tree = {{"CURRENT", "MANIFEST-000002\n"},
                 {"MANIFEST-000002", manifest},
                 {"000001.log", old_log},
                 {"000003.log", log},
                 {"000004.log", next_log}};
    for (auto& [path, bytes] : tree) {
      if (path != "CURRENT") repair(&bytes);
    }
    if (torn) tree["000004.log"] += "torn";
    inputs.push_back('\0' + encode_tree(tree));
    inputs.push_back('\1' + encode_tree(tree));
    inputs.push_back('\2' + encode_tree(tree));
  }
  return inputs;
}

void run(std::string_view input) {
  if (input.empty()) return;
  MemoryDisk disk;
  QK_CHECK(families::make_directories(disk.fs(), kDirectory).ok());
  for (auto& [path, bytes] : decode_tree(input.substr(1))) {
    // A directory in a file's place is not what is looked for here.
    if (path.find('/') != std::string::npos) continue;
    if ((input[0] & 1) != 0 && path != "CURRENT") repair(&bytes);
    disk.put(kDirectory, path, bytes);
  }
  const std::optional<uint64_t> named =
      (input[0] & 2) != 0 ? std::optional<uint64_t>(4) : std::nullopt;
  const Tree before = read_tree(disk.fs(), kDirectory);
  const auto recovered = families::recover_logs(disk.fs(), kDirectory, named);
  const Tree after = read_tree(disk.fs(), kDirectory);
  if (!recovered.ok()) {
    QK_CHECK(after == before);
    return;
  }
  const auto again = families::recover_logs(disk.fs(), kDirectory, named);
  QK_CHECK(again.ok());
  QK_CHECK(again->wals == recovered->wals && again->wal_bytes == recovered->wal_bytes);
  QK_CHECK(read_tree(disk.fs(), kDirectory) == after);
}

}  // namespace qk::fuzz
