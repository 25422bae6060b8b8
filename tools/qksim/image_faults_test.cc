// `qksim image export` and `import` on a real directory of each durable family, with every call on
// the file system failing once: an error that leaves nothing which passes for a result, or the
// whole state; never less, and the source never changed.
//
// Not here: what a killed process or a power cut leaves (group IMPORT, import_crash_test.cc).
#include <catch2/catch.hpp>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <sstream>

#include "families/builtin.h"
#include "families/fs/fault_file_system.h"
#include "families/fs/posix_file_system.h"
#include "families/fs/temp_directory.h"
#include "families/testing/points.h"
#include "families/testing/util.h"
#include "tools/qksim/image_command.h"

namespace qk::cli {
namespace {

using families::FaultFileSystem;

constexpr char kPeer[] = "127.0.0.1:8300:0:0";

// All calls take more than a minute; QKSIM_TEST_ONE_POINT_IN=1 tries them.
uint64_t stride() { return families::one_point_in(7); }

struct Result {
  ExitCode code;
  std::string out;
  std::string err;
};

class RealDirectories {
 public:
  std::string path(const std::string& name) const {
    return families::join_path(temporary_.path(), name);
  }

  // Several read windows, segments, pages and blocks of log, and a snapshot of several chunks.
  void make_instance(const std::string& family, const std::string& name) {
    families::OpenRequest request;
    request.fs = &fs_;
    request.root = path(name);
    request.create = true;
    if (family == "local") request.options = {{"segment_size", "256KiB"}};
    auto opened = families::open_family(registry_, family, request);
    REQUIRE_OK(opened);
    REQUIRE_OK((*opened)->meta().save({7, std::string(kPeer)}));
    for (int64_t first = 1; first <= 19; first += 3) {
      REQUIRE_OK((*opened)->log().append(families::data_entries(first, first + 2, 5, 40'000)));
    }
    REQUIRE_OK(families::publish_snapshot(
        **opened, 4, 5, {{"data", std::string(150'000, 'd')}, {"dir/empty", ""}}));
    while ((*opened)->pending_work() > 0) REQUIRE_OK((*opened)->run_one());
    REQUIRE_OK((*opened)->close());
  }

  template <typename Arguments>
  Result run(ExitCode (*verb)(const Arguments&, const Environment&), const Arguments& arguments,
             families::FileSystem& fs) {
    std::ostringstream out, err;
    Environment environment;
    environment.out = &out;
    environment.err = &err;
    environment.fs = &fs;
    environment.registry = &registry_;
    environment.directory = temporary_.path();
    environment.random_seed = [this] { return ++draws_; };
    const ExitCode code = verb(arguments, environment);
    return {code, out.str(), err.str()};
  }
  Result export_from(const std::string& name, const std::string& family, const std::string& image,
                     families::FileSystem& fs) {
    ImageExportArguments arguments;
    arguments.from = name;
    arguments.family = family;
    arguments.group = "g";
    arguments.peer = kPeer;
    arguments.output = image;
    return run(image_export, arguments, fs);
  }
  Result import_to(const std::string& image, const std::string& family, const std::string& name,
                   families::FileSystem& fs) {
    ImageImportArguments arguments;
    arguments.image = image;
    arguments.family = family;
    arguments.directory = name;
    arguments.group = "g";
    arguments.peer = kPeer;
    return run(image_import, arguments, fs);
  }
  // The line of `image verify` without the image's name: entries, files, bytes, hash of the
  // content.
  std::string content(const std::string& image) {
    const Result verified = run(image_verify, ImageVerifyArguments{image}, fs_);
    INFO(verified.err);
    REQUIRE(verified.code == ExitCode::kOk);
    return verified.out.substr(verified.out.find(": "));
  }

  families::PosixFileSystem fs_;
  families::TempDirectory temporary_;
  families::VolatileMemory memory_{1};
  families::Registry registry_ = families::builtin_families(&memory_);
  uint64_t draws_ = 0;
};

std::string name_of(ExitCode code) { return cat("exit code ", static_cast<int>(code)); }

// Calls `attempt` with every mutating call, and with every look, failing once; returns how many
// did.
uint64_t fail_each_call(families::FileSystem& fs,
                        const std::function<void(FaultFileSystem& faults)>& attempt) {
  uint64_t failures = 0;
  for (const bool looks : {false, true}) {
    for (uint64_t n = 1;; n += stride()) {
      FaultFileSystem faults(&fs);
      looks ? faults.fail_look_at(n) : faults.fail_at(n);
      attempt(faults);
      if (!faults.failed()) break;
      ++failures;
    }
  }
  return failures;
}

const char* const kFamilies[] = {"local", "sqlite", "leveldb", "rocksdb"};

TEST_CASE("each failed call of an export is an error without an image, or the whole image") {
  const std::string family = GENERATE(from_range(std::begin(kFamilies), std::end(kFamilies)));
  INFO(family);
  RealDirectories real;
  families::FileSystem& fs = real.fs_;
  real.make_instance(family, "a");
  REQUIRE(real.export_from("a", family, "whole.qki", fs).code == ExitCode::kOk);
  const std::string whole = real.content("whole.qki");
  const auto before = families::list_tree(fs, real.temporary_.path()).value();
  const uint64_t failures = fail_each_call(fs, [&](FaultFileSystem& faults) {
    const Result result = real.export_from("a", family, "a.qki", faults);
    INFO(faults.failed_call() << " failed: " << name_of(result.code) << " " << result.err);
    if (result.code == ExitCode::kOk) {
      CHECK(real.content("a.qki") == whole);
      CHECK(fs.unlink(real.path("a.qki")).ok());
    } else {
      CHECK(result.err.find("error: ") != std::string::npos);
    }
    CHECK(families::list_tree(fs, real.temporary_.path()).value() == before);
  });
  std::cout << "export of " << family << ": " << failures << " failed calls\n";
  CHECK(failures > 40 / stride());
  CHECK(real.export_from("a", family, "again.qki", fs).code == ExitCode::kOk);
  CHECK(real.content("again.qki") == whole);
}

TEST_CASE("each failed call of an import is an error without an instance, or the whole state") {
  const std::string family = GENERATE(from_range(std::begin(kFamilies), std::end(kFamilies)));
  INFO(family);
  RealDirectories real;
  families::FileSystem& fs = real.fs_;
  real.make_instance("local", "a");
  REQUIRE(real.export_from("a", "local", "a.qki", fs).code == ExitCode::kOk);
  const std::string whole = real.content("a.qki");
  const auto holds_whole = [&] {
    const Result exported = real.export_from("b", family, "b.qki", fs);
    INFO(exported.err);
    CHECK(exported.code == ExitCode::kOk);
    CHECK(real.content("b.qki") == whole);
    CHECK(fs.unlink(real.path("b.qki")).ok());
  };
  const uint64_t failures = fail_each_call(fs, [&](FaultFileSystem& faults) {
    const Result result = real.import_to("a.qki", family, "b", faults);
    INFO(faults.failed_call() << " failed: " << name_of(result.code) << " " << result.err);
    if (result.code != ExitCode::kOk) {
      CHECK(result.err.find("error: ") != std::string::npos);
      // Nothing that opens as finished; and the next attempt is not in its way.
      CHECK(real.export_from("b", family, "b.qki", fs).code != ExitCode::kOk);
      CHECK_FALSE(families::exists(fs, real.path("b.qki")).value());
      const Result again = real.import_to("a.qki", family, "b", fs);
      INFO("another import: " << again.err);
      CHECK(again.code == ExitCode::kOk);
    }
    holds_whole();
    CHECK(families::remove_tree(fs, real.path("b")).ok());
  });
  std::cout << "import to " << family << ": " << failures << " failed calls\n";
  CHECK(failures > 40 / stride());
}

}  // namespace
}  // namespace qk::cli
