#include "sim/explore/family_sides.h"

#include <algorithm>
#include <string_view>

#include "families/base/strings.h"
#include "sim/explore/sentences.h"
#include "sim/explore/suspect.h"

namespace qk::sim {
namespace {

std::string root_of(std::string_view path) {
  const size_t begin = path.find('/', 1);
  if (begin == std::string_view::npos) return std::string(path);
  return std::string(path.substr(0, path.find('/', begin + 1)));
}
// The number of the attempt that made the directory: 3 of "/node/sqlite-g3", 0 of what was there.
uint64_t generation_of(std::string_view root) {
  const size_t dash = root.rfind("-g");
  if (dash == std::string_view::npos) return 0;
  uint64_t number = 0;
  for (const char c : root.substr(dash + 2)) {
    if (c < '0' || c > '9') break;  // "/node/sqlite-g3.fenced-4"
    number = number * 10 + static_cast<uint64_t>(c - '0');
  }
  return number;
}

}  // namespace

std::vector<FamilySide> sides_of(const Trace& trace, const Violation& violation) {
  const Event& event = trace.event(violation.seq);
  const Event* const end = end_judged(trace, violation);
  const std::string& phase = violation.phase;
  const bool dual = phase == "DUAL" || phase == "V2" || phase == "CUT";
  const bool compares = violation.oracle.starts_with("ora.D") || violation.oracle == "ora.M3";
  if (!dual && !compares) return {};
  std::vector<FamilySide> sides;
  for (PendingFile& file : DiskUse(trace).files_at(event.node, end != nullptr ? *end : event)) {
    const std::string root = root_of(file.path);
    if (root == file.path || root == "/node/migration") continue;
    auto side = std::find_if(sides.begin(), sides.end(),
                             [&](const FamilySide& known) { return known.root == root; });
    if (side == sides.end()) {
      sides.emplace_back().root = root;
      side = sides.end() - 1;
    }
    side->last_sync = std::max(side->last_sync, file.last_sync);
    if (file.changes > 0) side->pending.push_back(std::move(file));
  }
  // The two youngest: what earlier attempts left is no side.
  std::stable_sort(sides.begin(), sides.end(), [](const FamilySide& x, const FamilySide& y) {
    return generation_of(x.root) > generation_of(y.root);
  });
  if (sides.size() < 2) return {};
  sides.resize(2);
  std::swap(sides[0], sides[1]);
  sides[dual && phase == "CUT" ? 0 : 1].mirror = true;
  for (size_t i = 0; i < 2; ++i) {
    sides[i].label = !dual ? (i == 0 ? "A" : "B") : sides[i].mirror ? "mirror" : "authority";
  }
  return sides;
}

std::string pending_text(const PendingFile& file) {
  return cat(file.path, ": ", plural(file.changes, "change"),
             file.last_sync == 0 ? std::string(", never synced")
                                 : cat(" since its last sync at #", file.last_sync),
             ", none durable");
}

const PendingFile* never_durable(const std::vector<FamilySide>& sides) {
  for (const FamilySide& side : sides) {
    if (!side.mirror) continue;
    for (const PendingFile& file : side.pending) {
      if (file.total > 1 && 2 * file.changes >= file.total) return &file;
    }
  }
  return nullptr;
}

}  // namespace qk::sim
