// Runs that part in one event: the window, the node, the event and the stream are named.
#include "sim/explore/divergence.h"

#include <catch2/catch.hpp>
#include <memory>

#include "families/base/hash.h"
#include "families/base/strings.h"

namespace qk::sim {
namespace {

struct Run {
  Scheduler scheduler;
  std::unique_ptr<Trace> trace;
};

// `count` events round three nodes; event `odd` (from 1) differs if it is not 0, and node 2's
// stream draws once more from then on. Every hundredth event tells the draws of two streams.
std::unique_ptr<Run> run(uint64_t count, uint64_t odd = 0, uint64_t seed = 1) {
  auto run = std::make_unique<Run>();
  run->trace = std::make_unique<Trace>(&run->scheduler, TraceStart{1, seed, {"n1", "n2", "n3"}},
                                       TraceLevel::kFull);
  for (uint64_t i = 1; i <= count; ++i) {
    Event event;
    if (i % 100 == 0 || i % 100 == 1) {
      const std::string_view stream = i % 100 == 0 ? "disk.n1" : "disk.n2";
      const bool more = odd != 0 && i > odd && i % 100 == 1;
      event.kind = EventKind::kRngDraws;
      event.args = {xxh3_64(stream), more ? i + 1 : i};
      run->trace->record(event, stream);
      continue;
    }
    event.node = static_cast<NodeId>(1 + i % 3);
    event.kind = EventKind::kRaftCommit;
    event.args = {i, i == odd ? 5u : 4u};
    run->trace->record(event, i == 7 ? "a text" : "");
  }
  return run;
}

std::optional<ChainDifference> chains(const Run& a, const Run& b) {
  return first_difference(chain_record_of(*a.trace), chain_record_of(*b.trace));
}

TEST_CASE("the window and the node of the first difference, wherever it lies", "[divergence]") {
  const auto a = run(6000);
  CHECK_FALSE(chains(*a, *run(6000)).has_value());
  for (const uint64_t odd : {2, 1023, 1024, 1025, 3074, 4096, 5119, 5121, 5999}) {
    INFO(odd);
    const auto difference = chains(*a, *run(6000, odd));
    REQUIRE(difference.has_value());
    CHECK(difference->after < odd);
    CHECK(difference->up_to >= odd);
    CHECK(difference->up_to - difference->after <= Trace::kCheckpointEvery);
    CHECK(std::find(difference->nodes.begin(), difference->nodes.end(), cat("n", 1 + odd % 3)) !=
          difference->nodes.end());
    CHECK_FALSE(difference->from_start);
    CHECK_FALSE(difference->one_goes_on);
  }
  // Before the next draws are told, the node alone is another.
  CHECK(chains(*a, *run(6000, 1023))->nodes == std::vector<std::string>{"n1"});
}

TEST_CASE("runs of different length, and runs that begin otherwise", "[divergence]") {
  for (const uint64_t shorter : {1500, 2048, 5999}) {
    const auto difference = chains(*run(6000), *run(shorter));
    REQUIRE(difference.has_value());
    CHECK(difference->one_goes_on);
    CHECK(difference->after <= shorter);
    CHECK(difference->up_to >= shorter);
  }
  CHECK(chains(*run(6000), *run(6000, 0, 2))->from_start);
}

TEST_CASE("the first event that differs, its surroundings, and the stream that drew more",
          "[divergence]") {
  const auto a = run(3000);
  const auto b = run(3000, 1502);
  CHECK_FALSE(first_event_difference(lines_of(*a->trace), lines_of(*run(3000)->trace), 3));
  const auto difference = first_event_difference(lines_of(*a->trace), lines_of(*b->trace), 3);
  REQUIRE(difference.has_value());
  REQUIRE(difference->before.size() == 3);
  REQUIRE(difference->left.size() == 3);
  CHECK(event_name(difference->before[2]) == "event #1501 of the simulator");
  CHECK(event_name(difference->left[0]) == "event #1502 of n3");
  CHECK(difference->left[0].find("term=4") != std::string::npos);
  CHECK(difference->right[0].find("term=5") != std::string::npos);
  CHECK(difference->streams == std::vector<std::string>{"disk.n2 has drawn 1601 and 1602"});
  const std::string text = to_text(*difference, "old", "new");
  CHECK(
      text.starts_with("first difference: event #1502 of n3 in old, event #1502 of n3 in new\n"
                       "random stream disk.n2 has drawn 1601 and 1602\n"));
  CHECK(text.find(cat("\n- ", difference->left[0], "\n+ ", difference->right[0], "\n  ")) !=
        std::string::npos);
}

TEST_CASE("a trace that ends early, and texts that differ", "[divergence]") {
  const auto a = run(50);
  const auto difference = first_event_difference(lines_of(*a->trace), lines_of(*run(40)->trace), 2);
  REQUIRE(difference.has_value());
  CHECK(event_name(difference->left[0]) == "event #41 of n3");
  CHECK(difference->right.empty());
  CHECK_FALSE(
      first_event_difference(lines_of("1 0 n1.1 x ; one\n"), lines_of("1 0 n1.1 x ; two\n"), 2)
          .has_value());
  CHECK(first_event_difference(lines_of("1 0 n1.1 x\n"), lines_of("1 0 n1.1 y\n"), 2).has_value());
}

}  // namespace
}  // namespace qk::sim
