// The migration timeline as data: one lane per node with phase bars, leader and fault strips and
// marks, derived from the marks of a trace. No coordinates and no colours; timeline_dot draws it.
//
// Everything is derived from hashed event fields and the summary, so the same run gives the same
// picture. Down time runs from fault.crash or node.stop to fault.restart; leadership from raft.role
// to the next raft.role, crash or stop. A span that the end of the run cuts ends there.
//
// Not shown: single messages, disk operations, elections that fail, leadership transfers.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/kernel/trace.h"

namespace qk::viz {

// What the picture says about the run and the trace does not.
struct RunSummary {
  struct Families {
    std::string from;  // "local"
    std::string to;    // "sqlite"; empty: this node does not migrate
  };
  std::string scenario;
  uint64_t seed = 0;
  std::string version;  // "qksim 0.1.0 (c0ffee12)"
  sim::Verdict verdict = sim::Verdict::kPass;
  std::string verdict_text;  // in full, on one line: "FAIL  ora.L1 acked-entries-durable at n3 ..."
  std::string run_id;        // may be empty
  uint64_t events = 0;
  std::string chain;
  std::string repro;               // "qksim run ... --seed 0x5EED"
  std::vector<Families> families;  // of nodes 1, 2, ...
};

struct Bar {
  sim::Nanos begin = 0;
  sim::Nanos end = 0;
  sim::PhaseCode phase = sim::PhaseCode::kA;
  bool down = false;  // the process is not running; `phase` is the one it left
  uint64_t seq = 0;   // of the event that began it, 0: the start of the run
  std::string tooltip;
};

struct Strip {
  // kWait: the roll waits for something that a healthy cluster does not make it wait for.
  enum class Kind : uint8_t { kLeader, kPartition, kSlowDisk, kDiskError, kWait };
  Kind kind = Kind::kLeader;
  sim::Nanos begin = 0;
  sim::Nanos end = 0;  // == begin: an instant
  uint64_t seq = 0;
  std::string label;
  std::string tooltip;
};

struct Point {
  enum class Kind : uint8_t {
    kCrash,
    kRestart,
    kCutEqual,
    kCutDiffers,
    kCutover,
    kRollback,
    kViolation
  };
  Kind kind = Kind::kCrash;
  sim::Nanos t = 0;
  uint64_t seq = 0;
  std::string label;  // printed above; empty: the shape says it all
  std::string tooltip;
};

struct Lane {
  std::string name;
  std::string from;
  std::string to;         // empty: does not migrate
  std::string subtitle;   // "local -> sqlite, ends B"
  std::vector<Bar> bars;  // by time, without gaps
  std::vector<Strip> strips;
  std::vector<Point> points;
};

struct Timeline {
  RunSummary run;
  sim::Nanos begin = 0;
  sim::Nanos end = 0;
  std::vector<Lane> lanes;            // in scenario order, always
  std::vector<Point> cluster_points;  // violations of no single node
};

// `trace` must keep marks. The timeline ends at the run.end event or, without one, at the last
// mark.
Timeline build_timeline(const sim::Trace& trace, const RunSummary& run);

}  // namespace qk::viz
