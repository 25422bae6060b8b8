#include "tools/qksim/conformance_junit.h"

#include <algorithm>

#include "families/base/strings.h"

namespace qk::cli {
namespace {

using sim::conformance::CaseResult;
using sim::conformance::Report;
using sim::conformance::Verdict;

JunitCase junit_case(const CaseResult& result) {
  const sim::conformance::Check& check = *result.what.check;
  JunitCase out{.classname = check.group, .name = result.what.id()};
  for (const std::string& id : check.requirements) out.properties.emplace_back("requirement", id);
  if (result.verdict == Verdict::kFailed) {
    out.kind = JunitCase::Kind::kFailed;
    out.type = "conformance";
    out.message = result.message.substr(0, result.message.find('\n'));
    out.text = cat("seed ", result.seed, "\n", result.message);
  } else if (result.verdict == Verdict::kNotApplicable) {
    out.kind = JunitCase::Kind::kSkipped;
    out.message = result.message;
  }
  return out;
}

}  // namespace

std::vector<JunitSuite> junit_suites(const Report& report) {
  std::vector<JunitSuite> suites;
  for (const CaseResult& result : report.results) {
    const std::string name = cat("conformance ", result.what.family->name);
    auto suite = std::find_if(suites.begin(), suites.end(),
                              [&](const JunitSuite& one) { return one.name == name; });
    if (suite == suites.end()) suite = suites.insert(suites.end(), JunitSuite{name, {}});
    suite->cases.push_back(junit_case(result));
  }
  return suites;
}

}  // namespace qk::cli
