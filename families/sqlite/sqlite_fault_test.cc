// The sqlite family when the file system fails one call: at each mutating call of a history, in
// every journal mode. An error is never a success and never silent: the store is in the state
// before or after, as the outcome says, and an indeterminate one ends its mutations.
#include <functional>
#include <optional>

#include "families/fs/fault_file_system.h"
#include "families/fs/overlay_file_system.h"
#include "families/fs/posix_file_system.h"
#include "families/fs/temp_directory.h"
#include "families/sqlite/test_util.h"

namespace qk::families {
namespace {

using Kind = Outcome::Kind;

constexpr char kFresh[] = "log 1..0\nterm 1 vote \nno snapshot\n";

std::vector<std::function<Outcome(Family&)>> history() {
  return {
      [](Family& f) { return f.log().append(data_entries(1, 1, 1)); },
      [](Family& f) { return f.log().append(data_entries(2, 9, 1, 3000)); },
      [](Family& f) {
        return f.meta().save({2, "127.0.0.1:8100:0:0"});
      },
      [](Family& f) {
        return publish_snapshot(f, 5, 1, {{"a", "five"}, {"b/c", "x"}});
      },
      [](Family& f) { return f.log().truncate_prefix(4); },
      [](Family& f) { return f.log().truncate_suffix(7); },
      [](Family& f) {
        return publish_snapshot(f, 6, 1, {{"a", "six"}});
      },
      [](Family& f) { return f.log().reset(30); },
      [](Family& f) { return f.log().append(data_entries(30, 31, 2)); },
  };
}

class FaultRun {
 public:
  explicit FaultRun(FamilyOptions options) : options_(std::move(options)) {}

  absl::Status open(FileSystem& fs) {
    family.reset();
    absl::StatusOr<std::unique_ptr<Family>> opened = open_sqlite(fs, root, true, options_);
    QK_RETURN_IF_ERROR(opened.status());
    family = std::move(*opened);
    return absl::OkStatus();
  }
  std::string state() {
    const absl::StatusOr<std::string> state = describe(*family);
    REQUIRE_OK(state);
    return *state;
  }

  TempDirectory directory;
  PosixFileSystem disk;
  OverlayFileSystem fs{&disk};
  FaultFileSystem faults{&fs};
  const std::string root = cat(directory.path(), "/root");
  std::unique_ptr<Family> family;

 private:
  const FamilyOptions options_;
};

// Runs the history with a failure at mutating call `n`; false if it ends before that.
bool run_with_fault(const FamilyOptions& options, const std::vector<std::string>& states,
                    uint64_t n) {
  FaultRun run(options);
  REQUIRE_OK(run.open(run.faults));
  run.faults.fail_at(n);
  const auto steps = history();
  for (size_t i = 0; i < steps.size(); ++i) {
    CAPTURE(n, i);
    const Outcome outcome = steps[i](*run.family);
    INFO(status_text(outcome));
    if (!run.faults.failed()) {
      REQUIRE(outcome.ok());
      continue;
    }
    const std::string& before = states[i];
    const std::string& after = states[i + 1];
    const absl::StatusOr<std::string> served = describe(*run.family);
    if (served.ok()) CHECK(*served == (outcome.ok() ? after : before));
    if (outcome.kind() == Kind::kIndeterminate) {
      CHECK(run.family->meta().save({99, ""}).kind() == Kind::kFailedClean);
      CHECK_FALSE(run.family->snapshot().create().ok());
    }
    if (outcome.kind() == Kind::kFailedClean) REQUIRE_OK(steps[i](*run.family));
    run.family.reset();
    REQUIRE_OK(run.open(run.fs));
    const std::string recovered = run.state();
    if (outcome.kind() == Kind::kIndeterminate) {
      CHECK((recovered == before || recovered == after));
    } else {
      CHECK(recovered == after);
    }
    return true;
  }
  return false;
}

const std::vector<FamilyOptions> kJournals = {{{"checkpoint_frames", "8"}},
                                              {{"journal", "DELETE"}},
                                              {{"journal", "TRUNCATE"}, {"page_size", "1024"}}};

TEST_CASE("a failed call is before, after, or indeterminate, and never forgotten") {
  const FamilyOptions options = GENERATE(from_range(kJournals));
  CAPTURE(options.begin()->second);
  FaultRun clean(options);
  REQUIRE_OK(clean.open(clean.fs));
  std::vector<std::string> states = {clean.state()};
  for (const auto& step : history()) {
    REQUIRE_OK(step(*clean.family));
    states.push_back(clean.state());
  }
  uint64_t n = 1;
  while (run_with_fault(options, states, n)) ++n;
  CHECK(n > 60);
}

TEST_CASE("a failed creation or open is an error, and the next one succeeds") {
  const FamilyOptions options = GENERATE(from_range(kJournals));
  uint64_t n = 1;
  for (bool reached = true; reached; ++n) {
    CAPTURE(n);
    FaultRun run(options);
    run.faults.fail_at(n);
    const absl::Status status = run.open(run.faults);
    reached = run.faults.failed();
    // An obstacle that SQLite steps over is none.
    if (status.ok()) CHECK(run.state() == kFresh);
    run.family.reset();
    run.faults.fail_at(0);
    REQUIRE_OK(run.open(run.faults));
    CHECK(run.state() == kFresh);
  }
  CHECK(n > 15);
}

}  // namespace
}  // namespace qk::families
