// A catch-up: bounded steps, and the same state as the primary's at the end.
#include "migration/catch_up.h"

#include <catch2/catch.hpp>

#include "families/builtin.h"
#include "families/contract/volatile_memory.h"
#include "families/fs/file_util.h"
#include "families/fs/posix_file_system.h"
#include "families/fs/temp_directory.h"
#include "families/testing/util.h"

namespace qk::migration {
namespace {

using families::data_entries;
using families::Mutation;

constexpr CatchUp::Limits kEverything{uint64_t{1} << 40, int64_t{1} << 40};

// A primary whose mutations queue up for a target, both of family local.
struct Node {
  explicit Node(size_t max_queued = 1000, uint64_t max_bytes = 1 << 20) {
    primary = open("primary");
    target = open("target");
    driver = std::make_unique<NodeDriver>(primary.get(), 0);
    driver->begin_queue(max_queued, max_bytes);
    catch_up = std::make_unique<CatchUp>(driver.get(), target.get(), [this] { return now++; });
  }
  std::unique_ptr<families::Family> open(std::string_view name) {
    families::OpenRequest request;
    request.fs = &fs;
    request.root = families::join_path(directory.path(), name);
    request.create = true;
    auto opened = families::open_family(registry, "local", request);
    REQUIRE_OK(opened);
    return *std::move(opened);
  }
  void apply(Mutation mutation) { REQUIRE_OK(driver->apply(std::move(mutation))); }
  // One entry of 100 bytes.
  void append(int64_t index) { apply(Mutation::append({families::data_entry(index, 1, bytes)})); }
  void publish(int64_t index, const std::map<std::string, std::string>& files) {
    auto writer = driver->create_snapshot();
    REQUIRE_OK(writer);
    REQUIRE_OK((*writer)->save_meta({index, 1, {"127.0.0.1:8100:0:0"}, {}}));
    for (const auto& [path, content] : files) {
      REQUIRE_OK(families::fill_file(**writer, path, content));
    }
    apply(Mutation::publish(*std::move(writer)));
  }
  void check_equal() {
    CHECK(driver->queue_size() == 0);
    CHECK(driver->queued_bytes() == 0);
    CHECK(*families::describe(*primary) == *families::describe(*target));
  }
  int64_t last() { return target->log().last_index(); }

  families::PosixFileSystem fs;
  families::TempDirectory directory;
  families::VolatileMemory memory{1};
  const families::Registry registry = families::builtin_families(&memory);
  const std::string bytes = std::string(100, 'x');
  int64_t now = 0;
  std::unique_ptr<families::Family> primary;
  std::unique_ptr<families::Family> target;
  std::unique_ptr<NodeDriver> driver;
  std::unique_ptr<CatchUp> catch_up;
};

TEST_CASE("catch-up: consecutive appends are one, as far as the bytes of a step go") {
  Node node;
  for (int64_t i = 1; i <= 10; ++i) node.append(i);
  // Three fit; what is left of the bytes takes one more, because a step always does something.
  REQUIRE_OK(node.catch_up->step({350, 1000}));
  CHECK(node.last() == 4);
  CHECK(node.driver->queue_size() == 6);
  CHECK(node.driver->queued_bytes() == 600);
  REQUIRE_OK(node.catch_up->step({1, 1000}));
  CHECK(node.last() == 5);
  node.now = 0;
  REQUIRE_OK(node.catch_up->step(kEverything));
  CHECK(node.now == 2);  // the clock was looked at for the begin, and after one piece
  node.check_equal();
}

TEST_CASE("catch-up: a batch that is longer than a step is replayed in parts") {
  Node node;
  std::vector<families::LogEntry> batch;
  for (int64_t i = 1; i <= 10; ++i) batch.push_back(families::data_entry(i, 1, node.bytes));
  node.apply(Mutation::append(batch));
  node.append(11);
  REQUIRE_OK(node.catch_up->step({200, 1000}));
  CHECK(node.last() == 2);
  CHECK(node.driver->queue_size() == 2);
  REQUIRE_OK(node.catch_up->step({200, 1000}));
  CHECK(node.last() == 4);
  // Entries that came to the end of the queue in the meantime follow in their turn.
  node.append(12);
  REQUIRE_OK(node.catch_up->step({800, 1000}));
  CHECK(node.last() == 12);
  node.check_equal();
}

TEST_CASE("catch-up: no piece begins when the time of a step is over") {
  Node node;
  node.append(1);
  for (int64_t i = 2; i <= 9; ++i) node.apply(Mutation::save_meta({i, ""}));
  // Every look at the clock is one nanosecond: the append and three saves.
  REQUIRE_OK(node.catch_up->step({1000, 4}));
  CHECK(node.driver->queue_size() == 5);
  REQUIRE_OK(node.catch_up->step({1000, 0}));
  CHECK(node.driver->queue_size() == 4);
}

TEST_CASE("catch-up: a snapshot is copied in pieces, and never under the barrier") {
  Node node;
  node.append(1);
  node.publish(1, {{"data", std::string(200'000, 'd')}, {"empty", ""}, {"sub/more", "m"}});
  node.append(2);
  CHECK_FALSE(node.catch_up->nearly_done(16, 1 << 20));
  int steps = 0;
  while (node.driver->queue_size() > 1) {
    REQUIRE_OK(node.catch_up->step({1000, 0}));
    REQUIRE(++steps < 100);
    // Whole, or not there at all.
    CHECK(node.target->snapshot().current().has_value() == (node.driver->queue_size() < 2));
  }
  CHECK(steps > 3);
  CHECK(node.catch_up->nearly_done(16, 1 << 20));
  CHECK_FALSE(node.catch_up->nearly_done(0, 1 << 20));
  CHECK_FALSE(node.catch_up->nearly_done(16, 99));
  REQUIRE_OK(node.catch_up->drain());
  node.check_equal();
}

TEST_CASE("catch-up: whatever the size of its steps, the target becomes what the primary is") {
  for (const uint64_t bytes : {1, 150, 1000, 100'000}) {
    Node node;
    node.apply(Mutation::append(data_entries(1, 40, 1, 90)));
    node.apply(Mutation::save_meta({2, "127.0.0.1:8100:0:0"}));
    node.apply(Mutation::truncate_suffix(30));
    node.apply(Mutation::append(data_entries(31, 60, 2, 90)));
    node.apply(Mutation::append({}));
    node.publish(50, {{"data", std::string(70'000, 'd')}});
    node.apply(Mutation::truncate_prefix(45));
    node.apply(Mutation::append(data_entries(61, 62, 2)));
    node.publish(62, {});
    node.apply(Mutation::reset(70));
    node.apply(Mutation::append(data_entries(70, 75, 3)));
    while (node.driver->queue_size() > 0) REQUIRE_OK(node.catch_up->step({bytes, 1000}));
    INFO("steps of " << bytes << " bytes");
    node.check_equal();
  }
}

TEST_CASE("catch-up: the queue is bounded in mutations and in bytes") {
  Node few(3);
  for (int64_t i = 1; i <= 3; ++i) few.append(i);
  CHECK_FALSE(few.driver->overflowed());
  few.append(4);
  CHECK(few.driver->overflowed());
  CHECK(few.driver->queue_size() == 0);
  CHECK(few.driver->queued_bytes() == 0);

  Node small(1000, 250);
  small.append(1);
  small.append(2);
  CHECK_FALSE(small.driver->overflowed());
  small.append(3);
  CHECK(small.driver->overflowed());
  CHECK(small.driver->queued_bytes() == 0);
}

}  // namespace
}  // namespace qk::migration
