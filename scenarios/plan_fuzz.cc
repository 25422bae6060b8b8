// Target: written plans (scenarios/written_plan.h), as people edit them. What loads is written, and
// what is written loads, to the same faults, and is written the same.
#include "families/base/check.h"
#include "scenarios/loader.h"
#include "scenarios/written_plan.h"
#include "sim/legacy/legacy_family.h"
#include "tools/fuzz/target.h"

namespace qk::fuzz {
namespace {

using scenarios::LoadResult;

LoadResult load_plan(std::string text) {
  families::VolatileMemory memory(0);
  return scenarios::load(
      {"/plan.qks.txtpb", std::move(text), "/"}, {}, std::nullopt, sim::simulated_families(&memory),
      [](const std::string& name) { return absl::NotFoundError(cat("no directory ", name)); });
}

std::string written(const LoadResult& loaded) {
  return scenarios::written_plan(loaded.effective, "plan", *loaded.plan, loaded.plan->faults);
}

}  // namespace

std::vector<std::string> seeds() {
  const std::string head =
      "name: \"plan\"\nseed: 7\nuntil: \"3s\"\nrun_for: \"5s\"\n"
      "cluster { nodes: 3 default_store: \"a\" }\nstore { id: \"a\" local {} }\n";
  const std::string kept =
      "kept { file: \"/node/local/log/log_1\" op: WRITE ordinal: 4 count: 2 } "
      "kept { file: \"/node/local/log/log_1\" op: WRITE ordinal: 6 sectors: 3 } ";
  std::vector<std::string> inputs = {head};
  for (const char* fault :
       {"partition { side { node: \"n1\" } side { node: [\"n2\", \"n3\"] } }",
        "leader_transfer: \"n2\"", "heal_all: true", "disk { node: \"n1\" factor: 9 }"}) {
    inputs.push_back(cat(head, "at { t: \"1s\" ", fault, " }\n"));
  }
  const std::string executing =
      "decided { executing { file: \"/node/x\" op: SIZE ordinal: 1 part: 1 } }";
  for (const std::string& crash :
       {std::string("RANDOM_SUBSET"), cat("RANDOM_SUBSET decided { ", kept, "}"),
        cat("PROCESS ", executing)}) {
    inputs.push_back(cat(head,
                         "at { t: \"1.000000001s\" drawn: true crash { node: \"n2\" "
                         "restart_after: \"300ms\" unsynced: ",
                         crash, " } }\n"));
  }
  for (const std::string& input : inputs) QK_CHECK(load_plan(input).plan.has_value());
  return inputs;
}

void run(std::string_view input) {
  const LoadResult first = load_plan(std::string(input));
  if (!first.plan) return;
  const std::string text = written(first);
  const LoadResult again = load_plan(text);
  QK_CHECK(again.plan.has_value());
  QK_CHECK(again.plan->faults.size() == first.plan->faults.size());
  QK_CHECK(again.plan->chain_hash == first.plan->chain_hash);
  QK_CHECK(written(again) == text);
}

}  // namespace qk::fuzz
