// What was looked at of a disk's content, and what another disk would show there.
#include <algorithm>

#include "families/base/hash.h"
#include "families/base/strings.h"
#include "sim/disk/disk_core.h"

namespace qk::sim {
namespace {

using Kind = PendingOperation::Kind;

class Mixed {
 public:
  void add(uint64_t number) {
    hash_ = xxh3_64({reinterpret_cast<const char*>(&number), sizeof number}, hash_ + 1);
  }
  void add(std::string_view text) { hash_ = xxh3_64(text, hash_ + 1); }
  uint64_t hash() const { return hash_; }

 private:
  uint64_t hash_ = 0;
};

}  // namespace

void DiskCore::note_looks(DiskLooks* looks) {
  looks_ = looks;
  if (looks_ != nullptr) looks_->begin(next_inode_);
}

void DiskCore::note_bytes(InodeNumber number, uint64_t offset, uint64_t size) const {
  looks_->add({DiskLook::Kind::kSize, number});
  const uint64_t end = std::min(inode(number).file.size(), offset + size);
  for (uint64_t page = offset / kPageSize; page * kPageSize < end; ++page) {
    looks_->add({DiskLook::Kind::kPage, number, static_cast<uint32_t>(page)});
  }
}

std::map<uint64_t, std::string> DiskCore::paths() const {
  std::map<uint64_t, std::string> paths;
  const auto walk = [&](const auto& self, InodeNumber number, const std::string& path) -> void {
    if (!paths.emplace(number, path).second) return;
    for (const auto& [name, target] : inode(number).entries)
      self(self, target, cat(path, "/", name));
  };
  walk(walk, kRootInode, "");
  return paths;
}

// What is pending shows after a power cut, or after a sync of ours.
uint64_t DiskCore::shown(const DiskLook& look) const {
  const auto found = inodes_.find(look.inode);
  if (found == inodes_.end()) return 0;
  const Inode& node = *found->second;
  Mixed mixed;
  const auto add_pending_name = [&](const MicroOperation& operation) {
    mixed.add(operation.name);
    mixed.add(operation.target);
    mixed.add(operation.partner);
  };
  switch (look.kind) {
    case DiskLook::Kind::kName:
      for (const Entries* entries : {&node.entries, &node.durable_entries}) {
        const auto entry = entries->find(look.name);
        mixed.add(entry == entries->end() ? kNoInode : entry->second);
      }
      for (const MicroOperation& operation : node.pending) {
        if (operation.kind == Kind::kName && operation.name == look.name)
          add_pending_name(operation);
      }
      break;
    case DiskLook::Kind::kNames:
      for (const Entries* entries : {&node.entries, &node.durable_entries}) {
        mixed.add(entries->size());
        for (const auto& [name, target] : *entries) {
          mixed.add(name);
          mixed.add(target);
        }
      }
      for (const MicroOperation& operation : node.pending) add_pending_name(operation);
      break;
    case DiskLook::Kind::kSize:
      mixed.add(node.file.size());
      mixed.add(node.durable_file.size());
      for (const MicroOperation& operation : node.pending) {
        if (operation.kind != Kind::kSize) continue;
        mixed.add(operation.size);
        mixed.add(operation.cuts);
        mixed.add(operation.lost);
      }
      break;
    case DiskLook::Kind::kPage:
      mixed.add(node.file.page_hash(look.page));
      mixed.add(node.durable_file.page_hash(look.page));
      for (const MicroOperation& operation : node.pending) {
        if (operation.kind != Kind::kWrite || operation.page != look.page) continue;
        mixed.add(operation.image->hash());
        mixed.add(operation.from);
        mixed.add(operation.to);
        mixed.add(operation.lost);
      }
      break;
  }
  return mixed.hash();
}

}  // namespace qk::sim
