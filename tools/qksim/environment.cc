#include "tools/qksim/environment.h"

#include <algorithm>

#include "families/base/printable.h"
#include "families/base/strings.h"

namespace qk::cli {

namespace {

std::string normalised(std::string_view whole) {
  std::string out;
  for (size_t begin = 0; begin < whole.size();) {
    const size_t end = std::min(whole.find('/', begin), whole.size());
    const std::string_view part = whole.substr(begin, end - begin);
    begin = end + 1;
    if (!part.empty() && part != ".") out += cat("/", part);
  }
  return out.empty() ? "/" : out;
}

}  // namespace

std::string absolute_path(const Environment& environment, const std::string& path) {
  const std::string whole =
      normalised(path.starts_with('/') ? path : cat(environment.directory, "/", path));
  // The last ".." that is a component.
  size_t dots = whole.size();
  while ((dots = whole.rfind("/..", dots)) != std::string::npos) {
    const size_t end = dots + 3;
    if (end == whole.size() || whole[end] == '/') {
      const auto resolved = environment.fs->real_path(whole.substr(0, end));
      return resolved.ok() ? normalised(cat(*resolved, whole.substr(end))) : whole;
    }
    if (dots == 0) break;
    --dots;
  }
  return whole;
}

bool use_colour(Colour colour, const Terminal& terminal) {
  if (colour != Colour::kAuto) return colour == Colour::kAlways;
  if (!terminal.no_color.empty()) return false;
  if (!terminal.clicolor_force.empty() && terminal.clicolor_force != "0") return true;
  return terminal.is_terminal && terminal.term != "dumb" && !terminal.term.empty();
}

void print_error(const Environment& environment, const std::string& message) {
  *environment.err << (environment.colour_err ? "\x1b[31merror:\x1b[0m " : "error: ")
                   << printable(message, "\n") << "\n";
}

}  // namespace qk::cli
