// The catalogue of planted bugs: known defects that are switched on, one at a time, to see that an
// oracle notices. All of them lie outside the product: between a node and its disk, its families,
// its messages or its core, or in the simulation itself.
//
// Forms. "NAME" acts whenever it can. "NAME:hard" acts at one occasion in four to twelve, one in
// eight on average. The rate and the place (where a bug has several) are drawn from the stream
// "planted" of the seed, so that a detection does not depend on one constant.
#pragma once

#include <memory>
#include <span>
#include <string_view>

namespace qk::sim {

class Mutant;
struct Plan;

// How a bug is judged.
enum class Judge : uint8_t {
  kRun,          // oracles of a run
  kDeterminism,  // two runs of one seed (ora.S1)
  kLitmus,       // what a simulated disk may and may not forget (ora.S2)
};

struct PlantedBug {
  std::string_view name;
  std::string_view known_as;   // an id of docs/oracles.md 4; empty: thought of here
  std::string_view component;  // ST storage, REC recovery, IMG, DW, MC, RC, SIM, DET determinism
  std::string_view level;      // the weakest condition that can show it: P0, P1, P2, E, N, det
  // A built-in scenario that shows it, and fields of it to replace, separated by spaces; empty: not
  // one of selftest's.
  std::string_view scenario;
  std::string_view oracles;  // those meant for it, separated by spaces
  std::string_view what;
  Judge judge = Judge::kRun;
  std::string_view survives = {};  // why nothing in these scenarios finds it; empty: it is found
  // Where it is killed instead, planted there in the same way: "conformance CHECK", a mutant of the
  // same name in conformance/mutants.h, or "unit TEST, CASE".
  std::string_view killed_by = {};
  bool has_hard_form = true;  // set by planted_bugs()
};

// In the order of the components.
std::span<const PlantedBug> planted_bugs();
// By "NAME" or "NAME:hard"; or null.
const PlantedBug* find_planted(std::string_view planted);

// For RunOptions::mutant_of: what Plan::planted names, or null.
std::unique_ptr<Mutant> make_mutant(const Plan& plan);

}  // namespace qk::sim
