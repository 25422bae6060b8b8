// qk_bench: each registered family beside the raw engine below it.
//
//   qk_bench [--dir=DIR] [--entries=N] [options of Google Benchmark]
//
// DIR (default: a temporary directory) should lie on the disk that matters: a file system in memory
// knows no sync. Ask for --benchmark_repetitions=5 and read the medians. The raw engines run in
// qk_bench_raw, which must lie beside this program; the tools that people use instead of an image
// (sqlite3, ldb) are compared where they are installed.
#include <linux/magic.h>
#include <sys/vfs.h>

#include <charconv>
#include <cstdio>
#include <random>

#include "families/bench/family_bench.h"
#include "families/builtin.h"
#include "families/fs/posix_file_system.h"
#include "families/fs/temp_directory.h"

namespace qk::families::bench {
namespace {

// Removes `--name=value` from the arguments.
std::optional<std::string> take(int* argc, char** argv, std::string_view name) {
  for (int i = 1; i < *argc; ++i) {
    const std::string_view argument(argv[i]);
    if (argument.substr(0, name.size()) != name) continue;
    const std::string value(argument.substr(name.size()));
    for (int j = i; j + 1 < *argc; ++j) argv[j] = argv[j + 1];
    --*argc;
    return value;
  }
  return std::nullopt;
}

void warn_about_memory(const std::string& directory) {
  struct statfs info;
  if (::statfs(directory.c_str(), &info) != 0) return;
  if (info.f_type != TMPFS_MAGIC && info.f_type != RAMFS_MAGIC) return;
  std::fprintf(stderr, "qk_bench: %s is a file system in memory: syncs are free there; see --dir\n",
               directory.c_str());
}

int run(int argc, char** argv) {
  const auto given_directory = take(&argc, argv, "--dir=");
  const auto given_entries = take(&argc, argv, "--entries=");
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 64;

  const TempDirectory temporary;
  VolatileMemory memory(std::random_device{}());
  const Registry registry = builtin_families(&memory);
  PosixFileSystem fs;
  Settings settings;
  settings.directory = given_directory.value_or(temporary.path());
  settings.entries = 100'000;
  settings.registry = &registry;
  settings.memory = &memory;
  settings.fs = &fs;
  if (given_entries) {
    const char* const end = given_entries->data() + given_entries->size();
    const auto [stop, error] = std::from_chars(given_entries->data(), end, settings.entries);
    if (error != std::errc() || stop != end || settings.entries < 16) {
      std::fprintf(stderr, "qk_bench: --entries=%s: expected a number of at least 16\n",
                   given_entries->c_str());
      return 64;
    }
  }
  warn_about_memory(settings.directory);
  for (const FamilyDescriptor& family : registry.all()) {
    register_family_benchmarks(settings, family.name);
    register_image_benchmarks(settings, family.name);
    register_simulated_benchmarks(settings, family.name);
  }
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}

}  // namespace

}  // namespace qk::families::bench

int main(int argc, char** argv) { return qk::families::bench::run(argc, argv); }
