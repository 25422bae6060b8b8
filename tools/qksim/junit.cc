#include "tools/qksim/junit.h"

#include <algorithm>

#include "families/base/strings.h"

namespace qk::cli {
namespace {

using sim::conformance::CaseResult;
using sim::conformance::Report;
using sim::conformance::Verdict;

std::string case_text(const CaseResult& result) {
  const sim::conformance::Check& check = *result.what.check;
  std::string out = cat("    <testcase classname=\"", xml_escaped(check.group), "\" name=\"",
                        xml_escaped(result.what.id()), "\">\n      <properties>\n");
  for (const std::string& id : check.requirements) {
    out += cat("        <property name=\"requirement\" value=\"", xml_escaped(id), "\"/>\n");
  }
  out += "      </properties>\n";
  const std::string message = xml_escaped(result.message);
  if (result.verdict == Verdict::kFailed) {
    out +=
        cat("      <failure type=\"conformance\" message=\"", message.substr(0, message.find('\n')),
            "\">seed ", result.seed, "\n", message, "</failure>\n");
  } else if (result.verdict == Verdict::kNotApplicable) {
    out += cat("      <skipped message=\"", message, "\"/>\n");
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

std::string junit_text(const Report& report) {
  std::vector<std::string> families;
  for (const CaseResult& result : report.results) {
    const std::string& name = result.what.family->name;
    if (std::find(families.begin(), families.end(), name) == families.end()) {
      families.push_back(name);
    }
  }
  std::string out = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n";
  for (const std::string& family : families) {
    std::string cases;
    uint64_t count = 0;
    uint64_t failures = 0;
    uint64_t skipped = 0;
    for (const CaseResult& result : report.results) {
      if (result.what.family->name != family) continue;
      ++count;
      failures += result.verdict == Verdict::kFailed ? 1 : 0;
      skipped += result.verdict == Verdict::kNotApplicable ? 1 : 0;
      cases += case_text(result);
    }
    out += cat("  <testsuite name=\"conformance ", xml_escaped(family), "\" tests=\"", count,
               "\" failures=\"", failures, "\" errors=\"0\" skipped=\"", skipped, "\">\n", cases,
               "  </testsuite>\n");
  }
  return out + "</testsuites>\n";
}

}  // namespace qk::cli
