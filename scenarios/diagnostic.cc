#include "scenarios/diagnostic.h"

#include <algorithm>

#include "families/base/printable.h"
#include "families/base/strings.h"

namespace qk::scenarios {
namespace {

// Spaces as wide as the line up to the column; tabs stay, so that the caret stands right on any
// tab width.
std::string indentation(const Diagnostic& diagnostic) {
  const size_t before = static_cast<size_t>(std::max(diagnostic.column - 1, 0));
  const std::string_view line = diagnostic.source;
  std::string out = printable(line.substr(0, before), "\t");
  for (char& c : out) c = c == '\t' ? '\t' : ' ';
  // A column beyond the end of the line, for what is missing there.
  if (before > line.size()) out.append(before - line.size(), ' ');
  return out;
}

}  // namespace

std::string to_string(const Diagnostic& diagnostic, bool colour) {
  std::string out = printable(diagnostic.file);
  if (diagnostic.line > 0) out += cat(":", diagnostic.line, ":", diagnostic.column);
  out += colour ? ": \x1b[31merror:\x1b[0m " : ": error: ";
  out += cat(printable(diagnostic.message), "\n");
  if (diagnostic.line > 0) {
    std::string number = cat(diagnostic.line);
    if (number.size() < 5) number.insert(0, 5 - number.size(), ' ');
    out += cat(number, " | ", printable(diagnostic.source, "\t"), "\n");
    out += cat(std::string(number.size(), ' '), " | ", indentation(diagnostic), "^\n");
  }
  if (!diagnostic.hint.empty()) out += cat("hint: ", printable(diagnostic.hint), "\n");
  return out;
}

std::string to_string(const std::vector<Diagnostic>& diagnostics, bool colour) {
  std::string out;
  for (const Diagnostic& diagnostic : diagnostics) out += to_string(diagnostic, colour);
  return out;
}

}  // namespace qk::scenarios
