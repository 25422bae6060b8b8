// Divergence: where two runs part.
//
// Chains first. A chain is equal at a checkpoint if and only if all before it was equal, so the
// checkpoint after which two runs differ is found by bisection, and the chains of the nodes there
// name the node that behaved differently. Traces then, line by line: the first event that differs,
// what came before it and what came after it on both sides, and the random streams that have drawn
// more or less from there on.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "sim/explore/chain_record.h"

namespace qk::sim {

struct ChainDifference {
  // The first event that differs is one of (after, up_to].
  uint64_t after = 0;
  uint64_t up_to = 0;
  std::vector<std::string> nodes = {};  // whose chains differ at `up_to`; "-": the simulator
  // The runs do not begin alike: another scenario, seed or cluster.
  bool from_start = false;
  // All is equal up to the end of one of them; the other goes on.
  bool one_goes_on = false;
};

// nullopt: the runs are equal.
std::optional<ChainDifference> first_difference(const ChainRecord& left, const ChainRecord& right);

// Gives one line after the other, without its newline; false at the end.
using LineSource = std::function<bool(std::string* line)>;
// The lines of trace.txt.
LineSource lines_of(const Trace& trace);
LineSource lines_of(std::string_view text);

struct EventDifference {
  std::vector<std::string> before;  // the last lines that are equal
  std::vector<std::string> left;    // the first lines from the difference on; empty: it has ended
  std::vector<std::string> right;
  // "disk.n3 has drawn 41212 and 41213": of the next record of each stream on both sides.
  std::vector<std::string> streams;
};

// The texts behind events are comment, and are not compared. `context`: how many lines to keep of
// each kind. nullopt: the traces are equal.
std::optional<EventDifference> first_event_difference(const LineSource& left,
                                                      const LineSource& right, size_t context);

// "event #1372 of n3"; of a line of trace.txt.
std::string event_name(std::string_view line);

// For people; `left` and `right` name the sides.
std::string to_text(const ChainDifference& difference);
std::string to_text(const EventDifference& difference, std::string_view left,
                    std::string_view right);

}  // namespace qk::sim
