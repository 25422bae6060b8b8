// What tests of verbs share: a directory of their own with a small scenario, and an environment in
// it that writes to strings and whose one family cannot be opened. The simulator is each test's.
#pragma once

#include <filesystem>
#include <sstream>

#include "families/base/check.h"
#include "families/fs/file_util.h"
#include "families/fs/posix_file_system.h"
#include "families/fs/temp_directory.h"
#include "tools/qksim/environment.h"

namespace qk::cli {

struct VerbFixture {
  VerbFixture() {
    const absl::Status written =
        families::write_file(file_system, temporary.path() + "/small.qks.txtpb",
                             "name: \"small\"\n"
                             "cluster { nodes: 3 default_store: \"old\" }\n"
                             "store { id: \"old\" local {} }\n");
    QK_CHECK(written.ok());
    families::FamilyDescriptor local;
    local.name = "local";
    local.format_version = "1";
    local.root_names = {"log"};
    local.partials = [](families::Operation) { return families::Partial::kNone; };
    local.open = [](const families::OpenRequest&) {
      return absl::UnimplementedError("no such thing in this test");
    };
    registry.add(local);
    environment.out = &out;
    environment.err = &err;
    environment.fs = &file_system;
    environment.registry = &registry;
    environment.simulated = &registry;
    environment.directory = directory.string();
    environment.version = "0.1.0";
    environment.build = "c0ffee12";
    environment.random_seed = [] { return uint64_t{77}; };
    environment.planted = kPlantedForTests;
  }

  static constexpr sim::PlantedBug kPlantedForTests[] = {{.name = "vote-not-synced",
                                                          .known_as = "",
                                                          .component = "BL",
                                                          .level = "P1",
                                                          .scenario = "small",
                                                          .oracles = "ora.L5",
                                                          .what = ""}};

  families::TempDirectory temporary;
  const std::filesystem::path directory{temporary.path()};
  families::PosixFileSystem file_system;
  families::Registry registry;
  std::ostringstream out;
  std::ostringstream err;
  Environment environment;
};

}  // namespace qk::cli
