// Shared by the tests of `qksim image`.
#pragma once

#include <catch2/catch.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "families/builtin.h"
#include "families/fs/file_util.h"
#include "families/fs/posix_file_system.h"
#include "families/fs/temp_directory.h"
#include "families/fs/unsynced_file_system.h"
#include "families/testing/golden_support.h"
#include "tools/qksim/image_command.h"

namespace qk::cli {

inline constexpr char kCase[] = "cluster-b-node0-all-killed";
inline constexpr char kPeer[] = "127.0.0.1:8300:0";

// What a verb said and answered.
struct Result {
  ExitCode code;
  std::string out;
  std::string err;
};

// A temporary directory with a node that real braft wrote, and the verbs of `qksim image` in it.
struct Shell {
  families::PosixFileSystem posix;
  families::UnsyncedFileSystem fs{&posix};
  families::FileSystem* used = &fs;  // by the verbs
  families::TempDirectory temporary;
  families::VolatileMemory memory{1};
  families::Registry registry = families::builtin_families(&memory);
  uint64_t draws = 0;
  int steps_left = 1 << 30;  // until a signal comes
  uint32_t closed = 0;       // permission bits that nothing new may have

  Shell() { REQUIRE(families::golden_archive().unpack(kCase, fs, path("node0")).ok()); }
  std::string path(const std::string& name) const {
    return families::join_path(temporary.path(), name);
  }
  template <typename Arguments>
  Result run(ExitCode (*verb)(const Arguments&, const Environment&), const Arguments& arguments) {
    std::ostringstream out, err;
    Environment environment;
    environment.out = &out;
    environment.err = &err;
    environment.fs = used;
    environment.registry = &registry;
    environment.directory = temporary.path();
    environment.random_seed = [this] { return ++draws; };
    environment.interrupted = [this] { return steps_left-- <= 0; };
    environment.narrow_modes = [this](uint32_t missing) { closed |= missing; };
    const ExitCode code = verb(arguments, environment);
    return {code, out.str(), err.str()};
  }
  Result export_from(const std::string& directory, const std::string& family,
                     const std::string& output) {
    return run(image_export, ImageExportArguments{directory, family, "g", kPeer, output});
  }
  Result import_to(const std::string& image, const std::string& family,
                   const std::string& directory, const std::string& group = "g",
                   const std::string& peer = kPeer) {
    return run(image_import, ImageImportArguments{image, family, directory, group, peer});
  }
  std::string bytes(const std::string& name) {
    return families::read_file(fs, path(name), 64 << 20).value();
  }
  void write(const std::string& name, const std::string& content) {
    REQUIRE(families::write_file(fs, path(name), content).ok());
  }
  // Every name with its bytes.
  std::vector<std::string> tree() {
    std::vector<std::string> all = families::list_tree(fs, temporary.path()).value();
    for (std::string& name : all) name += "\n" + bytes(name);
    return all;
  }
};

inline bool contains(const std::string& text, const std::string& what) {
  UNSCOPED_INFO(text);
  return text.find(what) != std::string::npos;
}

}  // namespace qk::cli
