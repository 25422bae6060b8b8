// The generated suite: cases that nobody wrote, from the contract's state graph (state_graph.h). For
// every family alone and for every ordered pair in dual write:
//
//   step   the call, on an instance that has walked through other states before: it does what the
//          model says, every lookup included, and the same is there when it is opened again
//   crash  the machine stops at one disk operation of the call and loses something (losses.h), or
//          after the call was acknowledged, or after a clean close; for "nothing": of opening and
//          closing. Judged by CrashExplorer
//   fail   one call of the file system fails inside the call. Judged by fault_judge.h
//   move   the state's image, exported from the first family and imported into the second
//
// A case has a name that does not change with the setting, "GEN/FAMILY/OPTIONS/STATE/CALL/KIND...":
//
//   GEN/local/small/1:12.t2p.s1/append:2/crash-change-3/P2-only-0
//   GEN/sqlite-local/mirror/1:-.t1-.s0/save:t1p/fail-4/EIO-all
//   GEN/local-sqlite/primary/1:12.t2p.s1/move
//
// OPTIONS: "usual", or "small" with the family's units as small as it allows. FAMILY-FAMILY is the
// primary and the mirror of a dual write, and the next part says which of them is read.
//
// Settings. *commit* takes small bounds and few losses; in pairs a crash or a failing call happens to
// one in five of the edges that have each call in each state of its own domain
// (StateGraph::edges_by_domain()), other ones in each pair. *release* takes larger bounds, all losses,
// more errors, both options, and every edge.
//
// Cases are grouped in units: one walk, one state, the images of one pair. A unit begins from nothing
// and gives the same result alone, so units are what is divided over machines and what a run that was
// stopped does not do again.
//
// Counting: an image equal to one that the same edge was judged with before is counted as equal, and
// not as a case. Families that lose everything with the machine have one crash for each edge and
// loss, after the call, and nothing fails below them.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "conformance/context.h"
#include "conformance/state_graph.h"
#include "sim/disk/losses.h"

namespace qk::sim::conformance {

struct GeneratedFault {
  std::string name;  // "EIO-all"
  families::Fault fault;
  bool look = false;
};

struct GeneratedSetting {
  std::string name;
  GraphBounds bounds;
  // Of families alone, and of pairs.
  bool every_edge = false;
  bool every_edge_of_pairs = false;
  // Of the edges of pairs one in so many has crashes and failing calls, another one in each pair.
  uint64_t pair_edges_one_in = 1;
  LossSource losses;
  LossSource losses_of_pairs;
  std::vector<GeneratedFault> faults;
  std::vector<GeneratedFault> faults_of_pairs;
  bool usual_options_too = false;  // of families that have small units
  bool around_each_call = false;   // crashes in background work and closing after each change
};

// Null: there is no such setting.
const GeneratedSetting* generated_setting(std::string_view name);
std::vector<std::string> generated_setting_names();

struct GeneratedFailure {
  std::string id;
  std::string message;
};

struct UnitResult {
  // "steps", "crashes", "equal images", "failing calls", "moves"; cases that were judged, but for
  // equal images.
  std::map<std::string, uint64_t> counts;
  uint64_t failed = 0;
  std::vector<GeneratedFailure> failures;  // the first few

  void add(const UnitResult& other);
  uint64_t cases() const;
};

class GeneratedSuite {
 public:
  // `families` as in RunOptions. All must outlive the suite.
  GeneratedSuite(const GeneratedSetting* setting, const families::Registry* registry,
                 const std::vector<std::string>& families);
  ~GeneratedSuite();

  const StateGraph& graph() const { return graph_; }
  // Steps of all walks, repeated edges included.
  size_t walk_steps() const;
  size_t walks() const { return walks_.size(); }

  size_t units() const;
  std::string unit_name(size_t unit) const;     // "local/small/walk-3"; stable within a setting
  std::string subject_name(size_t unit) const;  // "local/small"
  // Cases whose id the filter, a valid regular expression, finds; "" finds all. One that begins with
  // GEN/ is compared part by part, so that what cannot match is not run.
  UnitResult run(size_t unit, const Host& host, const std::string& filter = "");

 private:
  class Filter;
  struct Subject;
  struct Unit;
  class Running;

  const GeneratedSetting& setting_;
  const families::Registry& registry_;
  const StateGraph graph_;
  std::vector<std::vector<StateGraph::Step>> walks_;
  std::vector<Subject> subjects_;
  std::vector<Unit> units_;
  std::unique_ptr<Filter> filter_;                            // of the last run
  std::map<size_t, std::unique_ptr<InstanceContext>> bases_;  // of the subject that ran last
  size_t based_ = static_cast<size_t>(-1);
};

}  // namespace qk::sim::conformance
