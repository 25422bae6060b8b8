// MigratingMachine: for crash tests: a machine with one node under migration's controller, which
// migrates from one family to another, and stops at a disk operation that was pinned.
//
// State tracked: what was acknowledged (entries, hard state, snapshot), and the one mutation that
// was in flight.
#pragma once

#include <algorithm>
#include <catch2/catch.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "families/builtin.h"
#include "families/fs/file_util.h"
#include "families/sqlite/engine.h"
#include "migration/stepwise_runner.h"
#include "sim/disk/sim_disk.h"

namespace qk::sim {

using families::HardState;
using families::LogEntry;
using families::Mutation;
using migration::Controller;
using migration::Phase;

inline constexpr char kPeer[] = "127.0.0.1:8100:0:0";

// What the node may and must hold.
struct AckedState {
  int64_t first = 1;
  std::vector<LogEntry> entries;  // acknowledged
  HardState hard_state;
  int64_t snapshot = 0;

  int64_t last() const { return first + static_cast<int64_t>(entries.size()) - 1; }
  friend bool operator==(const AckedState&, const AckedState&) = default;
};

inline absl::StatusOr<AckedState> read_acked(families::Family& family) {
  AckedState state;
  state.first = family.log().first_index();
  state.hard_state = family.meta().hard_state();
  if (const auto snapshot = family.snapshot().current()) {
    state.snapshot = snapshot->last_included_index;
    QK_ASSIGN_OR_RETURN(const auto reader, family.snapshot().open());
    QK_ASSIGN_OR_RETURN(const auto file, reader->open_file("dir/data"));
    std::string bytes(64, '\0');
    QK_ASSIGN_OR_RETURN(const size_t got, file->read_at(0, bytes));
    bytes.resize(got);
    if (bytes != cat("state at ", state.snapshot)) {
      return absl::DataLossError(cat("snapshot ", state.snapshot, ": found \"", bytes, "\""));
    }
  }
  if (family.log().last_index() < state.first) return state;
  QK_RETURN_IF_ERROR(
      family.log().scan(state.first, family.log().last_index(), [&](const LogEntry& entry) {
        state.entries.push_back(entry);
        return absl::OkStatus();
      }));
  return state;
}

inline AckedState observe(families::Family& family) {
  const auto state = read_acked(family);
  INFO(state.status());
  REQUIRE(state.ok());
  return *state;
}

inline std::string describe(const AckedState& state) {
  return cat("log ", state.first, "..", state.last(), " term ", state.hard_state.term, " vote \"",
             state.hard_state.voted_for, "\" snapshot ", state.snapshot);
}

class MigratingMachine {
 public:
  using Mount = std::function<std::unique_ptr<families::FileSystem>(SimDisk&)>;
  // What a machine migrates, and what lies between its processes and its disk.
  struct Setting {
    migration::FamilyConfig from = {"local", "/node/local", {{"segment_size", "64KiB"}}};
    std::string to = "sqlite";
    size_t payload = 0;  // bytes of an entry, at least
    Mount mount = [](SimDisk& disk) { return disk.mount(); };
    // Called when a call of the machine waits for its disk, and again when it is done.
    std::function<void(MigratingMachine&)> watch = [](MigratingMachine&) {};
  };

  MigratingMachine() : MigratingMachine(Setting()) {}
  explicit MigratingMachine(Setting setting)
      : setting_(std::move(setting)),
        disk_(DiskOptions{.latency = {1000, 1000, 1000, 1000}}, RandomStream(1, "disk")) {
    families::sqlite_reset_for_run(1);
  }
  // Another machine with this disk, a fork of the other's, on which no process runs.
  MigratingMachine(const MigratingMachine& other, SimDisk disk, Mount mount)
      : setting_{other.setting_.from, other.setting_.to, other.setting_.payload, std::move(mount)},
        disk_(std::move(disk)),
        random_(other.random_),
        acked_(other.acked_),
        after_(other.after_),
        opened_(other.opened_),
        attempt_(other.attempt_) {}

  // A machine with this one's disk as it is now, on which no process runs.
  std::unique_ptr<MigratingMachine> fork() const {
    return std::make_unique<MigratingMachine>(*this, disk_.fork(), setting_.mount);
  }

  SimDisk& disk() { return disk_; }
  families::FileSystem& fs() { return *fs_; }
  Controller* controller() { return &runner_->controller(); }
  const AckedState& acked() const { return acked_; }
  bool stopped() const { return stopped_; }
  bool is_open() const { return runner_ != nullptr; }

  // Starts a process. An error if the pinned operation was inside.
  absl::Status try_open() {
    runner_.reset();
    fs_ = setting_.mount(disk_);
    migration::ControllerOptions options;
    options.fs = fs_.get();
    options.registry = &registry_;
    options.node_dir = "/node";
    options.group_id = "g";
    options.peer_id = kPeer;
    options.initial = setting_.from;
    options.create = !opened_;
    options.now = [this] { return disk_.now(); };
    options.random = [this] { return random_.next(); };
    options.step_entries = 3;
    auto opened = migration::StepwiseRunner::open(options, nullptr, [this] { return !settle(); });
    if (stopped_) return absl::AbortedError("the machine stopped");
    QK_ASSIGN_OR_RETURN(runner_, std::move(opened));
    opened_ = true;
    return settle() ? absl::AbortedError("the machine stopped") : absl::OkStatus();
  }

  // Each returns false once the machine has stopped: the pinned operation was inside the call.
  bool open() {
    const absl::Status opened = try_open();
    if (stopped_) return false;
    INFO(opened);
    REQUIRE(opened.ok());
    return true;
  }

  bool apply(Mutation mutation, const AckedState& after) {
    after_ = after;
    const families::Outcome outcome = controller()->driver().apply(std::move(mutation));
    if (settle()) return false;
    INFO(outcome.status());
    REQUIRE(outcome.ok());
    acked_ = after;
    after_.reset();
    setting_.watch(*this);
    return true;
  }

  bool append(int count) {
    AckedState next = acked_;
    std::vector<LogEntry> entries;
    for (int i = 0; i < count; ++i) {
      LogEntry entry;
      entry.index = next.last() + 1;
      entry.term = next.hard_state.term;
      entry.payload = cat("entry ", entry.index, " of attempt ", ++attempt_);
      entry.payload.resize(std::max(entry.payload.size(), setting_.payload), '.');
      entries.push_back(entry);
      next.entries.push_back(entry);
    }
    return apply(Mutation::append(std::move(entries)), next);
  }

  bool vote(int64_t term) {
    AckedState next = acked_;
    next.hard_state = {term, kPeer};
    return apply(Mutation::save_meta(next.hard_state), next);
  }

  bool truncate_suffix(int count) {
    AckedState next = acked_;
    next.entries.resize(next.entries.size() - count);
    return apply(Mutation::truncate_suffix(next.last()), next);
  }

  bool truncate_prefix(int64_t first) {
    AckedState next = acked_;
    next.entries.erase(next.entries.begin(), next.entries.begin() + (first - next.first));
    next.first = first;
    return apply(Mutation::truncate_prefix(first), next);
  }

  bool publish() {
    AckedState next = acked_;
    next.snapshot = acked_.last();
    auto writer = controller()->driver().create_snapshot();
    if (settle()) return false;
    REQUIRE(writer.ok());
    const auto fill = [&]() -> absl::Status {
      QK_ASSIGN_OR_RETURN(auto file, (*writer)->create_file("dir/data"));
      QK_RETURN_IF_ERROR(file->write_at(0, cat("state at ", next.snapshot)));
      QK_RETURN_IF_ERROR((*writer)->add_file("dir/data", {}));
      families::SnapshotMeta meta;
      meta.last_included_index = next.snapshot;
      meta.last_included_term = acked_.entries.back().term;
      meta.peers = {kPeer};
      return (*writer)->save_meta(meta);
    };
    const absl::Status filled = fill();
    if (settle()) return false;
    REQUIRE(filled.ok());
    return apply(Mutation::publish(std::move(*writer)), next);
  }

  bool step(bool* taken) {
    const absl::StatusOr<bool> stepped = runner_->step();
    if (stopped_) return false;
    INFO(stepped.status());
    REQUIRE(stepped.ok());
    *taken = *stepped;
    if (*taken) setting_.watch(*this);
    return true;
  }

  // Takes one step, and asks before for whatever leads on if the present phase needs none.
  bool advance() {
    bool taken = false;
    if (!step(&taken)) return false;
    if (!taken) {
      absl::Status status;
      switch (controller()->phase()) {
        case Phase::kIdle:
        case Phase::kRolledBack: {
          migration::MigrationRequest request;
          request.family = setting_.to;
          request.fresh_mutations = 100;
          request.fresh_time_ns = kSecond;
          status = controller()->request_start(request);
          if (settle()) return false;
          break;
        }
        case Phase::kDualWrite:
          status = controller()->request_validation();
          break;
        case Phase::kCutoverValidated:
          status = controller()->request_cutover();
          break;
        case Phase::kAccepted:
          status = controller()->request_retire();
          break;
        case Phase::kCutOver:
          if (!controller()->manifest().probe_restart_ok) return open();
          status = controller()->request_accept();
          break;
        default:
          FAIL("nothing to do in phase " << to_string(controller()->phase()));
      }
      INFO(status);
      REQUIRE(status.ok());
      if (!step(&taken)) return false;
      REQUIRE(taken);
    }
    return true;
  }

  bool roll_back() {
    REQUIRE(controller()->request_rollback("asked").ok());
    bool taken = true;
    while (controller()->phase() != Phase::kRolledBack) {
      if (!step(&taken)) return false;
      REQUIRE(taken);
    }
    return true;
  }

  void crash(CrashLevel level, Choice& choice) {
    disk_.crash(level, std::max(disk_.pinned_crash().value_or(0), disk_.now()), choice);
    disk_.clear_pin();
    runner_.reset();
    stopped_ = false;
  }

  // After a crash: the acknowledged state, or that with the open mutation applied; a batch may have
  // been cut between entries.
  bool is_legal(const AckedState& found) const {
    if (found == acked_ || (after_ && found == *after_)) return true;
    if (!after_ || after_->entries.size() <= acked_.entries.size()) return false;
    AckedState prefix = *after_;
    prefix.entries.resize(std::min(found.entries.size(), prefix.entries.size()));
    return found == prefix && found.entries.size() >= acked_.entries.size();
  }

  // What is there after a crash is what was acknowledged from now on.
  void adopt() {
    const AckedState found = observe(controller()->driver().authority());
    INFO("found " << describe(found) << "; acked " << describe(acked_));
    REQUIRE(is_legal(found));
    acked_ = found;
    after_.reset();
  }

 private:
  // Waits for the disk. True: the pinned operation was inside.
  bool settle() {
    if (disk_.pinned_crash()) {
      stopped_ = true;
      return true;
    }
    setting_.watch(*this);
    disk_.set_now(disk_.busy_until());
    return false;
  }

  const Setting setting_;
  families::VolatileMemory memory_{1};
  families::Registry registry_ = families::builtin_families(&memory_);
  SimDisk disk_;
  RandomStream random_{7, "ids"};
  std::unique_ptr<families::FileSystem> fs_;
  std::unique_ptr<migration::StepwiseRunner> runner_;
  AckedState acked_;
  std::optional<AckedState> after_;
  bool opened_ = false;
  bool stopped_ = false;
  int attempt_ = 0;
};

inline SimDisk& disk_of(MigratingMachine& machine) { return machine.disk(); }

// Every kind of mutation in every phase, and every transition from idle to accepted. Returns false
// if the machine stopped in it.
inline bool migrate(MigratingMachine& machine) {
  if (!machine.open() || !machine.vote(2) || !machine.append(8)) return false;
  if (!machine.publish() || !machine.append(2)) return false;
  int round = 0;
  while (!migration::is_dual(machine.controller()->phase())) {
    if (!machine.advance()) return false;
    switch (round++ % 6) {
      case 0:
        if (!machine.append(2)) return false;
        break;
      case 2:
        if (!machine.vote(machine.acked().hard_state.term + 1)) return false;
        break;
      case 5:
        // Below what the export copies, so that the cut holds.
        if (machine.controller()->phase() == Phase::kBootstrapping && !machine.truncate_suffix(1)) {
          return false;
        }
        break;
      default:
        break;
    }
  }
  if (!machine.append(3) || !machine.truncate_suffix(2) || !machine.append(2)) return false;
  if (!machine.vote(machine.acked().hard_state.term + 1)) return false;
  if (!machine.publish() || !machine.append(1)) return false;
  if (!machine.truncate_prefix(machine.acked().snapshot - 1)) return false;
  while (machine.controller()->phase() != Phase::kAccepted) {
    if (!machine.advance() || !machine.append(1)) return false;
  }
  return machine.append(1) && machine.open();
}

}  // namespace qk::sim
