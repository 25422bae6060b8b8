// CrashExploration: every crash of a window of a run, instead of drawn ones.
//
// Method. The run goes its way. Between two of its events each instant at which a node's disk shows
// something new is taken: in the middle of every micro-operation, and after every acknowledgement
// and every change of phase. For each, the states that a crash may leave (crash_states.h) are built
// on copies of the disk and told apart by content; and for each distinct one a copy of the whole
// world crashes the node there, starts it again, and cuts the power once more as soon as it serves.
// The oracles of the run judge all of it, as they do after any crash; nothing is judged here. A
// nested exploration stops recovery too, at each of its own operations.
//
// Units. What a node owes grows with each acknowledgement and each change of phase; the time in
// between is a unit. A unit is explored in a copy of the process of its own, which goes on with the
// run until the unit ends, so units may be explored side by side, left out, and taken from a record
// of an earlier process: what a unit answers depends on nothing but the run.
//
// Within a unit
//   - states of equal content are judged once;
//   - so are states that show the same at everything that a start, its oracles and the start after
//     the second power cut looked at (look_tree.h): such a start would do the same again;
//   - so is what the second power cut leaves, of equal content and with equal obligations.
// One in `recheck` of the states runs all the same, and must be judged alike.
//
// A world is copied by Worlds, which forks the process: so what is explored is the run itself, and
// a finding is a scenario that `run` reproduces, because the same crash at the same time in the same
// run finds the same.
//
// A run may show violations without a crash, as long as its scenario expects them: what a crash then
// shows is a finding if its oracle is another one.
//
// Not here: failing calls, damage to durable data, and crashes of several nodes at once.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "families/base/status.h"
#include "sim/cluster/cluster_view.h"
#include "sim/cluster/run.h"
#include "sim/disk/crash_states.h"
#include "sim/explore/look_tree.h"
#include "sim/kernel/event.h"
#include "sim/kernel/phase.h"

namespace qk::sim {

// Copies of this process.
class Worlds {
 public:
  virtual ~Worlds() = default;
  // Runs `explore` in a copy. `answered` gets what it returned, in this process, at the latest in
  // wait(); nothing, if the copy ended without an answer. Copies may make copies.
  virtual void copy(std::function<std::string()> explore,
                    std::function<void(std::optional<std::string>)> answered) = 0;
  virtual void wait() = 0;
  // Copies were ended before they could answer, and none is made any more.
  virtual bool stopped() const = 0;
};

struct ExplorationOptions {
  // A time, or the first entry of a node into a phase.
  struct Edge {
    NodeId node = 0;  // 0: a time
    PhaseCode phase = PhaseCode::kA;
    Nanos time = 0;
  };
  Edge from;
  Edge to;
  std::vector<NodeId> nodes;  // that crash, one at a time
  std::vector<CrashLevel> levels = {CrashLevel::kP0, CrashLevel::kP2};
  CrashBounds bounds = {};
  uint32_t nested = 0;     // so many crashes of the recoveries follow the first one
  uint32_t most = 0;       // distinct states of one instant; the others are counted. 0: all
  uint32_t recheck = 100;  // one in so many states that look alike runs all the same; 0: none
  // Of the instants, numbered from 0, those with number % shards == shard.
  uint64_t shard = 0;
  uint64_t shards = 1;
};

struct ExplorationCounts {
  uint64_t instants = 0;
  uint64_t states = 0;
  uint64_t distinct = 0;     // by content
  uint64_t capped = 0;       // more of them than ExplorationOptions::most: not tried
  uint64_t alike = 0;        // of these: not run, because one that ran showed the same
  uint64_t rechecked = 0;    // of them and of second starts: ran all the same
  uint64_t differed = 0;     // of these: were judged in another way, which is a bug of ours
  uint64_t recoveries = 0;   // starts that were judged
  uint64_t stayed_down = 0;  // starts that were refused without a violation: see StopOracle
  uint64_t unfinished = 0;   // starts that were not over in time
  uint64_t died = 0;         // their world ended without an answer: a failed check of ours
  uint64_t violations = 0;   // states that end in one
  void add(const ExplorationCounts& other);
};

struct CrashFinding {
  std::string oracle;
  std::string name;                    // of the oracle
  std::string phase;                   // of the node
  CrashLevel level = CrashLevel::kP2;  // of the last crash
  std::string expected;
  std::string actual;
  std::string scenario;  // see CrashExploration
  uint64_t times = 0;    // how many states showed it
};

// The time between two changes of what a node owes.
struct ExploredUnit {
  uint32_t variant = 0;  // what its explorer makes of it
  uint64_t number = 0;   // in the order of the run
  PhaseCode phase = PhaseCode::kA;
  ExplorationCounts counts;
  std::map<std::string, uint64_t> faults;  // distinct states by what was done: "P0", "nested P2"
  std::vector<CrashFinding> findings;      // one for each signature (oracle, phase, level)
};

// One line of text, and back. The line is untrusted input.
std::string to_line(const ExploredUnit& unit);
absl::StatusOr<ExploredUnit> parse_unit(std::string_view line);

// What units say together: the same in whatever order they came.
struct ExplorationSummary {
  std::map<PhaseCode, ExplorationCounts> counts;
  std::map<PhaseCode, std::map<std::string, uint64_t>> faults;
  std::vector<CrashFinding> findings;  // the first of each signature, in the order of the run
};
ExplorationSummary summarize(const std::map<uint64_t, ExploredUnit>& units);

class CrashExploration {
 public:
  // Writes the run down, with these faults instead of its own, as a scenario that expects
  // violations of these oracles.
  using Write = std::function<std::string(const std::vector<FaultPlan>& faults,
                                          const std::vector<std::string>& oracles)>;

  // Without worlds nothing is explored, and units and instants are counted.
  CrashExploration(ExplorationOptions options, Worlds* worlds, Write write);

  // Units that are known already.
  std::function<bool(uint64_t unit)> known = [](uint64_t) { return false; };
  // Gets each unit that was explored, in any order; nothing, if its world ended without an answer.
  std::function<void(uint64_t unit, std::optional<ExploredUnit>)> explored;

  // RunOptions::between_events.
  void between_events(ClusterView& view);
  // After the run: waits for the copies.
  void finish();

  // The window was reached, and left before the run ended.
  bool entered() const { return entered_; }
  bool left() const { return left_; }
  // All of the run so far.
  uint64_t units() const { return next_unit_; }
  // Of this shard.
  uint64_t instants() const { return instants_; }
  // Of other shards, and such at which an event of the run happens too.
  uint64_t passed_over() const { return passed_over_; }

 private:
  struct Watched {
    std::optional<uint64_t> owed;  // changes with what it owes
    uint64_t instants = 0;
  };
  struct PathLook {
    std::string path;
    DiskLook look;  // its inode is that of the disk that was looked at
  };
  struct Answer {
    ExplorationCounts counts;
    std::map<std::string, uint64_t> faults;
    std::vector<CrashFinding> findings;
    std::vector<DiskLook> looks;
    std::optional<uint64_t> cut;      // what the second power cut left, if the start was good
    std::vector<PathLook> cut_looks;  // of that start
  };
  // States that one copy after the other tries, and what is known of them.
  struct Tried {
    std::set<uint64_t> seen;  // contents
    std::map<CrashLevel, LookTree> trees;
    std::vector<Answer> answers;
    std::map<uint64_t, std::vector<PathLook>> cuts;
  };
  struct Instant {
    Nanos at = 0;
    LastOperation last = LastOperation::kExecuting;
  };

  bool in_window(ClusterView& view);
  static bool reached(const ExplorationOptions::Edge& edge, ClusterView& view);
  bool owes_more(ClusterView& view, SimNode& node) const;
  // Of the node until the next event.
  std::vector<Instant> instants_of(ClusterView& view, SimNode& node, bool begins);
  void watch(ClusterView& view, SimNode& node);
  // In the copy for a unit.
  Answer explore_unit(ClusterView& view, SimNode& node, std::vector<Instant> instants);
  // In a copy that explores: everything that a crash at `at` may leave.
  void try_states(ClusterView& view, SimNode& node, const Instant& instant,
                  const CrashBounds& bounds, uint32_t depth, Tried* tried, Answer* answer);
  // The first violation of an oracle that the run itself has not shown; null: there is none.
  const Violation* news(ClusterView& view) const;
  // In a copy for one state.
  Answer crash_here(ClusterView& view, SimNode& node, Nanos at, CrashLevel level,
                    const Decision& decision, uint32_t depth, const Tried& tried, bool again);
  void cut_off(ClusterView& view, SimNode& node, const Tried& tried, bool again, Answer* answer);
  bool crash_and_start(ClusterView& view, SimNode& node, Nanos at, CrashLevel level,
                       const std::optional<Decision>& decision, uint32_t depth, Answer* answer);
  static std::string to_text(const Answer& answer);
  static std::optional<Answer> parse(const std::string& text);

  const ExplorationOptions options_;
  Worlds* const worlds_;
  const Write write_;
  std::map<NodeId, Watched> watched_;
  std::vector<FaultPlan> crashes_;  // in a copy: so far
  std::set<std::string> shown_;     // in the copy for a unit: by the run itself, without a crash
  DiskLooks looks_;                 // in a copy for one state, of what the crash left
  DiskLooks cut_looks_;             // of what the second power cut left
  uint64_t next_unit_ = 0;
  uint64_t instants_ = 0;
  uint64_t passed_over_ = 0;
  bool entered_ = false;
  bool left_ = false;
};

}  // namespace qk::sim
