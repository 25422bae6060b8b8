#include "families/bench/harness.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "families/base/check.h"
#include "families/fs/file_util.h"

namespace qk::families::bench {

void require(const absl::Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "qk_bench: %s\n", status.ToString().c_str());
  std::exit(1);
}

Scratch::Scratch(const Settings& settings) : fs_(settings.fs), memory_(settings.memory) {
  static int made = 0;
  path_ = join_path(settings.directory, cat("work-", ++made));
  require(remove_tree(*fs_, path_));
  require(make_directories(*fs_, path_));
}

Scratch::~Scratch() {
  memory_->lose();
  require(remove_tree(*fs_, path_));
}

std::string Scratch::path(std::string_view name) const { return join_path(path_, name); }

std::unique_ptr<Family> open(const Settings& settings, std::string_view family,
                             const std::string& root, bool create) {
  if (create) require(make_directories(*settings.fs, root));
  OpenRequest request;
  request.fs = settings.fs;
  request.root = root;
  request.create = create;
  return require(open_family(*settings.registry, family, request));
}

void drain(Family& family) {
  while (family.pending_work() > 0) require(family.run_one());
}

void fill(const Settings& settings, std::string_view family, const std::string& root, int64_t count,
          size_t size) {
  const auto instance = open(settings, family, root, true);
  const auto loader = require(instance->log().bulk_load(1));
  for_each_batch(1, count, size, 1024,
                 [&](std::span<const LogEntry> batch) { require(loader->append(batch)); });
  require(loader->finish());
  drain(*instance);
}

void Pair::ours(int64_t items, const std::function<void()>& body) {
  const Cost cost = measure(body);
  ours_.add(items, cost);
  state_->SetIterationTime(cost.cpu);  // adds up over the iteration
}

void Pair::raw(int64_t items, const Cost& cost) { raw_.add(items, cost); }

void Pair::other(const std::string& name, int64_t items, const Cost& cost) {
  const auto known = std::find_if(others_.begin(), others_.end(),
                                  [&](const auto& other) { return other.first == name; });
  (known == others_.end() ? others_.emplace_back(name, Sum()) : *known).second.add(items, cost);
}

Pair::~Pair() {
  if (ours_.items == 0) return;
  const auto us = [](double time, int64_t items) {
    return time * 1e6 / static_cast<double>(items);
  };
  const double ours = us(ours_.cost.cpu, ours_.items);
  state_->counters["us"] = ours;
  if (raw_.items > 0) {
    state_->counters["raw_us"] = us(raw_.cost.cpu, raw_.items);
    state_->counters["ratio"] = us(raw_.cost.cpu, raw_.items) / ours;
    state_->counters["wall_ratio"] =
        us(raw_.cost.wall, raw_.items) / us(ours_.cost.wall, ours_.items);
  }
  for (const auto& [name, sum] : others_) {
    state_->counters[name + "_us"] = us(sum.cost.cpu, sum.items);
    state_->counters[name + "_ratio"] = us(sum.cost.cpu, sum.items) / ours;
  }
}

}  // namespace qk::families::bench
