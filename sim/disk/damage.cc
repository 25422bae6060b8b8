// Damage to what a disk holds, and writes that it lies about; the rules are stated in disk_faults.h.
#include <algorithm>
#include <cerrno>
#include <cstring>

#include "families/base/hash.h"
#include "sim/disk/disk_core.h"

namespace qk::sim {

std::vector<DiskFile> DiskCore::files() const {
  std::vector<DiskFile> found;
  const auto walk = [&](const auto& self, InodeNumber number, const std::string& path) -> void {
    const Inode& node = inode(number);
    if (!node.is_directory()) {
      if (node.durable_file.size() > 0) found.push_back({path, node.durable_file.size()});
      return;
    }
    for (const auto& [name, target] : node.entries) self(self, target, cat(path, "/", name));
  };
  walk(walk, kRootInode, "");
  return found;
}

// The medium changes under whatever the page cache holds.
void DiskCore::overwrite_medium(InodeNumber number, uint64_t offset, std::string_view bytes) {
  Inode& node = change(number);
  const auto put = [&](FileImage* file, uint32_t page) {
    const uint64_t begin = std::max(offset, uint64_t{page} * kPageSize);
    const uint64_t end =
        std::min({offset + bytes.size(), (uint64_t{page} + 1) * kPageSize, file->size()});
    if (begin >= end) return;
    const PageRef old = file->page(page);
    auto image = old ? std::make_shared<Page>(*old) : std::make_shared<Page>();
    std::memcpy(image->data() + begin % kPageSize, bytes.data() + (begin - offset), end - begin);
    file->set_page(page, std::move(image));
  };
  const uint64_t last = (offset + bytes.size() - 1) / kPageSize;
  for (uint64_t at = offset / kPageSize; at <= last; ++at) {
    const auto page = static_cast<uint32_t>(at);
    put(&node.durable_file, page);
    const bool cached = std::any_of(node.pending.begin(), node.pending.end(), [&](const auto& op) {
      return op.kind == PendingOperation::Kind::kWrite && op.page == page;
    });
    if (!cached) put(&node.file, page);
  }
}

bool DiskCore::damage(const DiskFault& fault) {
  InodeNumber number;
  QK_CHECK(fault.offset.has_value());
  if (find(fault.path, &number) != 0 || inode(number).is_directory() ||
      *fault.offset >= inode(number).durable_file.size()) {
    return false;
  }
  const uint64_t sector = *fault.offset / options_.sector_size;
  if (fault.kind == DiskFaultKind::kBadSector) {
    bad_[number].insert(sector);
    return true;
  }
  QK_CHECK(fault.kind == DiskFaultKind::kBitFlip);
  if (fault.damage == DiskDamage::kBits) {
    char byte = 0;
    inode(number).durable_file.read(*fault.offset, {&byte, 1});
    byte = static_cast<char>(byte ^ fault.mask);
    overwrite_medium(number, *fault.offset, {&byte, 1});
    return true;
  }
  std::string bytes(options_.sector_size, '\0');
  for (size_t i = 0; fault.damage == DiskDamage::kGarbage && i < bytes.size(); ++i) {
    const uint64_t word = sector * options_.sector_size + i;
    bytes[i] = static_cast<char>(
        xxh3_64({reinterpret_cast<const char*>(&word), sizeof word}, xxh3_64(fault.path)));
  }
  overwrite_medium(number, sector * options_.sector_size, bytes);
  return true;
}

int DiskCore::meet_bad(InodeNumber number, uint64_t offset, uint64_t size, std::string_view path,
                       bool write) {
  const auto bad = bad_.find(number);
  if (bad == bad_.end() || size == 0) return 0;
  const uint64_t end = offset + size;
  std::set<uint64_t>& sectors = bad->second;
  const uint64_t last = (end - 1) / options_.sector_size;
  for (auto at = sectors.lower_bound(offset / options_.sector_size);
       at != sectors.end() && *at <= last;) {
    const uint64_t begin = *at * options_.sector_size;
    if (write && offset <= begin && begin + options_.sector_size <= end) {
      at = sectors.erase(at);
      continue;
    }
    DiskStrike strike;
    strike.fault.kind = DiskFaultKind::kBadSector;
    strike.fault.path = path;
    strike.fault.offset = begin;
    strike.error = EIO;
    const DiskCall call{write ? DiskAccess::kWrite : DiskAccess::kRead, write ? "write" : "read",
                        path};
    if (observer_ != nullptr) observer_->struck(call, strike);
    return EIO;
  }
  return 0;
}

// Where a misdirected write lands: a page of the same file that the call does not touch; of another
// file, if there is none.
void DiskCore::aim(const DiskCall& call, DiskFault* fault) const {
  if (!fault->to.empty() && fault->offset) return;
  const uint64_t first = call.offset / kPageSize;
  const uint64_t last = (call.offset + call.size - 1) / kPageSize;
  const uint64_t key[] = {call.inode, call.offset, operation_count_};
  const uint64_t chance = xxh3_64({reinterpret_cast<const char*>(key), sizeof key});
  const auto place = [&](const DiskFile& file, bool own) {
    std::vector<uint64_t> pages;
    for (uint64_t page = 0; page * kPageSize < file.size; ++page) {
      if (!own || page < first || page > last) pages.push_back(page);
    }
    if (pages.empty()) return false;
    fault->to = file.path;
    fault->offset = pages[chance % pages.size()] * kPageSize +
                    call.offset % kPageSize / options_.sector_size * options_.sector_size;
    return true;
  };
  std::vector<DiskFile> others;
  for (const DiskFile& file : files()) {
    const bool asked = fault->to.empty() || file.path.find(fault->to) != std::string::npos;
    if (!asked) continue;
    if (file.path == call.path) {
      if (place(file, true)) return;
    } else {
      others.push_back(file);
    }
  }
  if (!others.empty()) place(others[chance % others.size()], false);
}

int DiskCore::write_lied(InodeNumber number, uint64_t offset, std::string_view bytes,
                         const DiskFault& fault) {
  // What the medium is given: whole sectors, as the cache has them after the write.
  const uint64_t begin = offset / options_.sector_size * options_.sector_size;
  const uint64_t end = offset + bytes.size();
  const uint64_t sectors = (end - begin + options_.sector_size - 1) / options_.sector_size;
  std::string given(sectors * options_.sector_size, '\0');
  inode(number).file.read(begin, {given.data(), given.size()});
  std::memcpy(given.data() + (offset - begin), bytes.data(), bytes.size());

  const int error =
      write(number, offset, bytes, fault.evicted ? Arrival::kNowhere : Arrival::kCache);
  if (error != 0 || fault.kind != DiskFaultKind::kMisdirected || !fault.offset) return error;
  InodeNumber victim;
  if (find(fault.to, &victim) == 0 && !inode(victim).is_directory()) {
    overwrite_medium(victim, *fault.offset / options_.sector_size * options_.sector_size, given);
  }
  return 0;
}

}  // namespace qk::sim
