// What the benchmarks share: settings, data, CPU time, and the paired measurement.
//
// Each benchmark measures a family beside the raw engine that it uses (raw_store.h), in turn,
// in one run. Times are CPU time. Counters of each benchmark:
//
//   us        CPU microseconds of the family for one item (entry, call)
//   raw_us    the same of the raw engine, or of the sum that a goal names
//   ratio     raw_us / us: 1 is as fast as the engine itself; the goals are bounds on it
#pragma once

#include <benchmark/benchmark.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "families/bench/cost.h"
#include "families/bench/entries.h"
#include "families/contract/family.h"
#include "families/contract/volatile_memory.h"

namespace qk::families::bench {

struct Settings {
  std::string directory;  // where the benchmarks work; exists
  int64_t entries = 0;    // of the logs that are scanned, loaded, exported
  const Registry* registry = nullptr;
  VolatileMemory* memory = nullptr;  // of the registry's volatile families
  FileSystem* fs = nullptr;
};

// An error ends the program: a benchmark that failed has no time.
void require(const absl::Status& status);
template <typename T>
T require(absl::StatusOr<T> value) {
  require(value.status());
  return *std::move(value);
}

// A directory of its own below the settings' one; removed at the end, and with it all volatile
// memory of instances that are closed.
class Scratch {
 public:
  explicit Scratch(const Settings& settings);
  ~Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  std::string path(std::string_view name) const;

 private:
  FileSystem* const fs_;
  VolatileMemory* const memory_;
  std::string path_;
};

std::unique_ptr<Family> open(const Settings& settings, std::string_view family,
                             const std::string& root, bool create);
// A new instance with entries 1..count of `size` bytes.
void fill(const Settings& settings, std::string_view family, const std::string& root, int64_t count,
          size_t size);
// Runs the engine's background work to its end.
void drain(Family& family);

// Collects the parts of one benchmark and writes its counters.
class Pair {
 public:
  explicit Pair(benchmark::State* state) : state_(state) {}
  ~Pair();
  Pair(const Pair&) = delete;
  Pair& operator=(const Pair&) = delete;

  // Runs `body`, which handles `items`; its CPU time also counts as the iteration's time.
  void ours(int64_t items, const std::function<void()>& body);
  void raw(int64_t items, const Cost& cost);
  // A third one, under a name of its own: `name`_us, and `name`_ratio.
  void other(const std::string& name, int64_t items, const Cost& cost);

 private:
  struct Sum {
    void add(int64_t more, const Cost& further) {
      items += more;
      cost += further;
    }
    int64_t items = 0;
    Cost cost;
  };

  benchmark::State* const state_;
  Sum ours_;
  Sum raw_;
  std::vector<std::pair<std::string, Sum>> others_;
};

}  // namespace qk::families::bench
