#include "families/bench/harness.h"

#include <time.h>

#include <cstdio>
#include <cstdlib>

#include "base/check.h"
#include "families/fs/file_util.h"

namespace qk::families::bench {
namespace {

double seconds(clockid_t clock) {
  timespec now;
  QK_CHECK(::clock_gettime(clock, &now) == 0);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

}  // namespace

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

std::vector<LogEntry> make_entries(int64_t first, int64_t count, size_t size) {
  // One pool of noise, from which each payload is a window.
  static const std::string noise = [] {
    std::string bytes;
    uint64_t state = 88172645463325252ULL;
    while (bytes.size() < (1 << 20)) {
      state ^= state << 13;
      state ^= state >> 7;
      state ^= state << 17;
      bytes.append(reinterpret_cast<const char*>(&state), sizeof state);
    }
    return bytes;
  }();
  QK_CHECK(size <= noise.size() / 2);
  std::vector<LogEntry> entries;
  entries.reserve(static_cast<size_t>(count));
  for (int64_t index = first; index < first + count; ++index) {
    const size_t at = static_cast<size_t>(index) * 7919 % (noise.size() / 2);
    entries.push_back({index, 1, EntryType::kData, noise.substr(at, size)});
  }
  return entries;
}

void for_each_batch(int64_t first, int64_t count, size_t size, int64_t batch,
                    const Consume& consume) {
  for (int64_t done = 0; done < count; done += batch) {
    consume(make_entries(first + done, std::min(batch, count - done), size));
  }
}

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

double cpu_now() { return seconds(CLOCK_PROCESS_CPUTIME_ID); }
double wall_now() { return seconds(CLOCK_MONOTONIC); }

void Pair::measure(Sum* sum, int64_t items, const std::function<void()>& body) {
  const double cpu = cpu_now();
  const double wall = wall_now();
  body();
  sum->cpu += cpu_now() - cpu;
  sum->wall += wall_now() - wall;
  sum->items += items;
}

void Pair::ours(int64_t items, const std::function<void()>& body) {
  const double before = ours_.cpu;
  measure(&ours_, items, body);
  state_->SetIterationTime(ours_.cpu - before);  // adds up over the iteration
}

void Pair::raw(int64_t items, const std::function<void()>& body) { measure(&raw_, items, body); }

void Pair::other(const std::string& name, int64_t items, double cpu_seconds) {
  for (auto& [known, sum] : others_) {
    if (known != name) continue;
    sum.items += items;
    sum.cpu += cpu_seconds;
    return;
  }
  others_.push_back({name, {items, cpu_seconds, 0}});
}

Pair::~Pair() {
  if (ours_.items == 0) return;
  const auto us = [](double time, int64_t items) {
    return time * 1e6 / static_cast<double>(items);
  };
  const double ours = us(ours_.cpu, ours_.items);
  state_->counters["us"] = ours;
  if (raw_.items > 0) {
    state_->counters["raw_us"] = us(raw_.cpu, raw_.items);
    state_->counters["ratio"] = us(raw_.cpu, raw_.items) / ours;
    state_->counters["wall_ratio"] = us(raw_.wall, raw_.items) / us(ours_.wall, ours_.items);
  }
  for (const auto& [name, sum] : others_) {
    state_->counters[name + "_us"] = us(sum.cpu, sum.items);
    state_->counters[name + "_ratio"] = us(sum.cpu, sum.items) / ours;
  }
}

}  // namespace qk::families::bench
