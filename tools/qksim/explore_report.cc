#include "tools/qksim/explore_report.h"

#include <algorithm>
#include <set>

#include "families/base/strings.h"
#include "tools/qksim/padded.h"

namespace qk::cli {
namespace {

using sim::ExplorationCounts;
using sim::PhaseCode;

constexpr size_t kCountWidth = 11;
constexpr size_t kCellWidth = 9;
// The phases of a migration, in its order. After a rollback a node is in A again.
constexpr PhaseCode kPhases[] = {PhaseCode::kA,   PhaseCode::kExport, PhaseCode::kBoot,
                                 PhaseCode::kV1,  PhaseCode::kDual,   PhaseCode::kV2,
                                 PhaseCode::kCut, PhaseCode::kB};

std::string right(std::string_view text, size_t width) {
  return std::string(width - std::min(text.size(), width - 1), ' ') + std::string(text);
}

std::string row_of(std::string_view name, size_t width, const ExplorationCounts& counts) {
  std::string row = cat("  ", padded(name, width));
  for (const uint64_t number : {counts.instants, counts.states, counts.distinct, counts.alike,
                                counts.recoveries, counts.violations}) {
    row += right(cat(number), kCountWidth);
  }
  return row + "\n";
}

// Distinct states by pair of families, fault and phase.
using Matrix = std::map<std::string, std::map<std::string, std::map<PhaseCode, uint64_t>>>;

std::string matrix_text(const Matrix& matrix) {
  size_t width = 0;
  std::set<std::string> faults;
  for (const auto& [pair, by_fault] : matrix) {
    width = std::max(width, pair.size() + 2);
    for (const auto& [fault, by_phase] : by_fault) faults.insert(fault);
  }
  std::string out;
  std::string empty;
  uint64_t cells = 0;
  uint64_t empty_cells = 0;
  for (const std::string& fault : faults) {
    width = std::max(width, fault.size() + 2);
    out += cat("  matrix    ", padded(fault, width));
    for (const PhaseCode phase : kPhases) out += right(to_string(phase), kCellWidth);
    out += "\n";
    for (const auto& [pair, by_fault] : matrix) {
      out += cat("            ", padded(pair, width));
      const auto row = by_fault.find(fault);
      std::string missing;
      for (const PhaseCode phase : kPhases) {
        ++cells;
        const bool there = row != by_fault.end() && row->second.count(phase) > 0;
        out += right(there ? cat(row->second.at(phase)) : std::string("-"), kCellWidth);
        if (there) continue;
        ++empty_cells;
        missing += cat(" ", to_string(phase));
      }
      if (!missing.empty()) empty += cat("            ", pair, " ", fault, ":", missing, "\n");
      out += "\n";
    }
  }
  out +=
      cat("  empty     ", empty_cells, " of ", cells, " cells", empty_cells > 0 ? ":" : "", "\n");
  return out + empty;
}

}  // namespace

ExplorationCounts total_of(const ExploreRecords& records) {
  ExplorationCounts all;
  for (const auto& units : records.units) {
    for (const auto& [number, unit] : units) all.add(unit.counts);
  }
  return all;
}

std::string explored_text(const ExploreRecords& records) {
  const auto& variants = records.definition.variants;
  const bool one = variants.size() == 1;
  std::vector<std::pair<std::string, ExplorationCounts>> rows;
  Matrix matrix;
  for (size_t i = 0; i < variants.size(); ++i) {
    const sim::ExplorationSummary summary = sim::summarize(records.units[i]);
    ExplorationCounts of_variant;
    for (const auto& [phase, counts] : summary.counts) {
      if (one) rows.emplace_back(to_string(phase), counts);
      of_variant.add(counts);
    }
    if (!one) rows.emplace_back(cat(variants[i].pair, " ", variants[i].window), of_variant);
    auto& of_pair = matrix[variants[i].pair];
    for (const auto& [phase, faults] : summary.faults) {
      for (const auto& [fault, count] : faults) of_pair[fault][phase] += count;
    }
  }
  if (rows.size() != 1) rows.emplace_back("all", total_of(records));
  size_t width = 10;
  for (const auto& [name, counts] : rows) width = std::max(width, name.size() + 1);
  std::string out = cat("  ", padded(one ? "phase" : "pair", width),
                        "   instants     states   distinct      alike recoveries violations\n");
  for (const auto& [name, counts] : rows) out += row_of(name, width, counts);
  return out + matrix_text(matrix);
}

}  // namespace qk::cli
