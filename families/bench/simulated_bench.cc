// Open and close of a small instance on the simulated disk: what dominates a run with many crashes.
#include "families/bench/family_bench.h"
#include "families/builtin.h"
#include "sim/disk/sim_disk.h"

namespace qk::families::bench {

void register_simulated_benchmarks(const Settings& given, const std::string& family) {
  const auto body = [=](benchmark::State& state) {
    reset_engines_for_run(1);
    sim::SimDisk disk(sim::DiskOptions{}, sim::RandomStream(1, "bench"));
    const auto fs = disk.mount();
    Settings settings = given;
    settings.fs = fs.get();
    fill(settings, family, "/instance", 200, 200);
    Pair pair(&state);
    for (auto _ : state) {
      pair.ours(1, [&] { open(settings, family, "/instance", false).reset(); });
    }
  };
  benchmark::RegisterBenchmark(cat("open_close_simulated/", family).c_str(), body)
      ->UseManualTime()
      ->Unit(benchmark::kMicrosecond);
}

}  // namespace qk::families::bench
