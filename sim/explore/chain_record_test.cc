// chain.txt: written, read back, and refused when it is anything else.
#include "sim/explore/chain_record.h"

#include <catch2/catch.hpp>

namespace qk::sim {
namespace {

// A trace of `count` events round two nodes.
ChainRecord record_of(uint64_t count) {
  Scheduler scheduler;
  Trace trace(&scheduler, {1, 0x5EED, {"n1", "n2"}}, TraceLevel::kNone);
  for (uint64_t i = 0; i < count; ++i) {
    Event event{.node = static_cast<NodeId>(1 + i % 2), .kind = EventKind::kRaftCommit};
    event.args = {i};
    trace.record(event);
  }
  ChainRecord record = chain_record_of(trace);
  CHECK(record.points.back().chain == trace.chain());
  CHECK(record.points.back().nodes[2] == trace.node_chain(2));
  record.build = "c0ffee12";
  return record;
}

TEST_CASE("a chain record survives its text", "[chain]") {
  for (const uint64_t count : {0, 1, 1023, 1024, 1025, 2048, 5000}) {
    INFO(count);
    ChainRecord record = record_of(count);
    CHECK(record.points.size() == count / Trace::kCheckpointEvery + 2);
    CHECK(parse_chain_record(chain_text_of(record)).value() == record);
    record.until = 30 * kSecond;
    record.keep_going = true;
    record.planted = "vote-not-synced";
    record.level = TraceLevel::kFull;
    CHECK(parse_chain_record(chain_text_of(record)).value() == record);
  }
}

TEST_CASE("no prefix of a chain record is one, and no line of it can be missing", "[chain]") {
  const std::string text = chain_text_of(record_of(2100));
  for (size_t size = 0; size < text.size(); ++size) {
    if (parse_chain_record(text.substr(0, size)).ok())
      FAIL("accepts its first " << size << " bytes");
  }
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = text.find('\n', begin) + 1;
    INFO("without " << text.substr(begin, end - begin));
    CHECK_FALSE(parse_chain_record(text.substr(0, begin) + text.substr(end)).ok());
    CHECK_FALSE(parse_chain_record(text.substr(0, end) + text.substr(begin)).ok());
    begin = end;
  }
}

TEST_CASE("a message says which line of a chain record is wrong", "[chain]") {
  const std::string text = chain_text_of(record_of(1100));
  const auto complaint = [&](std::string_view from, std::string_view to) {
    std::string changed = text;
    const size_t at = changed.find(from);
    REQUIRE(at != std::string::npos);
    changed.replace(at, from.size(), to);
    const auto parsed = parse_chain_record(changed);
    REQUIRE_FALSE(parsed.ok());
    return std::string(to_std(parsed.status().message()));
  };
  CHECK(complaint("qksim chain 1", "qksim chain 2") ==
        "line 1: expected \"qksim chain 1\", found \"qksim chain 2\"");
  CHECK(complaint("seed 0x5eed", "seed 24301") ==
        "line 3: expected \"seed 0xHEX\", found \"seed 24301\"");
  CHECK(complaint("trace none", "trace some").starts_with("line 4: expected \"trace none\""));
  CHECK(complaint("node n2", "node n\x1b").starts_with("line 6: expected \"node NAME\""));
  CHECK(complaint("\n1024 ", "\n1025 ").starts_with("line 8: expected event 1024, or the end"));
  CHECK(complaint("\n1024 ", "\n01024 ").starts_with("line 8: expected a number of events and 4"));
  CHECK(
      complaint("end 1100", "end 2048").starts_with("line 9: expected the end before event 2048"));
}

}  // namespace
}  // namespace qk::sim
