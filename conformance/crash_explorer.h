// CrashExplorer: one change of one instance, with the machine stopped at its disk operations in
// many ways, and the judgement of what is left.
//
// Method. The base is a closed instance, all of it durable. A run opens it, applies the change,
// does the engine's background work, and closes it; a recording run tells which disk operations
// belong to which of these stages. For each operation of a stage, a run stops while that one
// executes; for each way of losing, a copy of the disk loses, and is opened again. Then
//
//   the state must be one that the stage allows: before the change while it opens; before, after or
//   a declared partial one while it changes (in a dual role reconciliation leaves no partial one);
//   after it from then on, because it was acknowledged;
//   it must survive a power cut right after the open (what recovery showed is durable), and be the
//   same when it is opened once more.
//
// Equal images are judged once. A family may refuse to open only for a reason that its descriptor
// declares for the change's operation, only where the change was in flight, and only if the loss
// left bytes that nobody wrote (losses.h).
//
// Counts (Bench::count): "crash points", "images", "distinct", "partial", "refused", "crashes in
// recovery", "gaps filled".
//
// Not here: two operations in flight, failing calls (FAULT), damage to durable data (TAIL).
#pragma once

#include <array>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "conformance/context.h"
#include "sim/disk/crash_sweep.h"

namespace qk::sim::conformance {

enum class Stage : uint8_t { kOpen, kChange, kBackground, kClose };
std::string_view to_string(Stage stage);  // "change"

// What is done with each distinct image besides judging it.
struct Aftermath {
  // Stops recovery too, at each of its operations.
  bool crash_recovery = false;
  // Goes on with more changes, and cuts the power after them.
  bool go_on = false;
  // Of an append that left less than the whole batch: appends another entry, as long as the first
  // one that is missing, in its place. Leftover entries must not follow it.
  bool fill_gap = false;
};

// One crash: where the machine stops, and what it loses.
struct CrashCase {
  std::string point;           // "change-3", "open-1", "acknowledged"
  const Loss* loss = nullptr;  // null: any
};

// For those who number, select and survive the cases; the default tries all that the host tries, and
// the first expectation that does not hold ends the exploration.
struct CrashCases {
  std::function<bool(const CrashCase&)> wants = nullptr;
  // Of each wanted case whose image is not equal to one that was judged before.
  std::function<void(const CrashCase&, const std::function<void()>& judge)> run = nullptr;
};

class CrashExplorer {
 public:
  // `change` may be one that the model refuses or that changes nothing. `base` must outlive the
  // explorer.
  CrashExplorer(InstanceContext* base, Change change, CrashCases cases = {});

  void crash_inside(Stage stage, const LossSource& losses, Aftermath aftermath = {});
  // Everything was done and closed: no crash may undo it.
  void crash_afterwards(const LossSource& losses);

  bool has_operations(Stage stage) const { return begin(stage) < end(stage); }
  // How many judged states were partial ones.
  uint64_t partial() const { return partial_; }

 private:
  uint64_t begin(Stage stage) const { return ends_[static_cast<size_t>(stage)]; }
  uint64_t end(Stage stage) const { return ends_[static_cast<size_t>(stage) + 1]; }
  void run(InstanceContext& machine, Stage last);
  std::vector<State> legal_states(Stage stage) const;
  CrashSweep<InstanceContext> sweep(const std::string& point, const LossSource& losses,
                                    const std::vector<State>& legal, Aftermath aftermath,
                                    std::set<uint64_t>* seen);
  void judge(InstanceContext& crashed, const Loss& loss, const std::vector<State>& legal,
             Aftermath aftermath);
  void crash_recovery(InstanceContext& image, uint64_t operations, const std::vector<State>& legal);
  void go_on(InstanceContext& recovered);
  void fill_gap(InstanceContext& recovered);

  InstanceContext& base_;
  const Change change_;
  const CrashCases cases_;
  std::array<uint64_t, 5> ends_{};  // disk operations before the first stage, and after each
  uint64_t partial_ = 0;
};

// Whether the family declares that it may answer so when it opens what a crash inside `operation`
// left.
bool is_declared_refusal(const families::FamilyDescriptor& family, families::Operation operation,
                         const absl::Status& status);

// What a sweep asks of an instance, which knows its pinned operation itself.
SimDisk& disk_of(InstanceContext& c);
CrashReport lose(InstanceContext& c, const Loss& loss, Nanos at);

// The machine stops at the pinned operation, or now; then it is open again, or the check ends.
void crash_and_open(InstanceContext& c, const Loss& loss);
// after a crash a volatile instance is absent, and never a fresh one.
void crash_and_expect_absent(InstanceContext& c, const Loss& loss);

}  // namespace qk::sim::conformance
