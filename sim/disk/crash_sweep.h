// Crash sweeps: a scene, the machine stopped in it again and again, and the judgement of what is
// left each time.
//
// Method. A CrashSweep is data: where the machine stops, in what ways it then loses what was not
// certain, and what must hold of what is left. For each stop, a fork of the stopped machine loses
// in each of the ways, and is judged. A machine is whatever a test runs (a disk with a store on it,
// a node under migration, an instance of the conformance suite); a sweep asks of it
//
//   std::unique_ptr<Machine> fork()                an equal one, in which nothing runs
//   SimDisk& disk_of(Machine&)                     found beside the machine
//   CrashReport lose(Machine&, const Loss&, Nanos) it stops at this time, and loses; the one below
//                                                  does if the disk is all there is to be told
//
// Sweeps nest: a judge may sweep the recovery of what is left.
//
// Not here: exploring the crashes of a whole cluster (sim/explore/crash_exploration.h).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "families/base/check.h"
#include "families/base/strings.h"
#include "sim/disk/losses.h"
#include "sim/disk/sim_disk.h"

namespace qk::sim {

template <typename Machine>
struct CrashStop {
  std::unique_ptr<Machine> machine;  // its disk may have operations that are later than `at`
  Nanos at = 0;
};

// The stop of that number, from 1 on; nothing if the scene ends before it.
template <typename Machine>
using CrashStops = std::function<std::optional<CrashStop<Machine>>(uint64_t number)>;

// What a judge is told besides what is left.
struct CrashPoint {
  uint64_t number;  // of the stop
  Nanos at;
  const Loss& loss;
  const CrashReport& report;

  // For messages: "stop 12, P2, nothing survives: ...".
  std::string text() const { return cat("stop ", number, ", ", loss.name, ": ", report.text); }
};

struct CrashCounts {
  uint64_t stops = 0;
  uint64_t images = 0;  // what was left of them
  uint64_t judged = 0;  // fewer, if equal images are judged once
};

template <typename Machine>
struct CrashSweep {
  CrashStops<Machine> stops;
  LossSource losses;  // its seed is the number of the stop
  std::function<void(Machine& left, const CrashPoint& point)> judge;
  // Which stops are tried; absent: all from the first to the last, or to the end of the scene.
  std::function<bool(uint64_t number)> tries = nullptr;
  uint64_t first = 1;
  uint64_t last = UINT64_MAX;
  // What is in here, or comes into it, is not judged again; null: everything is judged.
  std::set<uint64_t>* seen = nullptr;
  // What is done at the end with the machine itself, in which the scene's handles still are.
  std::function<void(Machine& stopped, Nanos at)> afterwards = nullptr;
};

// Of `k` stops the first one.
inline std::function<bool(uint64_t)> one_stop_in(uint64_t k) {
  return [k](uint64_t number) { return (number - 1) % k == 0; };
}

inline LossSource always(std::vector<Loss> losses) {
  return [losses = std::move(losses)](size_t, uint64_t) { return losses; };
}

// The machine stops in each disk operation of `scene`, which is run from its beginning for each of
// them, on a machine as `start` makes it: equal each time. Once pinned_crash() is set, the scene
// lets no more time pass; what it still does is never issued.
template <typename Machine>
CrashStops<Machine> stops_inside(std::function<std::unique_ptr<Machine>()> start,
                                 std::function<void(Machine&)> scene) {
  return [start = std::move(start),
          scene = std::move(scene)](uint64_t number) -> std::optional<CrashStop<Machine>> {
    std::unique_ptr<Machine> machine = start();
    SimDisk& disk = disk_of(*machine);
    disk.pin_crash_at_operation(disk.operation_count() + number);
    scene(*machine);
    const std::optional<Nanos> at = disk.pinned_crash();
    if (!at) return std::nullopt;
    return CrashStop<Machine>{std::move(machine), *at};
  };
}

// The machine stops at `first`, and each `step` later, before `end`: for a scene that has been run
// to its end while its disk's time stood still, so that every operation is still to be lost.
template <typename Machine>
CrashStops<Machine> stops_at_instants(Machine* finished, Nanos first, Nanos end, Nanos step) {
  return [=](uint64_t number) -> std::optional<CrashStop<Machine>> {
    const Nanos at = first + static_cast<Nanos>(number - 1) * step;
    if (at >= end) return std::nullopt;
    return CrashStop<Machine>{finished->fork(), at};
  };
}

// Takes from the machine, which has stopped, in each of the sweep's ways, and judges what is left.
template <typename Machine>
void judge_stop(const CrashSweep<Machine>& sweep, CrashStop<Machine>& stop, uint64_t number,
                CrashCounts* counts) {
  ++counts->stops;
  const size_t pending = lose(*stop.machine->fork(), nothing_survives(), stop.at).pending;
  for (const Loss& loss : sweep.losses(pending, number)) {
    const std::unique_ptr<Machine> left = stop.machine->fork();
    const CrashReport report = lose(*left, loss, stop.at);
    SimDisk& disk = disk_of(*left);
    disk.clear_pin();
    ++counts->images;
    if (sweep.seen != nullptr && !sweep.seen->insert(disk.image_hash()).second) continue;
    ++counts->judged;
    sweep.judge(*left, {number, stop.at, loss, report});
  }
  if (sweep.afterwards) sweep.afterwards(*stop.machine, stop.at);
}

template <typename Machine>
CrashCounts sweep_crashes(const CrashSweep<Machine>& sweep) {
  CrashCounts counts;
  for (uint64_t number = sweep.first; number <= sweep.last; ++number) {
    if (sweep.tries && !sweep.tries(number)) continue;
    std::optional<CrashStop<Machine>> stop = sweep.stops(number);
    if (!stop) break;
    judge_stop(sweep, *stop, number, &counts);
  }
  return counts;
}

// A machine that is its disk, and mounts it again after each fork.
struct DiskMachine {
  SimDisk disk;

  std::unique_ptr<DiskMachine> fork() const {
    return std::make_unique<DiskMachine>(DiskMachine{disk.fork()});
  }
};
inline SimDisk& disk_of(DiskMachine& machine) { return machine.disk; }

// Of a machine that needs nothing more than its disk's crash.
template <typename Machine>
CrashReport lose(Machine& machine, const Loss& loss, Nanos at) {
  const std::unique_ptr<Choice> choice = loss.choice();
  return disk_of(machine).crash(loss.level, at, *choice);
}

}  // namespace qk::sim
