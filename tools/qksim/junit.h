// JUnit reports: what continuous integration reads. No host name and no time, so that equal results
// give equal files.
#pragma once

#include <string>
#include <string_view>

#include "conformance/runner.h"

namespace qk::cli {

// How each of our reports begins, one without a case included.
inline constexpr std::string_view kJunitBeginnings[] = {
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n  <testsuite name=\"conformance ",
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n</testsuites>\n"};

// One suite per family, one case per conformance case; a requirement is a property of its case.
std::string junit_text(const sim::conformance::Report& report);

// For attributes and text; control characters, which XML has no way to say, become '?'.
std::string xml_escaped(std::string_view text);

}  // namespace qk::cli
