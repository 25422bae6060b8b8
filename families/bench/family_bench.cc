#include "families/bench/family_bench.h"

#include <algorithm>

#include "base/check.h"
#include "families/bench/raw_engine.h"

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
  Pair pair(&state);
  for (auto _ : state) {
    const Scratch scratch(settings);
    const auto instance = open(settings, family, scratch.path("family"), true);
    const auto raw = open_raw(family, scratch.path("raw"));
    for (int64_t i = 0; i < batches; ++i) {
      const std::vector<LogEntry> entries = make_entries(1 + i * batch, batch, payload);
      if (raw != nullptr) pair.raw(batch, [&] { raw->append(entries); });
      pair.ours(batch, [&] {
        require(instance->log().append(entries).status());
        drain(*instance);
      });
    }
  }
}

// A family and the raw engine below it, both holding entries 1..count.
struct Filled {
  Filled(const Settings& settings, const std::string& family, int64_t count, size_t payload)
      : scratch(settings), root(scratch.path("family")) {
    fill(settings, family, root, count, payload);
    raw = open_raw(family, scratch.path("raw"));
    if (raw != nullptr) {
      raw->begin_load();
      for_each_batch(1, count, payload, 1024,
                     [&](std::span<const LogEntry> batch) { raw->load(batch); });
      raw->end_load();
      raw.reset();
      raw = open_raw(family, scratch.path("raw"));
    }
    instance = open(settings, family, root, false);
  }

  Scratch scratch;
  const std::string root;
  std::unique_ptr<RawEngine> raw;
  std::unique_ptr<Family> instance;
};

void read(State& state, const Settings& settings, const std::string& family) {
  const int64_t count = settings.entries;
  Filled filled(settings, family, count, kPayload);
  const int64_t reads = std::min<int64_t>(count, 4096);
  Pair pair(&state);
  for (auto _ : state) {
    const auto index = [&](int64_t i) { return 1 + i * 7919 % count; };
    if (filled.raw != nullptr) {
      pair.raw(reads, [&] {
        for (int64_t i = 0; i < reads; ++i) QK_CHECK(filled.raw->read(index(i)) == kPayload);
      });
    }
    pair.ours(reads, [&] {
      for (int64_t i = 0; i < reads; ++i) {
        QK_CHECK(require(filled.instance->log().entry(index(i))).payload.size() == kPayload);
      }
    });
  }
}

void scan(State& state, const Settings& settings, const std::string& family) {
  const int64_t count = settings.entries;
  Filled filled(settings, family, count, kPayload);
  Pair pair(&state);
  for (auto _ : state) {
    const uint64_t expected = static_cast<uint64_t>(count) * kPayload;
    if (filled.raw != nullptr) {
      pair.raw(count, [&] { QK_CHECK(filled.raw->scan(1, count) == expected); });
    }
    pair.ours(count, [&] {
      uint64_t total = 0;
      require(filled.instance->log().scan(1, count, [&](const LogEntry& entry) {
        total += entry.payload.size();
        return absl::OkStatus();
      }));
      QK_CHECK(total == expected);
    });
  }
}

enum class End { kPrefix, kSuffix };

void truncate(State& state, const Settings& settings, const std::string& family, End end) {
  const int64_t count = settings.entries;
  Pair pair(&state);
  for (auto _ : state) {
    Filled filled(settings, family, count, kPayload);
    const int64_t middle = count / 2;
    if (filled.raw != nullptr) {
      pair.raw(1, [&] {
        end == End::kPrefix ? filled.raw->drop_below(middle) : filled.raw->drop_above(middle);
      });
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
  Filled filled(settings, family, settings.entries, kPayload);
  Pair pair(&state);
  for (auto _ : state) {
    filled.instance.reset();
    pair.ours(settings.entries,
              [&] { filled.instance = open(settings, family, filled.root, false); });
    if (filled.raw == nullptr) continue;
    filled.raw.reset();
    // An open engine has read nothing yet; a family knows after its open what it holds.
    pair.raw(settings.entries, [&] {
      filled.raw = open_raw(family, filled.scratch.path("raw"));
      filled.raw->scan(1, settings.entries);
    });
  }
}

void publish(State& state, const Settings& settings, const std::string& family) {
  const std::string data(1 << 20, 'd');
  Pair pair(&state);
  for (auto _ : state) {
    const Scratch scratch(settings);
    const auto instance = open(settings, family, scratch.path("family"), true);
    pair.ours(1, [&] {
      auto writer = require(instance->snapshot().create());
      require(require(writer->create_file("data"))->write_at(0, data));
      require(writer->add_file("data", {}));
      require(writer->save_meta({1, 1, {"127.0.0.1:8100:0:0"}, {}}));
      require(instance->snapshot().publish(std::move(writer)).status());
    });
  }
}

void open_snapshot(State& state, const Settings& settings, const std::string& family) {
  const Scratch scratch(settings);
  const auto instance = open(settings, family, scratch.path("family"), true);
  auto writer = require(instance->snapshot().create());
  require(require(writer->create_file("data"))->write_at(0, std::string(1 << 20, 'd')));
  require(writer->add_file("data", {}));
  require(writer->save_meta({1, 1, {"127.0.0.1:8100:0:0"}, {}}));
  require(instance->snapshot().publish(std::move(writer)).status());
  std::string buffer(64 << 10, '\0');
  Pair pair(&state);
  for (auto _ : state) {
    pair.ours(1, [&] {
      const auto file = require(require(instance->snapshot().open())->open_file("data"));
      for (uint64_t at = 0; at < (1 << 20); at += buffer.size()) {
        require(file->read_at(at, buffer));
      }
    });
  }
}

void bulk_load(State& state, const Settings& settings, const std::string& family) {
  constexpr int64_t kPart = 1024;
  Pair pair(&state);
  for (auto _ : state) {
    const Scratch scratch(settings);
    const auto instance = open(settings, family, scratch.path("family"), true);
    std::unique_ptr<LogLoader> loader;
    const auto raw = open_raw(family, scratch.path("raw"));
    // In parts, so that making the entries is not measured.
    pair.ours(0, [&] { loader = require(instance->log().bulk_load(1)); });
    if (raw != nullptr) pair.raw(0, [&] { raw->begin_load(); });
    for_each_batch(1, settings.entries, kPayload, kPart, [&](std::span<const LogEntry> batch) {
      const auto size = static_cast<int64_t>(batch.size());
      pair.ours(size, [&] { require(loader->append(batch)); });
      if (raw != nullptr) pair.raw(size, [&] { raw->load(batch); });
    });
    pair.ours(0, [&] {
      require(loader->finish());
      loader.reset();
      drain(*instance);
    });
    if (raw != nullptr) pair.raw(0, [&] { raw->end_load(); });
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
