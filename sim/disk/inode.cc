#include "sim/disk/inode.h"

#include <algorithm>
#include <cstring>

#include "families/base/check.h"
#include "families/base/hash.h"

namespace qk::sim {
namespace {

using Kind = PendingOperation::Kind;

// One fill is cut here: a growth may be gigabytes, and what reads the tail has seen enough by then.
constexpr uint64_t kMaxGarbage = 256 * 1024;

const Page kZeroPage;

uint32_t pages_for(uint64_t size) {
  return static_cast<uint32_t>((size + kPageSize - 1) / kPageSize);
}

}  // namespace

uint64_t Page::hash() const {
  if (hash_ == 0) hash_ = xxh3_64({data(), size()}) | 1;
  return hash_;
}

uint32_t sectors_between(uint32_t from, uint32_t to, uint32_t sector_size) {
  QK_CHECK(from < to && to <= kPageSize);
  const uint32_t first = from / sector_size;
  const uint32_t last = (to - 1) / sector_size;
  return ((2u << last) - 1) & ~((1u << first) - 1);
}

uint32_t sectors_of(const MicroOperation& write, uint32_t sector_size) {
  return sectors_between(write.from, write.to, sector_size);
}

uint64_t end_of_part(const MicroOperation& growth, uint32_t part) {
  return (growth.old_size / kPageSize + part) * kPageSize;
}

uint32_t size_parts_of(const MicroOperation& size) {
  QK_CHECK(size.kind == Kind::kSize);
  if (size.cuts) return size.size % kPageSize == 0 ? 0 : 1;
  if (!size.by_write) return 0;
  return static_cast<uint32_t>((size.size - 1) / kPageSize - size.old_size / kPageSize);
}

void FileImage::cut(uint64_t size) {
  set_size(size);
  const uint32_t count = pages_for(size);
  if (pages_.size() > count) pages_.resize(count);
  zero_page_from(size);
}

void FileImage::zero_page_from(uint64_t offset) {
  const uint64_t number = offset / kPageSize;
  const uint32_t tail = static_cast<uint32_t>(offset % kPageSize);
  if (tail == 0 || pages_.size() <= number || !pages_[number]) return;
  const Page& last = *pages_[number];
  if (std::all_of(last.begin() + tail, last.end(), [](char byte) { return byte == 0; })) return;
  auto page = std::make_shared<Page>(last);
  std::fill(page->begin() + tail, page->end(), '\0');
  pages_[number] = std::move(page);
}

PageRef FileImage::page(uint32_t number) const {
  return number < pages_.size() ? pages_[number] : nullptr;
}

void FileImage::set_page(uint32_t number, PageRef page) {
  hash_ = 0;
  if (number >= pages_.size()) pages_.resize(number + 1);
  pages_[number] = std::move(page);
}

uint64_t FileImage::page_count() const {
  return pages_.size() - std::count(pages_.begin(), pages_.end(), nullptr);
}

size_t FileImage::read(uint64_t offset, std::span<char> buffer) const {
  if (offset >= size_) return 0;
  const size_t length = std::min<uint64_t>(buffer.size(), size_ - offset);
  for (size_t done = 0; done < length;) {
    const uint64_t position = offset + done;
    const uint32_t number = static_cast<uint32_t>(position / kPageSize);
    const uint32_t from = static_cast<uint32_t>(position % kPageSize);
    const size_t part = std::min<size_t>(length - done, kPageSize - from);
    const Page& source = number < pages_.size() && pages_[number] ? *pages_[number] : kZeroPage;
    std::memcpy(buffer.data() + done, source.data() + from, part);
    done += part;
  }
  return length;
}

void FileImage::apply(const MicroOperation& operation, Fate fate, uint32_t sector_size) {
  if (fate.kind == Fate::Kind::kDrop) return;
  if (operation.kind == Kind::kSize) {
    if (operation.cuts) {
      const uint64_t old_size = size_;
      if (fate.kind != Fate::Kind::kTorn) {
        cut(operation.size);
      } else if (operation.size < old_size) {
        zero_page_from(operation.size);
      }
      return;
    }
    if (fate.kind == Fate::Kind::kTorn) {
      size_ = end_of_part(operation, fate.sectors);
      return;
    }
    if (fate.kind == Fate::Kind::kGarbage) fill_garbage(size_, operation.size, operation.sequence);
    set_size(operation.size);
    return;
  }
  QK_CHECK(operation.kind == Kind::kWrite);
  const uint32_t all = sectors_between(0, kPageSize, sector_size);
  const uint32_t sectors =
      fate.kind == Fate::Kind::kTorn ? fate.sectors : sectors_of(operation, sector_size);
  if (sectors == all) {
    set_page(operation.page, operation.image);
    return;
  }
  const PageRef old = page(operation.page);
  auto next = std::make_shared<Page>(old ? *old : kZeroPage);
  for (uint32_t sector = 0; sector * sector_size < kPageSize; ++sector) {
    if ((sectors >> sector & 1) == 0) continue;
    std::memcpy(next->data() + sector * sector_size, operation.image->data() + sector * sector_size,
                sector_size);
  }
  set_page(operation.page, std::move(next));
}

void FileImage::fill_garbage(uint64_t from, uint64_t to, uint64_t seed) {
  to = std::min(to, from + kMaxGarbage);
  while (from < to) {
    const uint32_t number = static_cast<uint32_t>(from / kPageSize);
    const uint64_t page_end = std::min<uint64_t>(to, (uint64_t{number} + 1) * kPageSize);
    const PageRef old = page(number);
    auto next = std::make_shared<Page>(old ? *old : kZeroPage);
    for (; from < page_end; ++from) {
      const uint64_t word = from / 8;
      const uint64_t bits = xxh3_64({reinterpret_cast<const char*>(&word), sizeof word}, seed);
      (*next)[from % kPageSize] = static_cast<char>(bits >> (from % 8 * 8));
    }
    set_page(number, std::move(next));
  }
}

uint64_t FileImage::hash() const {
  if (hash_ != 0) return hash_;
  uint64_t hash = size_;
  for (uint64_t offset = 0; offset < size_; offset += kPageSize) {
    const uint32_t number = static_cast<uint32_t>(offset / kPageSize);
    if (number >= pages_.size()) break;
    // A hole and a page of zeros are the same content.
    if (!pages_[number] || *pages_[number] == kZeroPage) continue;
    const size_t length = std::min<uint64_t>(kPageSize, size_ - offset);
    hash = xxh3_64({pages_[number]->data(), length}, hash ^ (uint64_t{number} << 32));
  }
  hash_ = hash;
  return hash;
}

uint64_t FileImage::page_hash(uint32_t number) const {
  return number < pages_.size() && pages_[number] ? pages_[number]->hash() : kZeroPage.hash();
}

uint64_t FileImage::content_key() const {
  const auto mixed = [](uint64_t hash, uint64_t number) {
    hash = (hash ^ number * 0x9E3779B97F4A7C15u) * 0xFF51AFD7ED558CCDu;
    return hash ^ hash >> 32;
  };
  uint64_t key = mixed(size_, UINT64_MAX);
  const uint64_t zero = kZeroPage.hash();
  const uint32_t whole =
      static_cast<uint32_t>(std::min<uint64_t>(size_ / kPageSize, pages_.size()));
  for (uint32_t number = 0; number < whole; ++number) {
    const uint64_t hash = page_hash(number);
    if (hash != zero) key += mixed(hash, number);
  }
  const uint32_t tail = static_cast<uint32_t>(size_ % kPageSize);
  if (tail == 0 || whole >= pages_.size() || !pages_[whole]) return key;
  const Page& last = *pages_[whole];
  if (std::all_of(last.begin(), last.begin() + tail, [](char byte) { return byte == 0; })) {
    return key;
  }
  return key + mixed(xxh3_64({last.data(), tail}), whole);
}

void apply_entry(Entries* entries, const MicroOperation& operation) {
  QK_CHECK(operation.kind == Kind::kName);
  if (operation.target == kNoInode) {
    entries->erase(operation.name);
  } else {
    (*entries)[operation.name] = operation.target;
  }
}

void Inode::issue(MicroOperation operation) {
  operation.ordinal = ++issued[static_cast<size_t>(operation.kind)];
  last_change = operation.sequence;
  if (operation.kind != Kind::kWrite || operation.allocates) last_data_change = last_change;
  pending.push_back(std::move(operation));
}

void Inode::rebuild(uint32_t sector_size) {
  file = durable_file;
  entries = durable_entries;
  for (const MicroOperation& operation : pending) {
    if (is_directory()) {
      apply_entry(&entries, operation);
    } else {
      file.apply(operation, Fate::keep(), sector_size);
    }
  }
}

}  // namespace qk::sim
