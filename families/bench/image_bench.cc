// Export and import of a log of small entries, beside what they cannot do without: reading the
// engine and writing a file, reading a file and loading the engine. And beside the tools that
// people use for it, as processes of their own: `sqlite3 .dump` and its reload, `ldb dump` and `ldb
// load`.
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string_view>
#include <vector>

#include "families/base/check.h"
#include "families/bench/family_bench.h"
#include "families/bench/plain_file.h"
#include "families/bench/raw_store.h"
#include "families/fs/file_util.h"
#include "image/importer.h"

namespace qk::families::bench {
namespace {

using benchmark::State;

constexpr size_t kPayloadBytes = 200;
const image::Identity kIdentity{"group", "127.0.0.1:8100:0:0", "lineage", 1};

// The CPU time of a shell command, or nullopt if it failed (the tool is not installed).
std::optional<Cost> cost_of(const std::string& command) {
  const pid_t child = ::fork();
  QK_CHECK(child != -1);
  if (child == 0) {
    ::execl("/bin/sh", "sh", "-c", command.c_str(), static_cast<char*>(nullptr));
    ::_exit(127);
  }
  int status = 0;
  rusage usage{};
  QK_CHECK(::wait4(child, &status, 0, &usage) == child);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) return std::nullopt;
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
  };
  return Cost{seconds(usage.ru_utime) + seconds(usage.ru_stime), 0};
}

// The tool of an engine: how it writes a store at $1 as a file $2, and makes a store $1 from it.
struct Tool {
  std::string name;
  std::string dump;
  std::string load;
};
std::optional<Tool> tool_of(const std::string& family) {
  if (family == "sqlite") {
    return Tool{"dump", "sqlite3 $1 .dump >$2", "sqlite3 $1 <$2"};
  }
  if (family == "rocksdb") {
    return Tool{"ldb", "ldb --db=$1 --hex dump >$2 2>&1",
                "ldb --db=$1 --hex --create_if_missing load <$2"};
  }
  return std::nullopt;
}
std::string call(const std::string& script, const std::string& store, const std::string& file) {
  return cat("set -- '", store, "' '", file, "'; ", script);
}

void add_tool(Pair* pair, int64_t count, const std::optional<Tool>& tool, const std::string& script,
              const std::string& store, const std::string& file) {
  if (!tool) return;
  if (const auto cost = cost_of(call(script, store, file))) pair->other(tool->name, count, *cost);
}

uint64_t export_to(const Settings& settings, Family& instance, const std::string& family,
                   const std::string& path) {
  image::FileSink sink(settings.fs, path);
  image::Exporter exporter(&instance, require(image::ExportCut::capture(instance, 1)), kIdentity,
                           family, settings.registry->find(family)->format_version, &sink);
  require(exporter.run());
  return exporter.totals().content_bytes;
}

void export_image(State& state, const Settings& settings, const std::string& family) {
  const Scratch scratch(settings);
  const int64_t count = settings.entries;
  fill(settings, family, scratch.path("family"), count, kPayloadBytes);
  const auto instance = open(settings, family, scratch.path("family"), false);
  auto raw = open_raw(family, scratch.path("raw"));
  if (raw != nullptr) raw->load(count, kPayloadBytes);
  const auto tool = tool_of(family);
  Pair pair(&state);
  for (auto _ : state) {
    uint64_t bytes = 0;
    pair.ours(count,
              [&] { bytes = export_to(settings, *instance, family, scratch.path("image")); });
    if (raw == nullptr) continue;
    pair.raw(count, raw->scan(count, kPayloadBytes));
    pair.raw(0, measure([&] { write_plain_file(scratch.path("flat"), bytes); }));
    raw.reset();
    if (tool) add_tool(&pair, count, tool, tool->dump, scratch.path("raw"), scratch.path("text"));
    raw = open_raw(family, scratch.path("raw"));
  }
}

void import_image(State& state, const Settings& settings, const std::string& family) {
  const Scratch scratch(settings);
  const int64_t count = settings.entries;
  fill(settings, family, scratch.path("family"), count, kPayloadBytes);
  export_to(settings, *open(settings, family, scratch.path("family"), false), family,
            scratch.path("image"));
  const auto tool = tool_of(family);
  if (tool) {
    open_raw(family, scratch.path("dumped"))->load(count, kPayloadBytes);
    cost_of(call(tool->dump, scratch.path("dumped"), scratch.path("text")));
  }
  Pair pair(&state);
  for (auto _ : state) {
    const Scratch target(settings);
    pair.ours(count, [&] {
      const auto source = require(image::FileSource::open(*settings.fs, scratch.path("image")));
      image::ImportRequest request;
      request.registry = settings.registry;
      request.fs = settings.fs;
      request.root = target.path("family");
      request.family = family;
      request.identity = kIdentity;
      request.instance = "bench";
      image::Importer importer(std::move(request), source.get());
      require(importer.run());
    });
    const auto raw = open_raw(family, target.path("raw"));
    if (raw == nullptr) continue;
    pair.raw(count, raw->load(count, kPayloadBytes));
    pair.raw(0, measure([&] { read_plain_file(scratch.path("image")); }));
    if (tool) add_tool(&pair, count, tool, tool->load, target.path("tool"), scratch.path("text"));
  }
}

}  // namespace

void register_image_benchmarks(const Settings& settings, const std::string& family) {
  const auto add = [&](const std::string& name, auto body) {
    benchmark::RegisterBenchmark(name.c_str(), [=](State& state) { body(state, settings, family); })
        ->UseManualTime()
        ->Unit(benchmark::kMillisecond);
  };
  add(cat("export/", family), export_image);
  add(cat("import/", family), import_image);
}

}  // namespace qk::families::bench
