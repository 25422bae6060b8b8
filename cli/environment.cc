#include "cli/environment.h"

#include <vector>

#include "base/strings.h"

namespace qk::cli {

std::string absolute_path(const Environment& environment, const std::string& path) {
  const std::string whole = path.starts_with('/') ? path : cat(environment.directory, "/", path);
  std::vector<std::string> parts;
  for (size_t begin = 0; begin < whole.size();) {
    const size_t end = std::min(whole.find('/', begin), whole.size());
    const std::string part = whole.substr(begin, end - begin);
    begin = end + 1;
    if (part.empty() || part == ".") continue;
    if (part != "..") {
      parts.push_back(part);
    } else if (!parts.empty()) {
      parts.pop_back();
    }
  }
  std::string out;
  for (const std::string& part : parts) out += cat("/", part);
  return out.empty() ? "/" : out;
}

bool use_colour(Colour colour, const Terminal& terminal) {
  if (colour != Colour::kAuto) return colour == Colour::kAlways;
  if (!terminal.no_color.empty()) return false;
  if (!terminal.clicolor_force.empty() && terminal.clicolor_force != "0") return true;
  return terminal.is_terminal && terminal.term != "dumb" && !terminal.term.empty();
}

void print_error(const Environment& environment, const std::string& message) {
  *environment.err << (environment.colour_err ? "\x1b[31merror:\x1b[0m " : "error: ") << message
                   << "\n";
}

}  // namespace qk::cli
