#include "sim/explore/divergence.h"

#include <algorithm>
#include <deque>
#include <map>

#include "families/base/strings.h"
#include "families/base/suggest.h"
#include "sim/kernel/trace_text.h"

namespace qk::sim {
namespace {

// So many lines after the difference are searched for what the random streams have drawn.
constexpr size_t kSearched = 20'000;

// Without what it says for people alone.
std::string_view event_part(std::string_view line) { return line.substr(0, line.find(" ; ")); }

// Of a line of an rng.draws.
struct Draws {
  std::string stream;
  std::string count;
};
std::optional<Draws> draws_in(std::string_view line) {
  if (line.find(" rng.draws ") == std::string_view::npos) return {};
  constexpr std::string_view kCount = " draws=";
  const size_t count = line.find(kCount);
  const size_t name = line.find(" ; ");
  if (count == std::string_view::npos || name == std::string_view::npos) return {};
  const size_t digits = count + kCount.size();
  return Draws{std::string(line.substr(name + 3)), std::string(line.substr(digits, name - digits))};
}

// From `first` on: up to `context` lines, and what each stream had drawn when it was next told.
struct Rest {
  std::vector<std::string> lines;
  std::vector<Draws> draws;  // in the order in which they were told, each stream once
};
Rest read_rest(const LineSource& source, const std::optional<std::string>& first, size_t context) {
  Rest rest;
  std::string line = first.value_or("");
  bool more = first.has_value();
  for (size_t read = 0; more && read < kSearched; ++read, more = source(&line)) {
    if (rest.lines.size() < context) rest.lines.push_back(line);
    if (auto draws = draws_in(line)) {
      const auto known = [&](const Draws& d) { return d.stream == draws->stream; };
      // The next round begins: one is enough.
      if (std::any_of(rest.draws.begin(), rest.draws.end(), known)) break;
      rest.draws.push_back(*std::move(draws));
    } else if (!rest.draws.empty()) {
      break;
    }
  }
  return rest;
}

}  // namespace

std::optional<ChainDifference> first_difference(const ChainRecord& left, const ChainRecord& right) {
  ChainDifference difference;
  if (left.nodes != right.nodes || left.points.front() != right.points.front()) {
    difference.from_start = true;
    return difference;
  }
  // Both have the same checkpoints as far as the shorter one goes; then comes its end.
  const size_t checkpoints = std::min(left.points.size(), right.points.size()) - 1;
  size_t equal = 0;  // points that are known to be equal
  for (size_t low = 0, high = checkpoints; low < high;) {
    const size_t middle = low + (high - low) / 2;
    if (left.points[middle].chain == right.points[middle].chain) {
      low = equal = middle + 1;
    } else {
      high = middle;
    }
  }
  const ChainPoint& a = left.points[equal];
  const ChainPoint& b = right.points[equal];
  if (a == b && left.points.size() == right.points.size()) return std::nullopt;
  difference.after = left.points[equal - 1].events;
  difference.up_to = std::max(a.events, b.events);
  if (a.events != b.events) {
    // One ends inside the window: where its chains stand says nothing of the other's.
    difference.one_goes_on = true;
    return difference;
  }
  for (size_t node = 0; node < a.nodes.size(); ++node) {
    if (a.nodes[node] == b.nodes[node]) continue;
    difference.nodes.push_back(node == 0 ? std::string("-") : left.nodes[node - 1]);
  }
  return difference;
}

LineSource lines_of(const Trace& trace) {
  return [&trace, seq = uint64_t{0}](std::string* line) mutable {
    if (seq == trace.events()) return false;
    ++seq;
    *line = text_line(trace, trace.event(seq), trace.text(seq));
    line->pop_back();
    return true;
  };
}

LineSource lines_of(std::string_view text) {
  return [text](std::string* line) mutable {
    if (text.empty()) return false;
    const size_t end = std::min(text.find('\n'), text.size());
    *line = std::string(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    return true;
  };
}

std::optional<EventDifference> first_event_difference(const LineSource& left,
                                                      const LineSource& right, size_t context) {
  std::deque<std::string> before;
  std::optional<std::string> a, b;
  for (;;) {
    const auto read = [](const LineSource& source) {
      std::string line;
      return source(&line) ? std::optional(std::move(line)) : std::nullopt;
    };
    a = read(left);
    b = read(right);
    if (!a && !b) return std::nullopt;
    if (!a || !b || event_part(*a) != event_part(*b)) break;
    before.push_back(*std::move(a));
    if (before.size() > context) before.pop_front();
  }
  EventDifference difference;
  difference.before.assign(before.begin(), before.end());
  Rest of_left = read_rest(left, a, context);
  Rest of_right = read_rest(right, b, context);
  difference.left = std::move(of_left.lines);
  difference.right = std::move(of_right.lines);
  for (const Draws& draws : of_left.draws) {
    for (const Draws& other : of_right.draws) {
      if (draws.stream != other.stream || draws.count == other.count) continue;
      difference.streams.push_back(
          cat(draws.stream, " has drawn ", draws.count, " and ", other.count));
    }
  }
  return difference;
}

std::string event_name(std::string_view line) {
  const auto word = [&line] {
    line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
    const std::string_view found = line.substr(0, line.find(' '));
    line.remove_prefix(found.size());
    return found;
  };
  const std::string_view seq = word();
  word();  // the time
  const std::string_view node = word();
  return cat("event #", seq, " of ",
             node == "-.0" ? "the simulator" : node.substr(0, node.rfind('.')));
}

std::string to_text(const ChainDifference& difference) {
  if (difference.from_start) {
    return "the two do not begin alike: another scenario, another seed or another cluster\n";
  }
  std::string out = cat("equal up to event #", difference.after,
                        "; the first difference is at or before #", difference.up_to, "\n");
  if (difference.one_goes_on) {
    out += "one of the two ends in between\n";
  } else if (difference.nodes.empty()) {
    out += "every node did the same; the order of events between nodes, or a cause, differs\n";
  } else {
    out += cat("differs on ", join(difference.nodes), "\n");
  }
  return out;
}

std::string to_text(const EventDifference& difference, std::string_view left,
                    std::string_view right) {
  const auto first = [](const std::vector<std::string>& lines) {
    return lines.empty() ? std::string("the run has ended") : event_name(lines.front());
  };
  std::string out = cat("first difference: ", first(difference.left), " in ", left, ", ",
                        first(difference.right), " in ", right, "\n");
  for (const std::string& stream : difference.streams) {
    out += cat("random stream ", stream, "\n");
  }
  for (const std::string& line : difference.before) out += cat("  ", line, "\n");
  // Line beside line: the same place in both.
  for (size_t i = 0; i < std::max(difference.left.size(), difference.right.size()); ++i) {
    const bool in_left = i < difference.left.size();
    const bool in_right = i < difference.right.size();
    if (in_left && in_right && event_part(difference.left[i]) == event_part(difference.right[i])) {
      out += cat("  ", difference.left[i], "\n");
      continue;
    }
    if (in_left) out += cat("- ", difference.left[i], "\n");
    if (in_right) out += cat("+ ", difference.right[i], "\n");
  }
  return out;
}

}  // namespace qk::sim
