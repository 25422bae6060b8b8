// A conformance report as JUnit: one suite per family, one case per conformance case; a requirement
// is a property of its case.
#pragma once

#include <vector>

#include "conformance/runner.h"
#include "tools/qksim/junit.h"

namespace qk::cli {

std::vector<JunitSuite> junit_suites(const sim::conformance::Report& report);

}  // namespace qk::cli
