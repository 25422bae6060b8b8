// Shared by the tests of `qksim migrate`.
#pragma once

#include <catch2/catch.hpp>
#include <functional>
#include <sstream>
#include <string>
#include <vector>

#include "families/builtin.h"
#include "families/fs/file_util.h"
#include "families/fs/posix_file_system.h"
#include "families/fs/temp_directory.h"
#include "families/fs/unsynced_file_system.h"
#include "families/testing/util.h"
#include "tools/qksim/migrate_command.h"

namespace qk::cli {

inline constexpr char kNode[] = "127.0.0.1:8300:0:0";
inline const char* const kDurable[] = {"local", "sqlite", "leveldb", "rocksdb"};

// What a migration said and answered.
struct Told {
  ExitCode code;
  std::string out;
  std::string err;
  bool says(const std::string& what) const {
    UNSCOPED_INFO("exit code " << static_cast<int>(code) << "\n" << out << err);
    return (out + err).find(what) != std::string::npos;
  }
  // "5f0c...", the line with the state digest.
  std::string digest() const {
    constexpr std::string_view kLine = "state digest    ";
    const size_t at = out.find(kLine);
    return at == std::string::npos ? "" : out.substr(at + kLine.size(), 64);
  }
};

// A directory of the real file system with a stopped node in `a`, and `qksim migrate` in it.
class Machine {
 public:
  explicit Machine(const std::string& family = "local", int64_t entries = 10) {
    make(family, "a", entries);
  }

  std::string path(const std::string& name) const {
    return families::join_path(temporary_.path(), name);
  }
  void make(const std::string& family, const std::string& name, int64_t entries) {
    families::OpenRequest request;
    request.fs = &fs_;
    request.root = path(name);
    request.create = true;
    if (family == "local") request.options = {{"segment_size", "256KiB"}};
    const auto opened = families::open_family(registry_, family, request);
    REQUIRE_OK(opened);
    REQUIRE_OK((*opened)->meta().save({7, std::string(kNode)}));
    REQUIRE_OK((*opened)->log().append(families::data_entries(1, entries, 5, 30'000)));
    REQUIRE_OK(families::publish_snapshot(
        **opened, 4, 5, {{"data", std::string(150'000, 'd')}, {"dir/empty", ""}}));
    while ((*opened)->pending_work() > 0) REQUIRE_OK((*opened)->run_one());
    REQUIRE_OK((*opened)->close());
  }

  MigrateArguments arguments(const std::string& from, const std::string& to) const {
    MigrateArguments arguments;
    arguments.from = from;
    arguments.to = to;
    arguments.group = "g";
    arguments.peer = kNode;
    return arguments;
  }
  Told run(const MigrateArguments& arguments, families::FileSystem* fs = nullptr) {
    std::ostringstream out, err;
    Environment environment;
    environment.out = &out;
    environment.err = &err;
    environment.fs = fs == nullptr ? &fs_ : fs;
    environment.registry = &registry_;
    environment.directory = temporary_.path();
    environment.random_seed = [this] { return ++draws_; };
    environment.interrupted = [this] {
      if (on_step_) on_step_();
      return steps_left_-- <= 0;
    };
    const ExitCode code = migrate_command(arguments, environment);
    return {code, out.str(), err.str()};
  }
  Told migrate(const std::string& from, const std::string& to,
               const std::function<void(MigrateArguments&)>& change = nullptr,
               families::FileSystem* fs = nullptr) {
    MigrateArguments all = arguments(from, to);
    if (change) change(all);
    return run(all, fs);
  }
  Told at_stage(MigrateAction action, const std::string& to) {
    MigrateArguments arguments;
    arguments.action = action;
    arguments.to = to;
    return run(arguments);
  }
  // Every name below `name` with its bytes.
  std::vector<std::string> tree(const std::string& name = "") {
    const std::string root = name.empty() ? temporary_.path() : path(name);
    std::vector<std::string> all = families::list_tree(fs_, root).value();
    for (std::string& file : all) {
      file += "\n" + families::read_file(fs_, families::join_path(root, file), 64 << 20).value();
    }
    return all;
  }
  std::vector<std::string> names() { return fs_.list(temporary_.path()).value(); }

  families::PosixFileSystem posix_;
  families::UnsyncedFileSystem fs_{&posix_};
  families::TempDirectory temporary_;
  families::VolatileMemory memory_{1};
  families::Registry registry_ = families::builtin_families(&memory_);
  uint64_t draws_ = 0;
  int steps_left_ = 1 << 30;  // until a signal comes
  std::function<void()> on_step_;
};

inline void resume(MigrateArguments& a) { a.resume = true; }
inline void fence(MigrateArguments& a) { a.fence_source = true; }
inline void dry(MigrateArguments& a) { a.action = MigrateAction::kDryRun; }

}  // namespace qk::cli
