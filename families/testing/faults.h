// A family when the file system fails one call: at each mutating call of a history, and of creation
// and opening. An error is never a success and never silent: the store is in the state before or
// after, as the outcome says, and an indeterminate one ends its mutations.
//
// For families without partial outcomes. check_faults_in_open() and check_lost_files() serve the
// others as well: they look at opens only.
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "families/fs/fault_file_system.h"
#include "families/fs/overlay_file_system.h"
#include "families/fs/posix_file_system.h"
#include "families/fs/temp_directory.h"
#include "families/testing/util.h"

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
    // An obstacle that an engine steps over is not one.
    if (status.ok()) CHECK(run.state() == kFreshState);
    run.family.reset();
    run.faults.fail_at(0);
    REQUIRE_OK(run.open(run.faults));
    CHECK(run.state() == kFreshState);
  }
  return n - 1;
}

// A history that fills several pages, blocks and logs, with entries larger than a log's block.
inline void fill_for_open(Family& family) {
  for (int64_t i = 1; i <= 3; ++i) {
    REQUIRE_OK(family.log().append(data_entries(i, i, 1, 40 << 10)));
    while (family.pending_work() > 0) REQUIRE_OK(family.run_one());
  }
  REQUIRE_OK(publish_snapshot(family, 2, 1, {{"a", "two"}, {"b/c", "x"}}));
  REQUIRE_OK(family.meta().save({2, "127.0.0.1:8100:0:0"}));
  for (int64_t i = 4; i <= 6; ++i) {
    REQUIRE_OK(family.log().append(data_entries(i, i, 2, 40 << 10)));
  }
  REQUIRE_OK(family.log().append(data_entries(7, 14, 2, 3000)));
  REQUIRE_OK(family.meta().save({3, "127.0.0.1:8101:0:0"}));
  REQUIRE_OK(family.log().append(data_entries(15, 15, 3)));
}

// Opens with one failure: an error that tells of the failed call and does not call it damage, or
// the whole state. Afterwards, without a failure, the whole state. False: the open has no such
// call.
inline bool open_with_fault(const OpenForFaults& opener, FileSystem& lower, const std::string& root,
                            const std::string& whole,
                            const std::function<void(FaultFileSystem&)>& set_fault) {
  OverlayFileSystem copy(&lower);
  FaultFileSystem faults(&copy);
  set_fault(faults);
  {
    const absl::StatusOr<std::unique_ptr<Family>> opened = opener(faults, root);
    if (!faults.failed()) return false;
    CAPTURE(faults.failed_call());
    INFO(status_text(opened));
    if (opened.ok()) {
      const absl::StatusOr<std::string> state = describe(**opened);
      REQUIRE_OK(state);
      CHECK((*state == whole));
    } else {
      CHECK(opened.status().message().find("injected: ") != absl::string_view::npos);
      CHECK_FALSE(absl::IsDataLoss(opened.status()));
      CHECK_FALSE(absl::IsNotFound(opened.status()));
    }
  }
  CAPTURE(faults.failed_call());
  const absl::StatusOr<std::unique_ptr<Family>> again = opener(copy, root);
  REQUIRE_OK(again);
  const absl::StatusOr<std::string> state = describe(**again);
  REQUIRE_OK(state);
  CHECK((*state == whole));
  return true;
}

// Fails each call of an open once, looks and mutations, of an instance that a killed process left
// and of one that was closed. Returns the number of calls that were failed.
inline uint64_t check_faults_in_open(const OpenForFaults& opener) {
  uint64_t failed = 0;
  for (const bool closed : {false, true}) {
    FaultRun run(opener);
    REQUIRE_OK(run.open(run.fs));
    fill_for_open(*run.family);
    const std::string whole = run.state();
    if (closed) run.family.reset();
    const auto each = [&](const std::function<void(FaultFileSystem&, uint64_t)>& set_fault) {
      uint64_t n = 1;
      for (bool reached = true; reached; ++n) {
        CAPTURE(closed, n);
        reached = open_with_fault(opener, run.fs, run.root, whole,
                                  [&](FaultFileSystem& faults) { set_fault(faults, n); });
        failed += reached ? 1 : 0;
      }
    };
    for (const int error : {EIO, EINVAL}) {
      each([&](FaultFileSystem& faults, uint64_t n) { faults.fail_look_at(n, {.error = error}); });
    }
    for (const auto effect : {Fault::Effect::kNone, Fault::Effect::kPart, Fault::Effect::kAll}) {
      each([&](FaultFileSystem& faults, uint64_t n) { faults.fail_at(n, {.effect = effect}); });
    }
  }
  return failed;
}

// Takes each file of a killed instance and of a closed one away, or all but its first few bytes: an
// error that is not "there is none", or the whole state; never an older one. Returns the names of
// the files whose loss is an error.
inline std::set<std::string> check_lost_files(const OpenForFaults& opener) {
  std::set<std::string> noticed;
  for (const bool closed : {false, true}) {
    FaultRun run(opener);
    REQUIRE_OK(run.open(run.fs));
    fill_for_open(*run.family);
    const std::string whole = run.state();
    if (closed) run.family.reset();
    const absl::StatusOr<std::vector<std::string>> names = list_tree(run.fs, run.root);
    REQUIRE_OK(names);
    for (const std::string& name : *names) {
      for (const int left : {-1, 0, 1, 32, 40}) {
        CAPTURE(closed, name, left);
        OverlayFileSystem copy(&run.fs);
        const std::string path = join_path(run.root, name);
        if (left < 0) {
          REQUIRE_OK(copy.unlink(path));
        } else {
          if (copy.stat(path)->size <= static_cast<uint64_t>(left)) continue;
          REQUIRE_OK((*copy.open(path, {}))->truncate(static_cast<uint64_t>(left)));
        }
        const absl::StatusOr<std::unique_ptr<Family>> opened = opener(copy, run.root);
        const absl::StatusOr<std::string> state =
            opened.ok() ? describe(**opened) : absl::StatusOr<std::string>(opened.status());
        INFO(status_text(state));
        if (state.ok()) {
          CHECK((*state == whole));
        } else {
          noticed.insert(name);
          CHECK(absl::IsDataLoss(state.status()));
        }
      }
    }
    // What is left of an instance is never a fresh one.
    for (const std::string& kept : *names) {
      if (kept.find("lock") != kept.npos) continue;
      CAPTURE(closed, kept);
      OverlayFileSystem copy(&run.fs);
      for (const std::string& name : *names) {
        if (name != kept) REQUIRE_OK(copy.unlink(join_path(run.root, name)));
      }
      const absl::StatusOr<std::unique_ptr<Family>> opened = opener(copy, run.root);
      if (!opened.ok()) continue;
      const absl::StatusOr<std::string> state = describe(**opened);
      if (state.ok()) CHECK(*state != kFreshState);
    }
  }
  return noticed;
}

}  // namespace qk::families
