// The entries that families and raw engines are given: the same in each process.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "families/contract/types.h"

namespace qk::families::bench {

// Entries [first, first + count) with payloads of `size` bytes that do not compress.
std::vector<LogEntry> make_entries(int64_t first, int64_t count, size_t size);

// make_entries() in portions of `batch`, so that memory stays bounded.
using Consume = std::function<void(std::span<const LogEntry>)>;
void for_each_batch(int64_t first, int64_t count, size_t size, int64_t batch,
                    const Consume& consume);

// The entries of a log 1..count that are read one by one: at most 4096, far from each other.
std::vector<int64_t> sample(int64_t count);

}  // namespace qk::families::bench
