#include "families/bench/entries.h"

#include <algorithm>

#include "families/base/check.h"

namespace qk::families::bench {

std::vector<LogEntry> make_entries(int64_t first, int64_t count, size_t size) {
  // One pool of noise, from which each payload is a window.
  static const std::string noise = [] {
    std::string bytes;
    uint64_t state = 88172645463325252ULL;
    while (bytes.size() < (1 << 20)) {
      state ^= state << 13;
      state ^= state >> 7;
      state ^= state << 17;
      bytes.append(reinterpret_cast<const char*>(&state), sizeof state);
    }
    return bytes;
  }();
  QK_CHECK(size <= noise.size() / 2);
  std::vector<LogEntry> entries;
  entries.reserve(static_cast<size_t>(count));
  for (int64_t index = first; index < first + count; ++index) {
    const size_t at = static_cast<size_t>(index) * 7919 % (noise.size() / 2);
    entries.push_back({index, 1, EntryType::kData, noise.substr(at, size)});
  }
  return entries;
}

void for_each_batch(int64_t first, int64_t count, size_t size, int64_t batch,
                    const Consume& consume) {
  for (int64_t done = 0; done < count; done += batch) {
    consume(make_entries(first + done, std::min(batch, count - done), size));
  }
}

std::vector<int64_t> sample(int64_t count) {
  std::vector<int64_t> indices(static_cast<size_t>(std::min<int64_t>(count, 4096)));
  int64_t i = 0;
  for (int64_t& index : indices) index = 1 + i++ * 7919 % count;
  return indices;
}

}  // namespace qk::families::bench
