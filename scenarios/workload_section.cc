#include <algorithm>

#include "families/base/strings.h"
#include "families/base/suggest.h"
#include "scenarios/sections.h"
#include "scenarios/values.h"

namespace qk::scenarios {

void build_workload(Draft& draft) {
  const qksim::Workload& workload = draft.scenario().workload();
  sim::WorkloadPlan& out = draft.plan.workload;
  out.clients = workload.clients();
  constexpr uint32_t kMaxClients = 10'000;
  if (out.clients > kMaxClients) {
    draft.bad_value(workload, "clients", {cat(out.clients, " clients"), cat("0 to ", kMaxClients)});
  }
  out.rate = workload.rate();
  out.keys = workload.keys();
  draft.at_least_one(workload, "keys", out.keys);
  if (out.rate == 0 || out.rate > 100'000) {
    draft.bad_value(workload, "rate", {cat(out.rate, " operations per second"), "1 to 100000"});
  }
  out.operations = workload.operations();
  if (workload.has_operations()) draft.at_least_one(workload, "operations", out.operations);
  SizeRange size;
  if (draft.take(workload, "value_size", parse_size_range(workload.value_size()), &size)) {
    constexpr uint64_t kMaxValue = 1 << 20;
    if (size.high > kMaxValue) {
      draft.bad_value(workload, "value_size",
                      {in_quotes(workload.value_size()) + " is too large", "at most 1MiB"});
    }
    out.value_size_low = static_cast<uint32_t>(std::min(size.low, kMaxValue));
    out.value_size_high = static_cast<uint32_t>(std::min(size.high, kMaxValue));
  }
  draft.probability(workload, "read_ratio", workload.read_ratio(), &out.read_ppm);
  draft.probability(workload, "cas_ratio", workload.cas_ratio(), &out.cas_ppm);
  draft.probability(workload, "counter_ratio", workload.counter_ratio(), &out.counter_ppm);
  if (uint64_t{out.read_ppm} + out.cas_ppm + out.counter_ppm > 1'000'000) {
    draft.report(workload, "read_ratio", -1, Draft::Point::kName,
                 "read_ratio, cas_ratio and counter_ratio add up to more than 1",
                 "they are shares of all operations");
  }
}

}  // namespace qk::scenarios
