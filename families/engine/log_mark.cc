#include "families/engine/log_mark.h"

#include <array>

#include "families/base/bytes.h"
#include "families/base/hash.h"
#include "families/base/strings.h"
#include "families/fs/file_util.h"

namespace qk::families {
namespace {

// The unit that a disk writes whole or not at all.
constexpr uint64_t kSlotBytes = 512;
constexpr uint64_t kSlots = 2;
constexpr uint64_t kFileBytes = kSlots * kSlotBytes;

constexpr std::string_view kMarkMagic = "qksim log mark 1";
// magic (16), sequence (8), 1 if a log is named (1), its number (8), CRC-32C of these (4)
constexpr size_t kRecordBytes = 16 + 8 + 1 + 8 + 4;

struct Slot {
  uint64_t sequence = 0;
  std::optional<uint64_t> log;
};

std::string encode(const Slot& slot) {
  std::string record(kMarkMagic);
  put_le64(&record, slot.sequence);
  put_u8(&record, slot.log.has_value() ? 1 : 0);
  put_le64(&record, slot.log.value_or(0));
  put_le32(&record, crc32c(record));
  return record;
}

std::optional<Slot> decode(std::string_view record) {
  ByteReader reader(record.substr(kMarkMagic.size()));
  Slot slot;
  slot.sequence = reader.le64();
  const bool named = reader.u8() != 0;
  const uint64_t log = reader.le64();
  if (named) slot.log = log;
  // Comparing with the one encoding checks the magic, the flag and the checksum.
  return encode(slot) == record ? std::optional(slot) : std::nullopt;
}

std::string fresh_file() {
  std::string bytes;
  for (uint64_t i = 0; i < kSlots; ++i) {
    bytes += encode({i, std::nullopt});
    bytes.resize((i + 1) * kSlotBytes, '\0');
  }
  return bytes;
}

}  // namespace

absl::StatusOr<std::unique_ptr<LogMark>> LogMark::open(FileSystem* fs, std::string_view root) {
  std::unique_ptr<LogMark> mark(new LogMark(join_path(root, kLogMarkName)));
  absl::StatusOr<std::unique_ptr<File>> file = fs->open(mark->path_, {});
  if (absl::IsNotFound(file.status())) {
    QK_RETURN_IF_ERROR(replace_file(*fs, mark->path_, fresh_file()));
    file = fs->open(mark->path_, {});
  }
  QK_RETURN_IF_ERROR(file.status());
  mark->file_ = std::move(*file);
  QK_RETURN_IF_ERROR(mark->read());
  // A process that died may have left a slot that a power cut would still undo.
  QK_RETURN_IF_ERROR(write_again(*mark->file_));
  return mark;
}

absl::Status LogMark::read() {
  QK_ASSIGN_OR_RETURN(const uint64_t size, file_->size());
  if (size != kFileBytes) {
    return absl::DataLossError(cat(path_, ": found ", size, " bytes, expected ", kFileBytes));
  }
  bool found = false;
  for (uint64_t i = 0; i < kSlots; ++i) {
    std::array<char, kRecordBytes> record;
    QK_RETURN_IF_ERROR(read_exact(*file_, path_, i * kSlotBytes, record));
    const std::optional<Slot> slot = decode({record.data(), record.size()});
    if (!slot || (found && slot->sequence < sequence_)) continue;
    found = true;
    sequence_ = slot->sequence;
    log_ = slot->log;
  }
  if (found) return absl::OkStatus();
  return absl::DataLossError(
      cat(path_, ": found no record with a valid checksum, expected one in at least one of ",
          kSlots, " sectors"));
}

absl::Status LogMark::name(std::optional<uint64_t> log) {
  if (log == log_) return absl::OkStatus();
  const Slot next{sequence_ + 1, log};
  QK_RETURN_IF_ERROR(file_->write_at(next.sequence % kSlots * kSlotBytes, encode(next)));
  QK_RETURN_IF_ERROR(file_->sync(SyncKind::kData));
  sequence_ = next.sequence;
  log_ = log;
  return absl::OkStatus();
}

}  // namespace qk::families
