#include "tools/qksim/family_argument.h"

#include <algorithm>

#include "families/base/strings.h"
#include "families/base/suggest.h"

namespace qk::cli {
namespace {

// Families that the URIs of real deployments name. One that the registry lacks is reported as not
// in this build, and not as a typing error.
const std::vector<std::string>& known_families() {
  static const std::vector<std::string> kNames = {"leveldb", "local", "memory", "rocksdb",
                                                  "sqlite"};
  return kNames;
}

}  // namespace

std::vector<std::string> families_not_built(const Environment& environment) {
  std::vector<std::string> missing;
  for (const std::string& known : known_families()) {
    if (environment.registry->find(known) == nullptr) missing.push_back(known);
  }
  return missing;
}

ExitCode find_family(const Environment& environment, std::string_view name, std::string_view where,
                     const families::FamilyDescriptor** family, Families among) {
  const families::Registry& registry =
      among == Families::kSimulated ? *environment.simulated : *environment.registry;
  *family = registry.find(name);
  if (*family != nullptr) return ExitCode::kOk;

  std::vector<std::string> built;
  for (const families::FamilyDescriptor& f : registry.all()) built.push_back(f.name);
  const std::vector<std::string> others = families_not_built(environment);
  const std::string lists =
      cat("\n  built in: ", join(built),
          others.empty() ? std::string() : cat("     known but not in this build: ", join(others)));
  if (std::find(others.begin(), others.end(), name) != others.end()) {
    print_error(environment,
                cat("storage family \"", name, "\" (", where, ") is not in this build", lists));
    return ExitCode::kUnavailable;
  }
  print_error(environment, cat("unknown storage family \"", name, "\" (", where, ")", lists));
  std::vector<std::string> all = built;
  all.insert(all.end(), others.begin(), others.end());
  if (const std::string_view near = nearest(name, all); !near.empty()) {
    *environment.err << "hint: did you mean \"" << near << "\"?\n";
  }
  return ExitCode::kUsage;
}

}  // namespace qk::cli
