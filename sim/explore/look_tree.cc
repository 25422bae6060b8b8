#include "sim/explore/look_tree.h"

#include <algorithm>

namespace qk::sim {

std::optional<size_t> LookTree::find(const SimDisk& state) const { return find(root_, state); }

std::optional<size_t> LookTree::find(const Place& from, const SimDisk& state) {
  // Most places have one continuation: a path is walked without recursion.
  const Place* place = &from;
  while (true) {
    if (place->answer) return place->answer;
    if (place->next.empty()) return std::nullopt;
    for (size_t i = 1; i < place->next.size(); ++i) {
      const Continuation& other = place->next[i];
      const auto child = other.by_shown.find(state.shown(other.look));
      if (child == other.by_shown.end()) continue;
      if (const auto found = find(*child->second, state)) return found;
    }
    const Continuation& first = place->next.front();
    const auto child = first.by_shown.find(state.shown(first.look));
    if (child == first.by_shown.end()) return std::nullopt;
    place = child->second.get();
  }
}

void LookTree::add(const SimDisk& state, std::span<const DiskLook> looks, size_t answer) {
  Place* place = &root_;
  for (const DiskLook& look : looks) {
    auto next = std::find_if(place->next.begin(), place->next.end(),
                             [&](const Continuation& known) { return known.look == look; });
    if (next == place->next.end()) {
      place->next.push_back({look, {}});
      next = place->next.end() - 1;
    }
    std::unique_ptr<Place>& child = next->by_shown[state.shown(look)];
    if (!child) child = std::make_unique<Place>();
    place = child.get();
  }
  if (!place->answer) place->answer = answer;
}

}  // namespace qk::sim
