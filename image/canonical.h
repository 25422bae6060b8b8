// The canonical form of durable Raft state: one encoding per object, the same for every family, on
// which image content, digests and reports are built (image/FORMAT.md, "Canonical form").
//
// Decoders take untrusted bytes and allocate nothing beyond the bytes that are there.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "families/base/bytes.h"
#include "families/contract/types.h"

namespace qk::image {

// Entries are grouped into blocks by absolute index, so that compaction drops whole blocks and
// trims at most one: block b holds indices b * 1024 .. b * 1024 + 1023.
inline constexpr int64_t kBlockEntries = 1024;
constexpr int64_t block_of(int64_t index) { return index / kBlockEntries; }
constexpr int64_t block_first(int64_t block) { return block == 0 ? 1 : block * kBlockEntries; }
constexpr int64_t block_last(int64_t block) { return block * kBlockEntries + kBlockEntries - 1; }

// index (8), term (8), type (1), payload length (4)
inline constexpr size_t kEntryOverhead = 8 + 8 + 1 + 4;

void encode_entry(std::string* out, const families::LogEntry& entry);
// Everything but the payload's bytes, which follow.
void encode_entry_head(std::string* out, const families::LogEntry& entry);
// False if the bytes are not one entry; its fields are then unspecified.
bool decode_entry(ByteReader* reader, families::LogEntry* entry);
// The same without a copy of the payload: `payload` points into the bytes.
bool decode_entry_head(ByteReader* reader, families::LogEntry* entry, std::string_view* payload);

void encode_hard_state(std::string* out, const families::HardState& state);
bool decode_hard_state(ByteReader* reader, families::HardState* state);

// The snapshot's meta and number of files; absent is encoded too.
struct SnapshotHead {
  std::optional<families::SnapshotMeta> meta;
  uint64_t files = 0;  // listed or not; 0 if absent
};
// Of an encoded head in an image: its two lists of peers are a configuration.
inline constexpr size_t kMaxSnapshotHeadBytes = families::kMaxConfigurationBytes + 64;
void encode_snapshot_head(std::string* out, const SnapshotHead& head);
bool decode_snapshot_head(ByteReader* reader, SnapshotHead* head);

struct FileHead {
  families::SnapshotFile file;
  uint64_t size = 0;
  bool unlisted = false;  // in the tree, but not in the table; `file` is its place and has no meta
};
void encode_file_head(std::string* out, const FileHead& head);
bool decode_file_head(ByteReader* reader, FileHead* head);

}  // namespace qk::image
