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
// States of equal content are judged once for each set of obligations: when something more has been
// acknowledged, or a phase begun, what was legal before may not be any more.
//
// A world is copied by Worlds, which forks the process: so what is explored is the run itself, and
// a finding is a scenario that `run` reproduces, because the same crash at the same time in the same
// run finds the same.
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

#include "sim/cluster/cluster_view.h"
#include "sim/cluster/run.h"
#include "sim/disk/crash_states.h"
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
  uint32_t nested = 0;  // so many crashes of the recoveries follow the first one
  // Of the instants, numbered from 0, those with number % shards == shard.
  uint64_t shard = 0;
  uint64_t shards = 1;
};

struct ExplorationCounts {
  uint64_t instants = 0;
  uint64_t states = 0;
  uint64_t distinct = 0;
  uint64_t recoveries = 0;   // starts that were judged
  uint64_t stayed_down = 0;  // starts that were refused without a violation: see StopOracle
  uint64_t unfinished = 0;   // starts that were not over in time
  uint64_t died = 0;         // their world ended without an answer: a failed check of ours
  uint64_t violations = 0;
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

class CrashExploration {
 public:
  // Writes the run down, with these faults instead of its own, as a scenario that expects a
  // violation of this oracle.
  using Write =
      std::function<std::string(const std::vector<FaultPlan>& faults, const std::string& oracle)>;

  CrashExploration(ExplorationOptions options, Worlds* worlds, Write write);

  // RunOptions::between_events.
  void between_events(ClusterView& view);
  // Asked before each instant; once true, nothing more is explored.
  std::function<bool()> stop = [] { return false; };
  // After the run: waits for the copies.
  void finish();

  // By the phase of the node that crashed.
  const std::map<PhaseCode, ExplorationCounts>& counts() const { return counts_; }
  // The first of each signature (oracle, phase, level), in the order of the run.
  const std::vector<CrashFinding>& findings() const { return findings_; }
  // The window was reached, and left before the run ended.
  bool entered() const { return entered_; }
  bool left() const { return left_; }
  bool stopped() const { return stopped_; }
  // Instants of other shards, and such at which an event of the run happens too.
  uint64_t passed_over() const { return passed_over_; }

 private:
  struct Watched {
    std::optional<uint64_t> owed;  // changes with what it owes
    std::set<uint64_t> seen;       // images since then
  };
  struct Answer {
    ExplorationCounts counts;
    std::vector<CrashFinding> findings;
    bool stopped = false;  // some of it was left out
  };

  bool in_window(ClusterView& view);
  static bool reached(const ExplorationOptions::Edge& edge, ClusterView& view);
  void explore_node(ClusterView& view, SimNode& node);
  void explore_instant(ClusterView& view, SimNode& node, Nanos at, LastOperation last);
  // In a copy.
  Answer crash_here(ClusterView& view, SimNode& node, Nanos at, CrashLevel level,
                    const Decision& decision, uint32_t depth);
  bool crash_and_start(ClusterView& view, SimNode& node, Nanos at, CrashLevel level,
                       const std::optional<Decision>& decision, uint32_t depth, Answer* answer);
  void explore_recovery(ClusterView& view, SimNode& node, uint32_t depth, std::set<uint64_t>* seen,
                        Answer* answer);
  void take(PhaseCode phase, uint64_t number, std::optional<std::string> text);
  static std::string to_text(const Answer& answer);
  static std::optional<Answer> parse(const std::string& text);
  void merge(std::vector<CrashFinding>* into, const CrashFinding& finding);

  const ExplorationOptions options_;
  Worlds& worlds_;
  const Write write_;
  std::map<PhaseCode, ExplorationCounts> counts_;
  std::map<NodeId, Watched> watched_;
  std::vector<CrashFinding> findings_;
  std::map<uint64_t, std::vector<CrashFinding>> found_;  // by number of the state
  std::vector<FaultPlan> crashes_;                       // in a copy: so far
  uint64_t next_instant_ = 0;
  uint64_t next_state_ = 0;
  uint64_t passed_over_ = 0;
  bool entered_ = false;
  bool left_ = false;
  bool stopped_ = false;
};

}  // namespace qk::sim
