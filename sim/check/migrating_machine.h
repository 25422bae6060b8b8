// MigratingMachine: for crash tests: a machine with one node under migration's controller, which
// migrates from local to sqlite, and stops at a disk operation that was pinned.
//
// State tracked: what was acknowledged (entries, hard state, snapshot), and the one mutation that
// was in flight.
#pragma once

#include <algorithm>
#include <catch2/catch.hpp>
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

inline AckedState observe(families::Family& family) {
  AckedState model;
  model.first = family.log().first_index();
  model.hard_state = family.meta().hard_state();
  if (const auto snapshot = family.snapshot().current()) {
    model.snapshot = snapshot->last_included_index;
    const auto reader = family.snapshot().open();
    REQUIRE(reader.ok());
    const auto file = (*reader)->open_file("dir/data");
    REQUIRE(file.ok());
    std::string bytes(64, '\0');
    const auto got = (*file)->read_at(0, bytes);
    REQUIRE(got.ok());
    CHECK(bytes.substr(0, *got) == cat("state at ", model.snapshot));
  }
  if (family.log().last_index() < model.first) return model;
  const auto scanned =
      family.log().scan(model.first, family.log().last_index(), [&](const LogEntry& entry) {
        model.entries.push_back(entry);
        return absl::OkStatus();
      });
  REQUIRE(scanned.ok());
  return model;
}

class MigratingMachine {
 public:
  MigratingMachine()
      : disk_(DiskOptions{.latency = {1000, 1000, 1000, 1000}}, RandomStream(1, "disk")) {
    families::sqlite_reset_for_run(1);
  }

  SimDisk& disk() { return disk_; }
  families::FileSystem& fs() { return *fs_; }
  Controller* controller() { return &runner_->controller(); }
  const AckedState& acked() const { return acked_; }
  bool stopped() const { return stopped_; }

  // Each returns false once the machine has stopped: the pinned operation was inside the call.
  bool open() {
    runner_.reset();
    fs_ = disk_.mount();
    migration::ControllerOptions options;
    options.fs = fs_.get();
    options.registry = &registry_;
    options.node_dir = "/node";
    options.group_id = "g";
    options.peer_id = kPeer;
    options.initial = {"local", "/node/local", {{"segment_size", "64KiB"}}};
    options.create = !opened_;
    options.now = [this] { return disk_.now(); };
    options.random = [this] { return random_.next(); };
    options.step_entries = 3;
    auto opened = migration::StepwiseRunner::open(options, nullptr, [this] { return !settle(); });
    if (stopped_) return false;
    INFO(opened.status());
    REQUIRE(opened.ok());
    runner_ = std::move(*opened);
    opened_ = true;
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
          request.family = "sqlite";
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

  void crash(CrashLevel level, Choice& choice) {
    disk_.crash(level, std::max(*disk_.pinned_crash(), disk_.now()), choice);
    disk_.clear_pin();
    runner_.reset();
    stopped_ = false;
  }

  // The state after a crash is the acknowledged one, or that with the open mutation applied; a
  // batch may have been cut between entries. It is the acknowledged one from now on.
  void adopt() {
    const AckedState found = observe(controller()->driver().authority());
    bool legal = found == acked_ || (after_ && found == *after_);
    if (!legal && after_ && after_->entries.size() > acked_.entries.size()) {
      AckedState prefix = *after_;
      prefix.entries.resize(std::min(found.entries.size(), prefix.entries.size()));
      legal = found == prefix && found.entries.size() >= acked_.entries.size();
    }
    INFO("found log " << found.first << ".." << found.last() << " term " << found.hard_state.term
                      << " snapshot " << found.snapshot << "; acked " << acked_.first << ".."
                      << acked_.last() << " term " << acked_.hard_state.term << " snapshot "
                      << acked_.snapshot);
    REQUIRE(legal);
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
    disk_.set_now(disk_.busy_until());
    return false;
  }

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

// Every kind of mutation in every phase, and every transition from idle to accepted. Returns false
// if the machine stopped in it.
inline bool migrate(MigratingMachine& machine) {
  if (!machine.open() || !machine.vote(2) || !machine.append(8)) return false;
  if (!machine.publish() || !machine.append(2)) return false;
  int round = 0;
  while (machine.controller()->phase() < Phase::kDualWrite) {
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
