#include "families/bench/family_bench.h"

#include <algorithm>

#include "families/base/check.h"
#include "families/bench/plain_file.h"
#include "families/bench/raw_store.h"

namespace qk::families::bench {
namespace {

using benchmark::State;

constexpr size_t kPayload = 200;

// A benchmark whose iterations are timed by Pair.
template <typename Body>
void add(const std::string& name, const Body& body) {
  benchmark::RegisterBenchmark(name.c_str(), [body](State& state) { body(state); })
      ->UseManualTime()
      ->Unit(benchmark::kMillisecond);
}

void append(State& state, const Settings& settings, const std::string& family, size_t payload,
            int64_t batch) {
  const int64_t batches =
      std::min<int64_t>(batch == 1 ? 256 : 32, std::max<int64_t>(settings.entries / 16, 1));
  const int64_t count = batches * batch;
  Pair pair(&state);
  for (auto _ : state) {
    const Scratch scratch(settings);
    if (const auto raw = open_raw(family, scratch.path("raw"))) {
      pair.raw(count, raw->append(count, payload, batch));
    }
    const auto instance = open(settings, family, scratch.path("family"), true);
    for_each_batch(1, count, payload, batch, [&](std::span<const LogEntry> entries) {
      pair.ours(batch, [&] {
        require(instance->log().append(entries).status());
        drain(*instance);
      });
    });
  }
}

// A family and the raw engine below it, both holding entries 1..count, both just opened.
struct Filled {
  Filled(const Settings& settings, const std::string& family)
      : count(settings.entries), scratch(settings), root(scratch.path("family")) {
    fill(settings, family, root, count, kPayload);
    raw = open_raw(family, scratch.path("raw"));
    if (raw != nullptr) {
      raw->load(count, kPayload);
      raw.reset();
      raw = open_raw(family, scratch.path("raw"));
    }
    instance = open(settings, family, root, false);
  }

  const int64_t count;
  Scratch scratch;
  const std::string root;
  std::unique_ptr<RawStore> raw;
  std::unique_ptr<Family> instance;
};

void read(State& state, const Settings& settings, const std::string& family) {
  Filled filled(settings, family);
  const std::vector<int64_t> indices = sample(filled.count);
  const auto reads = static_cast<int64_t>(indices.size());
  Pair pair(&state);
  for (auto _ : state) {
    if (filled.raw != nullptr) pair.raw(reads, filled.raw->read_sample(filled.count, kPayload));
    pair.ours(reads, [&] {
      for (const int64_t index : indices) {
        QK_CHECK(require(filled.instance->log().entry(index)).payload.size() == kPayload);
      }
    });
  }
}

void scan(State& state, const Settings& settings, const std::string& family) {
  Filled filled(settings, family);
  Pair pair(&state);
  for (auto _ : state) {
    if (filled.raw != nullptr) pair.raw(filled.count, filled.raw->scan(filled.count, kPayload));
    pair.ours(filled.count, [&] {
      uint64_t total = 0;
      require(filled.instance->log().scan(1, filled.count, [&](const LogEntry& entry) {
        total += entry.payload.size();
        return absl::OkStatus();
      }));
      QK_CHECK(total == static_cast<uint64_t>(filled.count) * kPayload);
    });
  }
}

enum class End { kPrefix, kSuffix };

void truncate(State& state, const Settings& settings, const std::string& family, End end) {
  Pair pair(&state);
  for (auto _ : state) {
    Filled filled(settings, family);
    const int64_t middle = filled.count / 2;
    if (filled.raw != nullptr) {
      pair.raw(
          1, end == End::kPrefix ? filled.raw->drop_below(middle) : filled.raw->drop_above(middle));
    }
    pair.ours(1, [&] {
      LogStorage& log = filled.instance->log();
      require((end == End::kPrefix ? log.truncate_prefix(middle) : log.truncate_suffix(middle))
                  .status());
      drain(*filled.instance);
    });
  }
}

void recover(State& state, const Settings& settings, const std::string& family) {
  Filled filled(settings, family);
  Pair pair(&state);
  for (auto _ : state) {
    filled.instance.reset();
    pair.ours(1, [&] { filled.instance = open(settings, family, filled.root, false); });
    drain(*filled.instance);
    if (filled.raw == nullptr) continue;
    filled.raw.reset();
    filled.raw = open_raw(family, filled.scratch.path("raw"));
    pair.raw(1, filled.raw->opened());
  }
}

// Snapshots are files beside every engine; the plain file is the raw engine.
constexpr uint64_t kSnapshotBytes = 1 << 20;

void publish_snapshot(Family* instance, const std::string& data) {
  auto writer = require(instance->snapshot().create());
  require(require(writer->create_file("data"))->write_at(0, data));
  require(writer->add_file("data", {}));
  require(writer->save_meta({1, 1, {"127.0.0.1:8100:0:0"}, {}}));
  require(instance->snapshot().publish(std::move(writer)).status());
}

void publish(State& state, const Settings& settings, const std::string& family) {
  const std::string data(kSnapshotBytes, 'd');
  Pair pair(&state);
  for (auto _ : state) {
    const Scratch scratch(settings);
    const auto instance = open(settings, family, scratch.path("family"), true);
    pair.ours(1, [&] { publish_snapshot(instance.get(), data); });
    if (!raw_engine_below(family)) continue;
    pair.raw(1, measure([&] { write_plain_file(scratch.path("plain"), kSnapshotBytes); }));
  }
}

void open_snapshot(State& state, const Settings& settings, const std::string& family) {
  const Scratch scratch(settings);
  const auto instance = open(settings, family, scratch.path("family"), true);
  publish_snapshot(instance.get(), std::string(kSnapshotBytes, 'd'));
  write_plain_file(scratch.path("plain"), kSnapshotBytes);
  std::string buffer(256 << 10, '\0');
  Pair pair(&state);
  for (auto _ : state) {
    pair.ours(1, [&] {
      const auto file = require(require(instance->snapshot().open())->open_file("data"));
      for (uint64_t at = 0; at < kSnapshotBytes; at += buffer.size()) {
        require(file->read_at(at, buffer));
      }
    });
    if (!raw_engine_below(family)) continue;
    pair.raw(1, measure([&] { read_plain_file(scratch.path("plain")); }));
  }
}

void bulk_load(State& state, const Settings& settings, const std::string& family) {
  Pair pair(&state);
  for (auto _ : state) {
    const Scratch scratch(settings);
    if (const auto raw = open_raw(family, scratch.path("raw"))) {
      pair.raw(settings.entries, raw->load(settings.entries, kPayload));
    }
    const auto instance = open(settings, family, scratch.path("family"), true);
    std::unique_ptr<LogLoader> loader;
    // In parts, so that making the entries is not measured.
    pair.ours(0, [&] { loader = require(instance->log().bulk_load(1)); });
    for_each_batch(1, settings.entries, kPayload, 1024, [&](std::span<const LogEntry> batch) {
      pair.ours(static_cast<int64_t>(batch.size()), [&] { require(loader->append(batch)); });
    });
    pair.ours(0, [&] {
      require(loader->finish());
      loader.reset();
      drain(*instance);
    });
  }
}

}  // namespace

void register_family_benchmarks(const Settings& settings, const std::string& family) {
  for (const size_t payload : {size_t{200}, size_t{1024}, size_t{4096}}) {
    for (const int64_t batch : {1, 64, 256}) {
      add(cat("append/", family, "/", payload, "B/batch", batch),
          [=](State& state) { append(state, settings, family, payload, batch); });
    }
  }
  add(cat("read/", family), [=](State& state) { read(state, settings, family); });
  add(cat("scan/", family), [=](State& state) { scan(state, settings, family); });
  add(cat("truncate_prefix/", family),
      [=](State& state) { truncate(state, settings, family, End::kPrefix); });
  add(cat("truncate_suffix/", family),
      [=](State& state) { truncate(state, settings, family, End::kSuffix); });
  add(cat("recover/", family), [=](State& state) { recover(state, settings, family); });
  add(cat("publish/", family), [=](State& state) { publish(state, settings, family); });
  add(cat("open_snapshot/", family), [=](State& state) { open_snapshot(state, settings, family); });
  add(cat("bulk_load/", family), [=](State& state) { bulk_load(state, settings, family); });
}

}  // namespace qk::families::bench
