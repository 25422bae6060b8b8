// crash_states(): what it lists is exactly what a crash may leave, within its bounds. Held against
// brute force: every subset of what is pending, at every instant.
#include "sim/disk/crash_states.h"

#include <catch2/catch.hpp>
#include <functional>
#include <set>

#include "families/fs/file_util.h"
#include "sim/disk/test_util.h"

namespace qk::sim {
namespace {

using families::FileSystem;
using families::SyncKind;

constexpr DiskOptions kSteady = {.latency = {10, 10, 100, 100, 1}};

// Runs at once; its operations are stamped one after the other.
SimDisk run_program(const std::function<void(FileSystem&)>& program) {
  SimDisk disk(kSteady, RandomStream(1, "disk"));
  const auto fs = disk.mount();
  program(*fs);
  return disk;
}

void write_three(FileSystem& fs) {
  auto file = fs.open("/f", {.create = true});
  must(file.status());
  must((*file)->write_at(0, std::string(512, 'a')));
  must((*file)->sync(SyncKind::kData));
  must((*file)->write_at(512, std::string(512, 'b')));
  must((*file)->write_at(0, std::string(512, 'c')));
  must(fs.rename("/f", "/g"));
}

void publish(FileSystem& fs) {
  must(fs.mkdir("/d"));
  must(families::write_file(fs, "/d/t", "new"));
  must(fs.rename("/d/t", "/d/current"));
  must(fs.sync_dir("/d", SyncKind::kFull));
  must(fs.unlink("/d/current"));
}

void overwrite(FileSystem& fs) {
  must(families::write_file(fs, "/f", std::string(4 * 512, 'a')));
  auto file = fs.open("/f", {});
  must(file.status());
  must((*file)->sync(SyncKind::kData));
  for (uint64_t sector = 0; sector < 4; ++sector) {
    must((*file)->write_at(sector * 512, std::string(512, 'b')));
  }
}

// Images that the walk over all instants comes to.
std::set<uint64_t> walked(const SimDisk& disk, const CrashBounds& bounds) {
  std::set<uint64_t> images;
  std::vector<Nanos> instants = disk.moments(-1, disk.busy_until());
  for (const Nanos at : instants) {
    for (const CrashState& state :
         crash_states(disk, at, CrashLevel::kP2, LastOperation::kExecuting, bounds)) {
      SimDisk crashed = disk.fork();
      Exactly choice(&state);
      crashed.crash(CrashLevel::kP2, at, choice);
      images.insert(crashed.image_hash());
    }
  }
  return images;
}

// Keeps or drops each operation as the bits of a number say.
class Subset final : public Choice {
 public:
  explicit Subset(uint64_t bits) : bits_(bits) {}
  std::vector<Fate> decide(std::span<const PendingOperation> pending) override {
    count = pending.size();
    std::vector<Fate> fates;
    for (size_t i = 0; i < pending.size(); ++i) {
      fates.push_back((bits_ >> i & 1) != 0 ? Fate::keep() : Fate::drop());
    }
    return fates;
  }
  uint32_t pick(uint32_t n) override { return n - 1; }
  size_t count = 0;

 private:
  uint64_t bits_;
};

std::set<uint64_t> all_subsets(const SimDisk& disk) {
  std::set<uint64_t> images;
  for (Nanos at = 0; at <= disk.busy_until(); ++at) {
    for (uint64_t bits = 0;; ++bits) {
      SimDisk crashed = disk.fork();
      Subset choice(bits);
      crashed.crash(CrashLevel::kP2, at, choice);
      images.insert(crashed.image_hash());
      if (bits + 1 >= uint64_t{1} << choice.count) break;
    }
  }
  return images;
}

TEST_CASE("with every omission allowed, the walk meets each subset of what is pending") {
  for (const auto& program : {write_three, publish, overwrite}) {
    const SimDisk disk = run_program(program);
    const std::set<uint64_t> every = all_subsets(disk);
    std::set<uint64_t> found = walked(disk, {.omit = 64});
    // An empty disk is the state before the first operation; the walk begins with that one.
    SimDisk empty(kSteady, RandomStream(1, "disk"));
    found.insert(empty.image_hash());
    for (const uint64_t image : every) CHECK(found.count(image) == 1);
    CHECK(every.size() > 5);
  }
}

TEST_CASE("each omission that is allowed makes more states") {
  const SimDisk disk = run_program(overwrite);
  std::vector<size_t> images;
  for (uint32_t omit = 0; omit < 4; ++omit) images.push_back(walked(disk, {.omit = omit}).size());
  // Of four sectors: prefixes and single ones, then all but one before the last, and so on.
  CHECK(images[0] < images[1]);
  CHECK(images[1] < images[2]);
  CHECK(images[3] == walked(disk, {.omit = 64}).size());
}

TEST_CASE("what is listed for one instant") {
  const SimDisk disk = run_program([](FileSystem& fs) {
    auto file = fs.open("/f", {.create = true});
    must(file.status());
    must((*file)->write_at(0, std::string(2048, 'a')));
  });
  // Pending: the name, the size, four sectors in one write.
  const auto states = [&](LastOperation last, uint32_t omit) {
    std::vector<std::string> texts;
    for (const CrashState& state :
         crash_states(disk, disk.busy_until() - 1, CrashLevel::kP2, last, {.omit = omit})) {
      texts.push_back(short_form(state.fates));
    }
    return texts;
  };
  CHECK(states(LastOperation::kExecuting, 0) ==
        std::vector<std::string>{"K2D", "KGD", "DKD", "K3", "K2T03", "K2T0c", "KGD", "D2K"});
  CHECK(states(LastOperation::kExecuting, 1) == std::vector<std::string>{"K2D", "KGD", "DKD", "K3",
                                                                         "K2T03", "K2T0c", "KGD",
                                                                         "DK2", "KDK", "D2K"});
  CHECK(states(LastOperation::kAny, 0) == std::vector<std::string>{"KD2", "K2D", "KGD", "DKD", "K3",
                                                                   "K2T03", "K2T0c", "KGD", "D2K",
                                                                   "D3"});
}

TEST_CASE("a process that dies leaves a part of one write") {
  const SimDisk disk = run_program([](FileSystem& fs) {
    auto file = fs.open("/f", {.create = true});
    must(file.status());
    must((*file)->write_at(0, std::string(2048, 'a')));
  });
  const auto moments = disk.moments(-1, disk.busy_until());
  REQUIRE(moments.size() == 2);
  CHECK(crash_states(disk, moments[0], CrashLevel::kP0, LastOperation::kExecuting, {}).size() == 2);
  CHECK(crash_states(disk, moments[1], CrashLevel::kP0, LastOperation::kExecuting, {}).size() == 5);
  CHECK(crash_states(disk, disk.busy_until(), CrashLevel::kP0, LastOperation::kAny, {}).size() ==
        1);
}

// Shows what another choice decides: for each operation D(ropped), K(ept), T(orn), G(arbage).
class Noting final : public Choice {
 public:
  explicit Noting(Choice* choice) : choice_(*choice) {}
  std::vector<Fate> decide(std::span<const PendingOperation> pending) override {
    std::vector<Fate> fates = choice_.decide(pending);
    noted.clear();
    for (size_t i = 0; i < fates.size(); ++i) {
      fates[i] = legal_fate(pending[i], fates[i]);
      noted += "DKTG"[static_cast<size_t>(fates[i].kind)];
    }
    return fates;
  }
  uint32_t pick(uint32_t n) override { return choice_.pick(n); }

  std::string noted;

 private:
  Choice& choice_;
};

void replace_without_sync(FileSystem& fs) {
  must(families::write_file(fs, "/f", "old"));
  must(fs.sync_dir("/", SyncKind::kFull));
  auto file = fs.open("/t", {.create = true});
  must(file.status());
  must((*file)->write_at(0, std::string(1024, 'n')));
  must(fs.rename("/t", "/f"));
}

// What runs with random crashes come to is among what is enumerated, up to which sectors of a torn
// write survive. Out of bounds is one class: a tear, or garbage, together with other omissions.
TEST_CASE("each class of states that a drawn crash leaves is enumerated") {
  std::set<std::string> beyond;
  for (const auto& program : {write_three, publish, overwrite, replace_without_sync}) {
    const SimDisk disk = run_program(program);
    std::vector<Nanos> instants = disk.moments(-1, disk.busy_until());
    instants.push_back(disk.busy_until());
    for (const Nanos at : instants) {
      std::set<std::string> listed;
      for (const CrashState& state :
           crash_states(disk, at, CrashLevel::kP2, LastOperation::kAny, {.omit = 64})) {
        Exactly exactly(&state);
        Noting noting(&exactly);
        SimDisk copy = disk.fork();
        copy.crash(CrashLevel::kP2, at, noting);
        listed.insert(noting.noted);
      }
      const auto draw = [&](Choice&& choice) {
        Noting noting(&choice);
        SimDisk copy = disk.fork();
        copy.crash(CrashLevel::kP2, at, noting);
        if (listed.count(noting.noted) > 0) return;
        INFO(noting.noted << " at " << at);
        CHECK(noting.noted.find_first_of("TG") != std::string::npos);
        CHECK(noting.noted.find('D') != std::string::npos);
        beyond.insert(noting.noted);
      };
      draw(DropAll());
      draw(KeepAll());
      {
        TornTail torn;
        Noting noting(&torn);
        SimDisk copy = disk.fork();
        copy.crash(CrashLevel::kP2, at, noting);
        INFO("TORN_TAIL: " << noting.noted << " at " << at);
        CHECK(listed.count(noting.noted) == 1);
      }
      for (uint64_t seed = 0; seed < 300; ++seed) draw(Sampled(RandomStream(seed, "choice")));
    }
  }
  CHECK_FALSE(beyond.empty());
}

}  // namespace
}  // namespace qk::sim
