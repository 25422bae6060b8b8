// JUnit reports: what continuous integration reads. No host name and no time, so that equal results
// give equal files.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "families/base/status.h"

namespace qk::cli {

struct JunitCase {
  enum class Kind : uint8_t { kPassed, kFailed, kError, kSkipped };
  std::string classname;
  std::string name;
  std::vector<std::pair<std::string, std::string>> properties = {};
  Kind kind = Kind::kPassed;
  std::string type = {};     // kFailed, kError
  std::string message = {};  // one line; not of kPassed
  std::string text = {};     // kFailed, kError: the whole of it
};

struct JunitSuite {
  std::string name;  // "conformance sqlite": begins with what the report is of
  std::vector<JunitCase> cases;
};

std::string junit_text(const std::vector<JunitSuite>& suites);

// OK if nothing lies at `path`, or an earlier report of the same kind ("conformance", "sweep").
absl::Status check_junit_replaceable(const std::string& path, std::string_view kind);

// For attributes and text; control characters, which XML has no way to say, become '?'.
std::string xml_escaped(std::string_view text);

}  // namespace qk::cli
