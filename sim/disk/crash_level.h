// CrashLevel: how much a crash may take away (docs/disk-model.md 2), and JournalOptions: what level P1 takes
// for granted of the file system.
#pragma once

#include <cstdint>
#include <string_view>

namespace qk::sim {

enum class CrashLevel : uint8_t { kP0, kP1, kP2, kP2x };

// "P2x".
std::string_view to_string(CrashLevel level);

// crash_order.h has the rules.
struct JournalOptions {
  enum class Kind : uint8_t { kExt4, kXfs, kBtrfs };
  Kind kind = Kind::kExt4;
  bool auto_da_alloc =
      true;  // ext4: a rename over a file waits for the allocation of the new bytes
  // ext4: a new page is on the disk before the file's size says so (dioread_lock). By default it is not: blocks
  // are allocated unwritten, and read as zeros until a later commit of the journal.
  bool ordered_growth = false;
  // fdatasync commits the journal as fsync does, not only for a change of size or allocation.
  bool fdatasync_commits = false;
  bool operator==(const JournalOptions&) const = default;
};

}  // namespace qk::sim
