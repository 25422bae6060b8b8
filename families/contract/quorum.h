// Majorities of a configuration; a joint one needs both of its sides.
#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "families/contract/types.h"

namespace qk::families {

// `has(peer)`: the peer counts. An empty configuration has no quorum.
template <typename Predicate>
bool has_quorum(const Configuration& configuration, Predicate has) {
  const auto majority = [&](const std::vector<std::string>& peers) {
    const auto count = std::count_if(peers.begin(), peers.end(), has);
    return static_cast<size_t>(count) > peers.size() / 2;
  };
  return majority(configuration.peers) &&
         (configuration.old_peers.empty() || majority(configuration.old_peers));
}

// The highest index that a quorum has reached; `index_of(peer)` is the peer's.
template <typename IndexOf>
int64_t quorum_index(const Configuration& configuration, IndexOf index_of) {
  const auto reached = [&](const std::vector<std::string>& peers) -> int64_t {
    if (peers.empty()) return 0;
    std::vector<int64_t> indices;
    indices.reserve(peers.size());
    for (const std::string& peer : peers) indices.push_back(index_of(peer));
    const auto middle = indices.begin() + static_cast<std::ptrdiff_t>(indices.size() / 2);
    std::nth_element(indices.begin(), middle, indices.end(), std::greater<>());
    return *middle;
  };
  const int64_t index = reached(configuration.peers);
  return configuration.old_peers.empty() ? index
                                         : std::min(index, reached(configuration.old_peers));
}

}  // namespace qk::families
