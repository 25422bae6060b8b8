// What the simulated disk stores: pages, file images, directory tables, and the pending
// micro-operations that lie between an inode's durable and its volatile state.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "families/fs/file_system.h"
#include "sim/disk/choice.h"
#include "sim/kernel/time.h"

namespace qk::sim {

using InodeNumber = uint64_t;

inline constexpr InodeNumber kNoInode = 0;
inline constexpr InodeNumber kRootInode = 1;
inline constexpr uint32_t kPageSize = 4096;

// Never changes once it is in a PageRef, so versions, forks and images share it.
struct Page : std::array<char, kPageSize> {
  Page() : array{} {}
  Page(const Page& other) : array(other) {}
  Page& operator=(const Page&) = delete;
  // Of the content; only of a page that does not change any more.
  uint64_t hash() const;

 private:
  mutable uint64_t hash_ = 0;  // 0: not known yet
};
using PageRef = std::shared_ptr<const Page>;

// The interval of virtual time in which an operation executes; begin < end.
struct Stamp {
  Nanos begin = 0;
  Nanos end = 0;
};

struct MicroOperation {
  PendingOperation::Kind kind = PendingOperation::Kind::kWrite;
  uint64_t sequence = 0;  // the two entries of a rename share it
  uint64_t call = 0;
  uint64_t ordinal = 0;  // among the operations of this kind on the inode, from 1
  Stamp stamp;

  // kWrite: bytes [from, to) of page number `page`; `image` is the whole page after the write.
  uint32_t page = 0;
  uint32_t from = 0;
  uint32_t to = 0;
  PageRef image;
  // kWrite: of a page that the file did not have. kSize: with such pages.
  bool allocates = false;

  // kSize
  uint64_t old_size = 0;
  uint64_t size = 0;
  bool cuts = false;  // the call was a truncation: bytes from `size` on are gone for good
  bool by_write = false;

  // kWrite, kSize: a sync failed to write it back. It is seen until the power is cut; no later sync
  // makes it durable.
  bool lost = false;

  // kName: the entry `name` now names `target`, or is gone (kNoInode). `partner` is the
  // directory of the other entry of a rename between two directories.
  std::string name;
  InodeNumber target = kNoInode;
  InodeNumber partner = kNoInode;
  bool replaces = false;  // a rename over something
};

// The parts of a size that may survive alone: see PendingOperation::size_parts.
uint32_t size_parts_of(const MicroOperation& size);
// Of a growth of which part number `part` survived: where the file ends.
uint64_t end_of_part(const MicroOperation& growth, uint32_t part);

// Bit i is sector i of the page.
uint32_t sectors_of(const MicroOperation& write, uint32_t sector_size);
uint32_t sectors_between(uint32_t from, uint32_t to, uint32_t sector_size);

// The bytes of a file. A missing page reads as zeros.
class FileImage {
 public:
  uint64_t size() const { return size_; }
  void set_size(uint64_t size) {
    size_ = size;
    hash_ = 0;
  }
  // Sets the size, and drops all bytes after it.
  void cut(uint64_t size);

  // Null if never written.
  PageRef page(uint32_t number) const;
  void set_page(uint32_t number, PageRef page);
  uint64_t page_count() const;

  size_t read(uint64_t offset, std::span<char> buffer) const;

  // Applies a surviving micro-operation (kWrite, kSize) of `inode`.
  void apply(const MicroOperation& operation, Fate fate, uint32_t sector_size);

  uint64_t hash() const;
  // Equal for equal content, as hash(); costs no more than what has changed since it was last asked.
  uint64_t content_key() const;
  // Of one page; one that was never written is one of zeros.
  uint64_t page_hash(uint32_t number) const;

 private:
  void zero_page_from(uint64_t offset);  // to the end of its page
  void fill_garbage(uint64_t from, uint64_t to, uint64_t seed);

  uint64_t size_ = 0;
  std::vector<PageRef> pages_;
  mutable uint64_t hash_ = 0;  // 0: not known
};

using Entries = std::map<std::string, InodeNumber, std::less<>>;

struct Inode {
  families::FileKind kind = families::FileKind::kFile;
  std::string label;  // its last name, for reports
  // What names the inode in a written crash decision (PendingOperation::file).
  std::string born = {};
  // Of a directory: how often each name was made in it. No crash takes that back.
  std::map<std::string, uint32_t, std::less<>> births = {};
  std::array<uint64_t, 3> issued = {};  // micro-operations so far, by kind
  // For P1 (crash_order.h). The last micro-operation on it or on a name of it; of these, the last one that
  // fdatasync does not overlook; and what the last sync covered that has returned.
  uint64_t last_change = 0;
  uint64_t last_data_change = 0;
  uint64_t synced_before = 0;
  // Of a directory: entries of renames that are durable only because the rename's other directory was synced.
  // At P2x that may be untrue.
  struct Half {
    MicroOperation operation;
    InodeNumber before = kNoInode;  // what the durable entry led to
  };
  std::vector<Half> halves = {};
  // One pair is used, according to kind.
  FileImage durable_file, file;
  Entries durable_entries, entries;
  std::vector<MicroOperation> pending;  // by sequence

  // Appends to `pending`, numbered.
  void issue(MicroOperation operation);

  bool is_directory() const { return kind == families::FileKind::kDirectory; }
  // Volatile state := durable state and all that is pending.
  void rebuild(uint32_t sector_size);
};

void apply_entry(Entries* entries, const MicroOperation& operation);

}  // namespace qk::sim
