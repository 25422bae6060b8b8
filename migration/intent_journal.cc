#include "migration/intent_journal.h"

#include "families/base/bytes.h"
#include "families/base/check.h"
#include "families/base/hash.h"
#include "families/fs/file_util.h"

namespace qk::migration {
namespace {

using families::HardState;
using families::Lane;
using families::Operation;
using families::SnapshotMeta;

constexpr std::string_view kJournalMagic = "QKINTNT1";
// magic (8), body length (4); the CRC-32C (4) over all of it follows the body.
constexpr size_t kFrameSize = 8 + 4 + 4;
// 1024 marks of 16 bytes, and room for peers, votes and ids.
constexpr size_t kSlotSize = 64 * 1024;
constexpr uint32_t kMaxPeers = 256;

std::string lane_path(std::string_view directory, int lane) {
  return families::join_path(directory, cat("journal-", to_string(static_cast<Lane>(lane))));
}

void put_peers(std::string* out, const std::vector<std::string>& peers) {
  put_le32(out, static_cast<uint32_t>(peers.size()));
  for (const std::string& peer : peers) put_bytes(out, peer);
}

bool get_peers(ByteReader* reader, std::vector<std::string>* peers) {
  const uint32_t count = reader->le32();
  if (count > kMaxPeers) return false;
  for (uint32_t i = 0; i < count; ++i) peers->emplace_back(reader->bytes());
  return true;
}

void put_hard_state(std::string* out, const HardState& state) {
  put_le64(out, static_cast<uint64_t>(state.term));
  put_bytes(out, state.voted_for);
}

HardState get_hard_state(ByteReader* reader) {
  HardState state;
  state.term = static_cast<int64_t>(reader->le64());
  state.voted_for = std::string(reader->bytes());
  return state;
}

void put_meta(std::string* out, const SnapshotMeta& meta) {
  put_le64(out, static_cast<uint64_t>(meta.last_included_index));
  put_le64(out, static_cast<uint64_t>(meta.last_included_term));
  put_peers(out, meta.peers);
  put_peers(out, meta.old_peers);
}

bool get_meta(ByteReader* reader, SnapshotMeta* meta) {
  meta->last_included_index = static_cast<int64_t>(reader->le64());
  meta->last_included_term = static_cast<int64_t>(reader->le64());
  return get_peers(reader, &meta->peers) && get_peers(reader, &meta->old_peers);
}

std::string encode(const Intent& intent) {
  std::string body;
  put_le64(&body, intent.seq);
  put_u8(&body, static_cast<uint8_t>(intent.operation));
  put_bytes(&body, intent.primary_instance);
  put_bytes(&body, intent.mirror_instance);
  put_le64(&body, static_cast<uint64_t>(intent.index));
  put_le64(&body, static_cast<uint64_t>(intent.pre_first));
  put_le64(&body, static_cast<uint64_t>(intent.pre_last));
  put_le32(&body, static_cast<uint32_t>(intent.entries.size()));
  for (const EntryMark& mark : intent.entries) {
    put_le64(&body, static_cast<uint64_t>(mark.term));
    put_le64(&body, mark.hash);
  }
  put_hard_state(&body, intent.hard_state);
  put_hard_state(&body, intent.pre_hard_state);
  put_meta(&body, intent.snapshot);
  put_u8(&body, intent.pre_snapshot ? 1 : 0);
  if (intent.pre_snapshot) put_meta(&body, *intent.pre_snapshot);

  std::string frame(kJournalMagic);
  put_bytes(&frame, body);
  put_le32(&frame, crc32c(frame));
  return frame;
}

// nullopt: the slot holds no whole record, which means its mutation never began.
std::optional<Intent> decode(std::string_view slot) {
  if (slot.size() < kFrameSize || slot.substr(0, kJournalMagic.size()) != kJournalMagic)
    return std::nullopt;
  ByteReader frame(slot.substr(kJournalMagic.size()));
  const std::string_view body = frame.bytes();
  const uint32_t crc = frame.le32();
  if (!frame.ok() || crc != crc32c(slot.substr(0, kJournalMagic.size() + 4 + body.size()))) {
    return std::nullopt;
  }
  ByteReader reader(body);
  Intent intent;
  intent.seq = reader.le64();
  const uint8_t operation = reader.u8();
  if (operation > static_cast<uint8_t>(Operation::kPublish)) return std::nullopt;
  intent.operation = static_cast<Operation>(operation);
  intent.primary_instance = std::string(reader.bytes());
  intent.mirror_instance = std::string(reader.bytes());
  intent.index = static_cast<int64_t>(reader.le64());
  intent.pre_first = static_cast<int64_t>(reader.le64());
  intent.pre_last = static_cast<int64_t>(reader.le64());
  const uint32_t count = reader.le32();
  if (count > IntentJournal::kMaxEntries) return std::nullopt;
  for (uint32_t i = 0; i < count; ++i) {
    EntryMark mark;
    mark.term = static_cast<int64_t>(reader.le64());
    mark.hash = reader.le64();
    intent.entries.push_back(mark);
  }
  intent.hard_state = get_hard_state(&reader);
  intent.pre_hard_state = get_hard_state(&reader);
  if (!get_meta(&reader, &intent.snapshot)) return std::nullopt;
  if (reader.u8() != 0) {
    intent.pre_snapshot.emplace();
    if (!get_meta(&reader, &*intent.pre_snapshot)) return std::nullopt;
  }
  if (!reader.done()) return std::nullopt;
  return intent;
}

}  // namespace

EntryMark mark_of(const families::LogEntry& entry) {
  return {entry.term, xxh3_64(entry.payload, static_cast<uint64_t>(entry.type))};
}

absl::Status IntentJournal::load(LaneFile* lane) {
  for (int slot = 0; slot < 2; ++slot) {
    std::string bytes(kSlotSize, '\0');
    QK_ASSIGN_OR_RETURN(const size_t got, lane->file->read_at(slot * kSlotSize, bytes));
    std::optional<Intent> intent = decode(std::string_view(bytes).substr(0, got));
    if (!intent || (lane->newest && lane->newest->seq > intent->seq)) continue;
    lane->newest = std::move(intent);
    lane->next_slot = 1 - slot;
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<IntentJournal>> IntentJournal::open(families::FileSystem* fs,
                                                                   std::string directory) {
  QK_RETURN_IF_ERROR(families::make_directories(*fs, directory));
  auto journal = std::unique_ptr<IntentJournal>(new IntentJournal);
  for (int i = 0; i < families::kLaneCount; ++i) {
    LaneFile& lane = journal->lanes_[i];
    lane.path = lane_path(directory, i);
    families::OpenFlags flags;
    flags.create = true;
    QK_ASSIGN_OR_RETURN(lane.file, fs->open(lane.path, flags));
    QK_RETURN_IF_ERROR(journal->load(&lane));
    if (!lane.newest) continue;
    // What a process wrote that was killed, or that stopped because a sync failed, may be visible
    // without being durable, and reconciliation changes both families by it: a power cut must not
    // take it back then.
    QK_RETURN_IF_ERROR(families::write_again(*lane.file));
  }
  // The names must be durable before a record in them can count.
  QK_RETURN_IF_ERROR(fs->sync_dir(directory, families::SyncKind::kFull));
  return journal;
}

absl::Status IntentJournal::remove(families::FileSystem* fs, std::string_view directory) {
  bool removed = false;
  for (int i = 0; i < families::kLaneCount; ++i) {
    const std::string path = lane_path(directory, i);
    QK_ASSIGN_OR_RETURN(const bool present, families::exists(*fs, path));
    if (!present) continue;
    QK_RETURN_IF_ERROR(fs->unlink(path));
    removed = true;
  }
  return removed ? fs->sync_dir(directory, families::SyncKind::kFull) : absl::OkStatus();
}

absl::Status IntentJournal::write(const Intent& intent) {
  QK_CHECK(intent.entries.size() <= kMaxEntries);
  LaneFile& lane = lanes_[static_cast<int>(lane_of(intent.operation))];
  const std::string frame = encode(intent);
  if (frame.size() > kSlotSize) {
    return absl::InvalidArgumentError(
        cat(lane.path, ": intent of ", frame.size(), " bytes, at most ", kSlotSize));
  }
  QK_RETURN_IF_ERROR(lane.file->write_at(lane.next_slot * kSlotSize, frame));
  QK_RETURN_IF_ERROR(lane.file->sync(families::SyncKind::kData));
  lane.newest = intent;
  lane.next_slot = 1 - lane.next_slot;
  return absl::OkStatus();
}

const std::optional<Intent>& IntentJournal::newest(families::Lane lane) const {
  return lanes_[static_cast<int>(lane)].newest;
}

}  // namespace qk::migration
