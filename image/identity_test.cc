// The sidecar: round trip, every damaged bit refused, what may open, what is empty, safe removal.
#include "image/identity.h"

#include <catch2/catch.hpp>

#include "families/fs/file_util.h"
#include "families/fs/posix_file_system.h"
#include "families/fs/temp_directory.h"

namespace qk::image {
namespace {

using families::FileSystem;
using families::join_path;

const Identity kIdentity{"group", "127.0.0.1:8100:0:0", "lineage-1", 2};

// A family that only counts how often it was asked to open, and with what.
struct Opened {
  int times = 0;
  bool create = false;
};
families::Registry counting_registry(Opened* opened) {
  families::FamilyDescriptor descriptor;
  descriptor.name = "counting";
  descriptor.format_version = "1";
  descriptor.root_names = {"db"};
  descriptor.partials = [](families::Operation) { return families::Partial::kNone; };
  descriptor.open = [opened](const families::OpenRequest& request)
      -> absl::StatusOr<std::unique_ptr<families::Family>> {
    ++opened->times;
    opened->create = request.create;
    return absl::UnavailableError("reached the family");
  };
  families::Registry registry;
  registry.add(std::move(descriptor));
  return registry;
}

struct Fixture {
  families::PosixFileSystem fs;
  families::TempDirectory temporary;
  std::string root = join_path(temporary.path(), "root");
  Opened opened;
  families::Registry registry = counting_registry(&opened);

  Fixture() { REQUIRE(fs.mkdir(root).ok()); }
  void write(std::string_view name, std::string_view bytes) {
    REQUIRE(families::write_file(fs, join_path(root, name), bytes).ok());
  }
  void write(InstanceState state) {
    REQUIRE(write_sidecar(fs, root, {kIdentity, "counting", "instance-7", state}).ok());
  }
  absl::Status open(const Identity& expected, bool create = false) {
    families::OpenRequest request;
    request.fs = &fs;
    request.root = root;
    request.create = create;
    return open_instance(registry, request, "counting", expected).status();
  }
  absl::Status check_empty() {
    return check_empty_destination(fs, root, *registry.find("counting"));
  }
};

TEST_CASE("sidecar: written and read back, absent where there is none") {
  Fixture f;
  REQUIRE(read_sidecar(f.fs, f.root).value() == std::nullopt);
  REQUIRE(read_sidecar(f.fs, join_path(f.root, "missing")).value() == std::nullopt);
  for (int state = 0; state <= 6; ++state) {
    const Sidecar sidecar{kIdentity, "counting", "i", static_cast<InstanceState>(state)};
    REQUIRE(write_sidecar(f.fs, f.root, sidecar).ok());
    REQUIRE(read_sidecar(f.fs, f.root).value() == sidecar);
  }
}

TEST_CASE("sidecar: any flipped bit and any other length is damage, never absence") {
  Fixture f;
  f.write(InstanceState::kCurrent);
  const std::string path = join_path(f.root, kSidecarName);
  const std::string good = families::read_file(f.fs, path, 4096).value();
  for (size_t bit = 0; bit < good.size() * 8; ++bit) {
    std::string bad = good;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << (bit % 8)));
    REQUIRE(families::write_file(f.fs, path, bad).ok());
    REQUIRE(absl::IsDataLoss(read_sidecar(f.fs, f.root).status()));
  }
  for (size_t length = 0; length < good.size(); ++length) {
    REQUIRE(families::write_file(f.fs, path, good.substr(0, length)).ok());
    REQUIRE(absl::IsDataLoss(read_sidecar(f.fs, f.root).status()));
  }
  REQUIRE(families::write_file(f.fs, path, good + "x").ok());
  REQUIRE(absl::IsDataLoss(read_sidecar(f.fs, f.root).status()));
  REQUIRE(families::write_file(f.fs, path, std::string(1 << 20, 'x')).ok());
  REQUIRE(absl::IsDataLoss(read_sidecar(f.fs, f.root).status()));
  REQUIRE(absl::IsDataLoss(f.open(kIdentity)));
  REQUIRE(f.opened.times == 0);
}

TEST_CASE("open_instance: only empty, catching-up and current reach the family") {
  Fixture f;
  for (int s = 0; s <= 6; ++s) {
    const InstanceState state = static_cast<InstanceState>(s);
    f.write(state);
    const bool may = state == InstanceState::kEmpty || state == InstanceState::kCatchingUp ||
                     state == InstanceState::kCurrent;
    f.opened = {};
    const absl::Status status = f.open(kIdentity, true);
    INFO(to_string(state) << ": " << status);
    REQUIRE(f.opened.times == (may ? 1 : 0));
    REQUIRE(absl::IsFailedPrecondition(status) == !may);
    // An instance that held state is never created afresh.
    REQUIRE(f.opened.create == (state == InstanceState::kEmpty));
  }
}

TEST_CASE("open_instance: a foreign identity or family is refused") {
  Fixture f;
  f.write(InstanceState::kCurrent);
  for (int part = 0; part < 4; ++part) {
    Identity other = kIdentity;
    if (part == 0) other.group_id = "other";
    if (part == 1) other.peer_id = "127.0.0.1:8101:0:0";
    if (part == 2) other.lineage = "";
    if (part == 3) other.generation = 3;
    REQUIRE(absl::IsFailedPrecondition(f.open(other)));
  }
  REQUIRE(write_sidecar(f.fs, f.root, {kIdentity, "sqlite", "i", InstanceState::kCurrent}).ok());
  REQUIRE(absl::IsFailedPrecondition(f.open(kIdentity)));
  REQUIRE(f.opened.times == 0);
}

TEST_CASE("open_instance: a bare directory opens only without a lineage") {
  Fixture f;
  REQUIRE(absl::IsFailedPrecondition(f.open(kIdentity)));
  REQUIRE(f.opened.times == 0);
  REQUIRE(absl::IsUnavailable(f.open({"group", "127.0.0.1:8100:0:0", "", 0})));
  REQUIRE(f.opened.times == 1);
}

TEST_CASE("empty destination: absent, empty, or an empty instance") {
  Fixture f;
  REQUIRE(f.check_empty().ok());
  f.write(InstanceState::kEmpty);
  REQUIRE(f.check_empty().ok());
  REQUIRE(f.fs.unlink(join_path(f.root, kSidecarName)).ok());
  REQUIRE(f.fs.rmdir(f.root).ok());
  REQUIRE(f.check_empty().ok());
}

TEST_CASE("empty destination: state, temporaries, tombstones and foreign files are not empty") {
  Fixture f;
  const auto names_the_find = [&](std::string_view found) {
    const absl::Status status = f.check_empty();
    INFO(status);
    return absl::IsAlreadyExists(status) &&
           to_std(status.message()).find(found) != std::string_view::npos;
  };
  SECTION("state of the family") {
    f.write("db", "x");
    REQUIRE(names_the_find("\"db\", state of family counting"));
  }
  SECTION("foreign file") {
    f.write("notes", "");
    REQUIRE(names_the_find("\"notes\""));
  }
  SECTION("temporary of the sidecar, which a stopped import may leave, is not content") {
    f.write("qk_identity.tmp", "");
    REQUIRE(check_empty_destination(f.fs, f.root, *f.registry.find("counting")).ok());
  }
  SECTION("an instance in another state") {
    f.write(InstanceState::kFenced);
    REQUIRE(names_the_find("fenced"));
  }
  SECTION("tombstone") {
    REQUIRE(f.fs.rmdir(f.root).ok());
    REQUIRE(families::write_file(f.fs, f.root, "").ok());
    REQUIRE(names_the_find("is a file"));
  }
}

TEST_CASE("remove_instance: removes what has a sidecar, refuses what has none") {
  Fixture f;
  f.write("db", "x");
  REQUIRE(absl::IsFailedPrecondition(remove_instance(f.fs, f.root)));
  REQUIRE(families::exists(f.fs, join_path(f.root, "db")).value());
  f.write(InstanceState::kCurrent);
  REQUIRE(f.fs.mkdir(join_path(f.root, "log")).ok());
  f.write("log/0", "y");
  REQUIRE(remove_instance(f.fs, f.root).ok());
  REQUIRE_FALSE(families::exists(f.fs, f.root).value());
  REQUIRE(remove_instance(f.fs, f.root).ok());
}

}  // namespace
}  // namespace qk::image
