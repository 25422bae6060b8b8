#include "scenarios/diagnostic.h"

#include "base/strings.h"

namespace qk::scenarios {
namespace {

// Spaces as wide as the line up to the column; tabs stay, so that the caret stands right on any
// tab width.
std::string indentation(const Diagnostic& diagnostic) {
  std::string out;
  for (int i = 0; i + 1 < diagnostic.column; ++i) {
    const size_t at = static_cast<size_t>(i);
    out += at < diagnostic.source.size() && diagnostic.source[at] == '\t' ? '\t' : ' ';
  }
  return out;
}

}  // namespace

std::string to_string(const Diagnostic& diagnostic, bool colour) {
  std::string out = diagnostic.file;
  if (diagnostic.line > 0) out += cat(":", diagnostic.line, ":", diagnostic.column);
  out += colour ? ": \x1b[31merror:\x1b[0m " : ": error: ";
  out += cat(diagnostic.message, "\n");
  if (diagnostic.line > 0) {
    std::string number = cat(diagnostic.line);
    if (number.size() < 5) number.insert(0, 5 - number.size(), ' ');
    out += cat(number, " | ", diagnostic.source, "\n");
    out += cat(std::string(number.size(), ' '), " | ", indentation(diagnostic), "^\n");
  }
  if (!diagnostic.hint.empty()) out += cat("hint: ", diagnostic.hint, "\n");
  return out;
}

std::string to_string(const std::vector<Diagnostic>& diagnostics, bool colour) {
  std::string out;
  for (const Diagnostic& diagnostic : diagnostics) out += to_string(diagnostic, colour);
  return out;
}

}  // namespace qk::scenarios
