// A family when the file system fails one call: at each mutating call of a history, and of creation
// and opening. An error is never a success and never silent: the store is in the state before or
// after, as the outcome says, and an indeterminate one ends its mutations.
//
// For families without partial outcomes.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "families/contract/test_util.h"
#include "families/fs/fault_file_system.h"
#include "families/fs/overlay_file_system.h"
#include "families/fs/posix_file_system.h"
#include "families/fs/temp_directory.h"

namespace qk::families {

// Opens the instance in `root`, or creates it.
using OpenForFaults =
    std::function<absl::StatusOr<std::unique_ptr<Family>>(FileSystem&, const std::string& root)>;

constexpr char kFreshState[] = "log 1..0\nterm 1 vote \nno snapshot\n";

inline std::vector<std::function<Outcome(Family&)>> fault_history() {
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
  explicit FaultRun(OpenForFaults opener) : opener_(std::move(opener)) {}

  absl::Status open(FileSystem& on) {
    family.reset();
    absl::StatusOr<std::unique_ptr<Family>> opened = opener_(on, root);
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
  const OpenForFaults opener_;
};

// Runs the history with a failure at mutating call `n`; false if it ends before that.
inline bool run_with_fault(const OpenForFaults& opener, const std::vector<std::string>& states,
                           uint64_t n) {
  using Kind = Outcome::Kind;
  FaultRun run(opener);
  REQUIRE_OK(run.open(run.faults));
  run.faults.fail_at(n);
  const auto steps = fault_history();
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

// Returns the number of calls that were failed.
inline uint64_t check_faults_in_history(const OpenForFaults& opener) {
  FaultRun clean(opener);
  REQUIRE_OK(clean.open(clean.fs));
  std::vector<std::string> states = {clean.state()};
  for (const auto& step : fault_history()) {
    REQUIRE_OK(step(*clean.family));
    states.push_back(clean.state());
  }
  uint64_t n = 1;
  while (run_with_fault(opener, states, n)) ++n;
  return n - 1;
}

// A failed creation or open is an error, and the next one succeeds. Returns as above.
inline uint64_t check_faults_in_creation(const OpenForFaults& opener) {
  uint64_t n = 0;
  for (bool reached = true; reached;) {
    ++n;
    CAPTURE(n);
    FaultRun run(opener);
    run.faults.fail_at(n);
    const absl::Status status = run.open(run.faults);
    reached = run.faults.failed();
    // An obstacle that an engine steps over is none.
    if (status.ok()) CHECK(run.state() == kFreshState);
    run.family.reset();
    run.faults.fail_at(0);
    REQUIRE_OK(run.open(run.faults));
    CHECK(run.state() == kFreshState);
  }
  return n - 1;
}

}  // namespace qk::families
