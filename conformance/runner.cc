#include "conformance/runner.h"

#include <algorithm>
#include <regex>

#include "families/base/suggest.h"
#include "families/builtin.h"

namespace qk::sim::conformance {
namespace {

using families::FamilyDescriptor;

bool contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

void add_cases(const Check& check, const families::Registry& registry, const RunOptions& options,
               std::vector<Case>* out) {
  const auto wanted = [&](const FamilyDescriptor& family) {
    return options.families.empty() || contains(options.families, family.name);
  };
  for (const FamilyDescriptor& family : registry.all()) {
    Case one;
    one.check = &check;
    one.family = &family;
    if (check.pair != nullptr) {
      for (const FamilyDescriptor& other : registry.all()) {
        if (!wanted(family) && !wanted(other)) continue;
        one.partner = &other;
        for (const DiskKind disk : check.disks) {
          one.disk = disk;
          out->push_back(one);
        }
      }
      continue;
    }
    if (!wanted(family)) continue;
    for (const Role role : check.roles) {
      one.role = role;
      one.partner = role == Role::kPlain ? nullptr : partner_of(registry, family);
      for (const DiskKind disk : check.disks) {
        one.disk = disk;
        out->push_back(one);
      }
    }
  }
}

// Runs the check and notes what it evaluated and counted.
void run_check(const Case& what, const Host& host, uint64_t seed, CaseResult* result) {
  const auto finish = [&](const Bench& bench) {
    result->expectations = bench.expectations();
    result->counts = bench.counts();
    if (result->expectations == 0) throw CheckFailed{"the check evaluated no expectation"};
  };
  if (what.is_pair()) {
    PairContext context(host, what.family, what.partner, what.disk, seed);
    what.check->pair(context);
    finish(context);
  } else {
    InstanceContext context(host, what.family, what.partner, what.role, what.disk, seed);
    what.check->instance(context);
    if (context.is_open()) context.close();
    finish(context);
  }
}

}  // namespace

std::string Case::id() const {
  const std::string name = cat(check->group, "/", check->name, "/", family->name);
  if (is_pair()) return cat(name, "-", partner->name, "/", to_string(disk));
  return cat(name, "/", to_string(role), "/", to_string(disk));
}

std::string_view to_string(Verdict verdict) {
  switch (verdict) {
    case Verdict::kPassed:
      return "passed";
    case Verdict::kFailed:
      return "failed";
    case Verdict::kNotApplicable:
      return "not applicable";
  }
  return "?";
}

absl::Status check_filter(const std::string& filter) {
  try {
    const std::regex regex(filter);
  } catch (const std::regex_error& error) {
    return absl::InvalidArgumentError(error.what());
  }
  return absl::OkStatus();
}

bool matches(const std::string& filter, const std::string& text) {
  return filter.empty() || std::regex_search(text, std::regex(filter));
}

const FamilyDescriptor* partner_of(const families::Registry& registry,
                                   const FamilyDescriptor& family) {
  const std::vector<FamilyDescriptor>& all = registry.all();
  const size_t own = static_cast<size_t>(&family - all.data());
  for (size_t step = 1; step < all.size(); ++step) {
    const FamilyDescriptor& next = all[(own + step) % all.size()];
    if (next.volatility == families::Volatility::kDurable) return &next;
  }
  return &family;
}

std::vector<Case> select_cases(const std::vector<Check>& checks, const families::Registry& registry,
                               const RunOptions& options) {
  std::vector<Case> all;
  for (const Check& check : checks) {
    QK_CHECK((check.instance != nullptr) != (check.pair != nullptr));
    add_cases(check, registry, options, &all);
  }
  if (!options.disks.empty()) {
    std::erase_if(all, [&](const Case& one) {
      return std::find(options.disks.begin(), options.disks.end(), one.disk) == options.disks.end();
    });
  }
  if (options.filter.empty()) return all;
  const std::regex filter(options.filter);
  std::erase_if(all, [&](const Case& one) { return !std::regex_search(one.id(), filter); });
  return all;
}

CaseResult run_case(const Case& what, const Host& host, uint64_t seed) {
  families::reset_engines_for_run(seed);
  const PlantingScope planted(host.planting);
  CaseResult result;
  result.what = what;
  try {
    run_check(what, host, seed, &result);
  } catch (const CheckFailed& failed) {
    result.verdict = Verdict::kFailed;
    result.message = failed.message;
    result.seed = seed;
  } catch (const NotApplicable& none) {
    result.verdict = Verdict::kNotApplicable;
    result.message = none.reason;
  }
  host.lose_memory();
  return result;
}

uint64_t Report::count(Verdict verdict) const {
  return static_cast<uint64_t>(
      std::count_if(results.begin(), results.end(),
                    [&](const CaseResult& result) { return result.verdict == verdict; }));
}

std::vector<std::string> Report::counts() const {
  std::map<std::string, std::map<std::string, uint64_t>> sums;
  for (const CaseResult& result : results) {
    const std::string who = cat(result.what.check->group, " ", result.what.family->name);
    for (const auto& [name, times] : result.counts) sums[who][name] += times;
  }
  std::vector<std::string> lines;
  for (const auto& [who, counted] : sums) {
    std::vector<std::string> parts;
    for (const auto& [name, times] : counted) parts.push_back(cat(times, " ", name));
    lines.push_back(cat(who, ": ", join(parts, "; ")));
  }
  return lines;
}

Report run_conformance(const std::vector<Check>& checks, const Host& host,
                       const RunOptions& options) {
  Report report;
  const std::vector<Case> cases = select_cases(checks, *host.registry, options);
  for (size_t number = 0; number < cases.size(); ++number) {
    const Case& what = cases[number];
    CaseResult total;
    total.what = what;
    for (uint64_t i = 0; i < options.seeds; ++i) {
      options.starting(what, options.first_seed + i, number + 1, cases.size());
      CaseResult one = run_case(what, host, options.first_seed + i);
      one.expectations += total.expectations;
      for (const auto& [name, times] : total.counts) one.counts[name] += times;
      total = std::move(one);
      if (total.verdict == Verdict::kFailed) break;
    }
    options.progress(total);
    report.results.push_back(std::move(total));
  }
  return report;
}

}  // namespace qk::sim::conformance
