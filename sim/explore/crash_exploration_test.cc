// What is taken for alike, and the records of units. What is explored is held by
// crash_exploration_test.sh, because worlds are processes.
#include "sim/explore/crash_exploration.h"

#include <catch2/catch.hpp>

#include "families/fs/file_util.h"
#include "sim/explore/look_tree.h"

namespace qk::sim {
namespace {

constexpr DiskOptions kQuick = {.latency = {10, 10, 100, 100, 1}};

// What a power cut leaves: "/head" says how many bytes of "/body" count.
SimDisk state_of(const std::string& head, const std::string& body) {
  SimDisk disk(kQuick, RandomStream(1, "disk"));
  const auto fs = disk.mount();
  REQUIRE(families::write_file(*fs, "/head", head).ok());
  REQUIRE(families::write_file(*fs, "/body", body).ok());
  KeepAll all;
  disk.crash(CrashLevel::kP2, disk.busy_until() + 1, all);
  return disk;
}

// Reads the head, and of the body as many bytes as that says. Returns what it looked at.
std::vector<DiskLook> start(const SimDisk& state) {
  SimDisk disk = state.fork();
  DiskLooks looks;
  disk.note_looks(&looks);
  const auto fs = disk.mount();
  const auto head = families::read_file(*fs, "/head", 100);
  REQUIRE(head.ok());
  auto body = fs->open("/body", {});
  REQUIRE(body.ok());
  std::string bytes(std::stoul(*head), '\0');
  REQUIRE((*body)->read_at(0, bytes).ok());
  disk.note_looks(nullptr);
  return looks.in_order();
}

std::string pages(char first, char second) {
  return std::string(4096, first) + std::string(4096, second);
}

TEST_CASE("a state that differs only in what no start looked at is alike") {
  const SimDisk one = state_of("4096", pages('a', 'b'));
  LookTree tree;
  CHECK_FALSE(tree.find(one));
  tree.add(one, start(one), 7);
  CHECK(tree.find(one) == 7);
  CHECK(tree.find(state_of("4096", pages('a', 'x'))) == 7);

  CHECK_FALSE(tree.find(state_of("4096", pages('x', 'b'))));        // read
  CHECK_FALSE(tree.find(state_of("4097", pages('a', 'b'))));        // another start
  CHECK_FALSE(tree.find(state_of("4096", pages('a', 'b') + "c")));  // its size is looked at
}

TEST_CASE("starts that go on in different ways are told apart") {
  const SimDisk one_page = state_of("4096", pages('a', 'b'));
  const SimDisk two_pages = state_of("8192", pages('a', 'b'));
  LookTree tree;
  tree.add(one_page, start(one_page), 1);
  tree.add(two_pages, start(two_pages), 2);
  CHECK(tree.find(state_of("4096", pages('a', 'x'))) == 1);
  CHECK(tree.find(two_pages) == 2);
  CHECK_FALSE(tree.find(state_of("8192", pages('a', 'x'))));
}

TEST_CASE("what a process crash left pending is told apart by a look at its file") {
  const auto crashed = [](const std::string& second, bool synced) {
    SimDisk disk(kQuick, RandomStream(1, "disk"));
    const auto fs = disk.mount();
    auto file = fs->open("/head", {.create = true});
    REQUIRE(file.ok());
    REQUIRE((*file)->write_at(0, "10").ok());
    REQUIRE(families::write_file(*fs, "/body", second).ok());
    if (synced) REQUIRE((*file)->sync(families::SyncKind::kFull).ok());
    KeepAll all;
    disk.crash(CrashLevel::kP0, disk.busy_until() + 1, all);
    return disk;
  };
  const SimDisk pending = crashed("0123456789", false);
  LookTree tree;
  tree.add(pending, start(pending), 1);
  CHECK(tree.find(pending) == 1);
  CHECK_FALSE(tree.find(crashed("0123456789", true)));
}

ExploredUnit a_unit() {
  ExploredUnit unit;
  unit.variant = 3;
  unit.number = 12;
  unit.phase = PhaseCode::kDual;
  unit.counts.instants = 1;
  unit.counts.violations = 2;
  unit.faults = {{"P0", 4}, {"nested P2", 5}};
  unit.findings = {{.oracle = "ora.L1",
                    .name = "durable",
                    .phase = "DUAL",
                    .level = CrashLevel::kP0,
                    .expected = "entry 4",
                    .actual = "nothing",
                    .scenario = "name: \"x\"\n",
                    .times = 2}};
  return unit;
}

TEST_CASE("the record of a unit is one line, and says all of it") {
  const std::string line = to_line(a_unit());
  CHECK(line.find('\n') == line.size() - 1);
  const auto read = parse_unit(line);
  REQUIRE(read.ok());
  CHECK(to_line(*read) == line);
  CHECK(read->variant == 3);
  CHECK(read->number == 12);
  CHECK(read->phase == PhaseCode::kDual);
  CHECK(read->counts.violations == 2);
  CHECK(read->faults.at("nested P2") == 5);
  REQUIRE(read->findings.size() == 1);
  CHECK(read->findings[0].level == CrashLevel::kP0);
  CHECK(read->findings[0].scenario == "name: \"x\"\n");
}

TEST_CASE("a damaged record is an error that says what is wrong") {
  const std::string line = to_line(a_unit());
  // Whatever one byte says instead, it is read or refused, never more.
  for (size_t i = 0; i < line.size(); ++i) {
    for (const char byte : {'\0', '"', '9', '[', '-'}) {
      std::string damaged = line;
      damaged[i] = byte;
      const auto read = parse_unit(damaged);
      if (!read.ok()) CHECK(absl::IsDataLoss(read.status()));
    }
    CHECK((i + 2 > line.size() - 1 || !parse_unit(line.substr(0, i)).ok()));
  }
}

TEST_CASE("a summary does not depend on which units share a finding") {
  ExploredUnit first = a_unit();
  ExploredUnit second = a_unit();
  second.number = 13;
  second.findings[0].scenario = "name: \"y\"\n";
  const ExplorationSummary summary = summarize({{12, first}, {13, second}});
  REQUIRE(summary.findings.size() == 1);
  CHECK(summary.findings[0].times == 4);
  CHECK(summary.findings[0].scenario == "name: \"x\"\n");
  CHECK(summary.counts.at(PhaseCode::kDual).violations == 4);
  CHECK(summary.faults.at(PhaseCode::kDual).at("P0") == 8);
}

}  // namespace
}  // namespace qk::sim
