// A trace made by hand, for tests of what is said of traces.
#pragma once

#include <array>
#include <catch2/catch.hpp>
#include <functional>
#include <string>
#include <string_view>

#include "sim/kernel/trace.h"

namespace qk::sim {

struct Story {
  Scheduler scheduler;
  Trace trace{&scheduler, {1, 1, {"n1", "n2"}}, TraceLevel::kFull};

  uint64_t record(NodeId node, EventKind kind, std::array<uint64_t, kMaxArgs> args = {},
                  std::string_view text = "", uint64_t span = 0) {
    Event event{.span = span, .node = node, .kind = kind};
    event.args = args;
    return trace.record(event, text);
  }
  uint64_t disk(DiskOp op, uint64_t inode, uint64_t length, Nanos done, std::string_view path) {
    return record(2, EventKind::kDiskOp,
                  {static_cast<uint64_t>(op), inode, 0, length, 0, static_cast<uint64_t>(done)},
                  path);
  }
  void at(Nanos t, std::function<void()> what) { scheduler.at(t, std::move(what)); }
  void run() {
    while (scheduler.run_next()) {
    }
  }
};

inline bool contains(const std::string& text, std::string_view part) {
  INFO(text);
  INFO(part);
  CHECK(text.find(part) != std::string::npos);
  return text.find(part) != std::string::npos;
}

}  // namespace qk::sim
