// Target: chain.txt of a run directory (sim/explore/chain_record.h). What parses is written again,
// and parses as the same.
#include "families/base/check.h"
#include "sim/explore/chain_record.h"
#include "tools/fuzz/target.h"

namespace qk::fuzz {

std::vector<std::string> seeds() {
  std::vector<std::string> inputs;
  for (const uint64_t events : {0, 3, 1100}) {
    sim::Scheduler scheduler;
    sim::Trace trace(&scheduler, {1, 2, {"n1", "n2"}}, sim::TraceLevel::kNone);
    for (uint64_t i = 0; i < events; ++i) trace.record({.node = 1});
    sim::ChainRecord record = sim::chain_record_of(trace);
    record.build = "c0ffee12";
    inputs.push_back(sim::chain_text_of(record));
    record.until = sim::kSecond;
    record.keep_going = true;
    record.planted = "exception";
    inputs.push_back(sim::chain_text_of(record));
  }
  return inputs;
}

void run(std::string_view input) {
  const auto record = sim::parse_chain_record(input);
  if (!record.ok()) return;
  const auto again = sim::parse_chain_record(sim::chain_text_of(*record));
  QK_CHECK(again.ok() && *again == *record);
}

}  // namespace qk::fuzz
