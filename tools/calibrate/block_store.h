// BlockStore: the bytes of a block device in memory, in pages that copies share.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "families/base/hash.h"

namespace qk::calibrate {

inline constexpr uint64_t kBlock = 4096;

class BlockStore {
 public:
  // Bytes that are not in this store are those of `below`, which must outlive it; null: zeros.
  explicit BlockStore(const BlockStore* below = nullptr) : below_(below) {}

  void write(uint64_t offset, std::string_view bytes) {
    for (size_t done = 0; done < bytes.size();) {
      const uint64_t number = (offset + done) / kBlock;
      const uint64_t from = (offset + done) % kBlock;
      const size_t part = std::min<size_t>(bytes.size() - done, kBlock - from);
      auto block = std::make_shared<Block>();
      if (part != kBlock) get(number, block.get());
      std::memcpy(block->data() + from, bytes.data() + done, part);
      blocks_[number] = std::move(block);
      done += part;
    }
  }
  void read(uint64_t offset, char* buffer, size_t size) const {
    Block block;
    for (size_t done = 0; done < size;) {
      const uint64_t from = (offset + done) % kBlock;
      const size_t part = std::min<size_t>(size - done, kBlock - from);
      get((offset + done) / kBlock, &block);
      std::memcpy(buffer + done, block.data() + from, part);
      done += part;
    }
  }
  uint64_t hash_of(uint64_t number) const {
    Block block;
    get(number, &block);
    return xxh3_64({block.data(), block.size()});
  }
  // Of what differs from `below`; blocks that were written with what lies below do not count.
  uint64_t hash() const {
    uint64_t sum = 0;
    Block under;
    for (const auto& [number, block] : blocks_) {
      if (below_ != nullptr) {
        below_->get(number, &under);
        if (under == *block) continue;
      }
      sum += xxh3_64({block->data(), block->size()}, number + 1);
    }
    return sum;
  }

 private:
  using Block = std::array<char, kBlock>;
  void get(uint64_t number, Block* block) const {
    const auto own = blocks_.find(number);
    if (own != blocks_.end()) {
      *block = *own->second;
    } else if (below_ != nullptr) {
      below_->get(number, block);
    } else {
      block->fill('\0');
    }
  }

  const BlockStore* below_;
  std::unordered_map<uint64_t, std::shared_ptr<const Block>> blocks_;
};

}  // namespace qk::calibrate
