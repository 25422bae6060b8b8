// The trace as text: one line per event, and the short log of marks. Both are stable (same trace,
// same bytes), so they can be compared with diff and kept as golden files. They are for eyes; the
// chain does not depend on them.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "sim/kernel/trace.h"

namespace qk::sim {

// Receives one line at a time, newline included.
using LineSink = std::function<void(std::string_view line)>;

// `seq t node.incarnation #lc <cause kind args... ; text`, in fixed columns, for every event at
// TraceLevel::kFull and for the marks at kMarks.
void write_text(const Trace& trace, const LineSink& sink);
std::string text_line(const Trace& trace, const Event& event, std::string_view text = {});

// The short log: a heading, then a line per change of state,
//   `seq t nodes phase role term commit lastA lastB what`.
// "nodes" has one character per node; in the column of the node concerned is
//   ! crash   ^ restart   * leader, or no longer leader   [ phase   = cut equal   # cut differs
//   > cutover   < rollback   X violation   ~ any other fault.
void write_short_log(const Trace& trace, const LineSink& sink);

// One mark in a few words: "crash (scheduled), 3 unsynced changes lost".
std::string describe(const Trace& trace, const Mark& mark);
// "bit-flip".
std::string_view to_string(DiskFaultKind kind);
// The sides of a fault.partition event: "{n1} | {n2,n3}".
std::string partition_sides(const Trace& trace, const Event& event);
// Nanoseconds as seconds with `decimals` (0..9) digits after the point, cut, not rounded.
std::string seconds_text(Nanos t, int decimals);

}  // namespace qk::sim
