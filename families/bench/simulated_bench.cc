// Open and close of an instance on the simulated disk: what dominates a run with many crashes.
#include "families/bench/family_bench.h"
#include "families/builtin.h"
#include "sim/disk/sim_disk.h"

namespace qk::families::bench {
namespace {

constexpr const char* kRoot = "/instance";

void open_close(benchmark::State& state, const Settings& given, const std::string& family,
                int64_t entries) {
  reset_engines_for_run(1);
  sim::SimDisk disk(sim::DiskOptions{}, sim::RandomStream(1, "bench"));
  const auto fs = disk.mount();
  Settings settings = given;
  settings.fs = fs.get();
  open(settings, family, kRoot, true);
  Pair pair(&state);
  for (auto _ : state) {
    {
      const auto instance = open(settings, family, kRoot, false);
      if (entries > instance->log().last_index()) {
        require(instance->log().append(make_entries(1, entries, 200)).status());
      }
      // What opens leave over is cleared away now and then, as an owner would.
      drain(*instance);
    }
    pair.ours(1, [&] { open(settings, family, kRoot, false).reset(); });
  }
}

}  // namespace

void register_simulated_benchmarks(const Settings& settings, const std::string& family) {
  const auto add = [&](std::string_view store, int64_t entries) {
    const auto body = [=](benchmark::State& state) {
      open_close(state, settings, family, entries);
    };
    benchmark::RegisterBenchmark(cat("open_close_simulated/", family, "/", store).c_str(), body)
        ->UseManualTime()
        ->Unit(benchmark::kMicrosecond);
  };
  add("empty", 0);
  add("filled", 200);
}

}  // namespace qk::families::bench
