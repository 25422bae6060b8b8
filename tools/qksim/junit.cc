#include "tools/qksim/junit.h"

#include "families/base/strings.h"
#include "tools/qksim/output_file.h"

namespace qk::cli {
namespace {

constexpr std::string_view kHead = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n";
constexpr std::string_view kTail = "</testsuites>\n";

std::string suite_head(std::string_view name) {
  return cat("  <testsuite name=\"", xml_escaped(name));
}

std::string case_text(const JunitCase& one) {
  std::string out = cat("    <testcase classname=\"", xml_escaped(one.classname), "\" name=\"",
                        xml_escaped(one.name), "\">\n");
  if (!one.properties.empty()) {
    out += "      <properties>\n";
    for (const auto& [name, value] : one.properties) {
      out += cat("        <property name=\"", xml_escaped(name), "\" value=\"", xml_escaped(value),
                 "\"/>\n");
    }
    out += "      </properties>\n";
  }
  const std::string message = xml_escaped(one.message);
  switch (one.kind) {
    case JunitCase::Kind::kPassed:
      break;
    case JunitCase::Kind::kSkipped:
      out += cat("      <skipped message=\"", message, "\"/>\n");
      break;
    case JunitCase::Kind::kFailed:
    case JunitCase::Kind::kError: {
      const std::string_view tag = one.kind == JunitCase::Kind::kFailed ? "failure" : "error";
      out += cat("      <", tag, " type=\"", xml_escaped(one.type), "\" message=\"", message, "\">",
                 xml_escaped(one.text), "</", tag, ">\n");
      break;
    }
  }
  return out + "    </testcase>\n";
}

}  // namespace

std::string xml_escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += static_cast<unsigned char>(c) < 0x20 && c != '\n' ? '?' : c;
    }
  }
  return out;
}

std::string junit_text(const std::vector<JunitSuite>& suites) {
  std::string out(kHead);
  for (const JunitSuite& suite : suites) {
    std::string cases;
    uint64_t failures = 0;
    uint64_t errors = 0;
    uint64_t skipped = 0;
    for (const JunitCase& one : suite.cases) {
      failures += one.kind == JunitCase::Kind::kFailed ? 1 : 0;
      errors += one.kind == JunitCase::Kind::kError ? 1 : 0;
      skipped += one.kind == JunitCase::Kind::kSkipped ? 1 : 0;
      cases += case_text(one);
    }
    out +=
        cat(suite_head(suite.name), "\" tests=\"", suite.cases.size(), "\" failures=\"", failures,
            "\" errors=\"", errors, "\" skipped=\"", skipped, "\">\n", cases, "  </testsuite>\n");
  }
  return out + std::string(kTail);
}

absl::Status check_junit_replaceable(const std::string& path, std::string_view kind) {
  return check_writable(path, {cat(kHead, suite_head(cat(kind, " "))), cat(kHead, kTail)});
}

}  // namespace qk::cli
