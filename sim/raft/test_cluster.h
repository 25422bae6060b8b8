// A cluster of nodes in one process for tests: virtual time, a network that delays, loses and
// reorders, storage calls that end later, families on file systems in memory.
//
// It checks while it runs: one leader per term, one command per index, no grant and no message
// before the hard state that it speaks of is durable, each entry applied once and in order. It does
// not model power loss: what a driver was told to write is there after a restart.
#pragma once

#include <catch2/catch.hpp>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "families/base/hash.h"
#include "families/builtin.h"
#include "families/fs/file_util.h"
#include "families/fs/overlay_file_system.h"
#include "families/fs/posix_file_system.h"
#include "families/fs/temp_directory.h"
#include "sim/raft/node.h"

namespace qk::raft::testing {

inline constexpr Nanos kMs = 1'000'000;

// Events in order of (time, sequence).
class Scheduler {
 public:
  explicit Scheduler(uint64_t seed) : seed_(seed) {}
  Nanos now() const { return now_; }
  uint64_t random_below(uint64_t bound) {
    const uint64_t n = draws_++;
    return xxh3_64({reinterpret_cast<const char*>(&n), sizeof n}, seed_) % bound;
  }
  uint64_t at(Nanos time, std::function<void()> run) {
    const uint64_t id = ++ids_;
    events_[{time, id}] = std::move(run);
    times_[id] = time;
    return id;
  }
  void cancel(uint64_t id) {
    const auto it = times_.find(id);
    if (it == times_.end()) return;
    events_.erase({it->second, id});
    times_.erase(it);
  }
  void run_for(Nanos duration) {
    const Nanos end = now_ + duration;
    while (!events_.empty() && events_.begin()->first.first <= end) {
      const auto first = events_.begin();
      now_ = first->first.first;
      times_.erase(first->first.second);
      const auto run = std::move(first->second);
      events_.erase(first);
      run();
    }
    now_ = end;
  }

 private:
  const uint64_t seed_;
  Nanos now_ = 0;
  uint64_t ids_ = 0;
  uint64_t draws_ = 0;
  std::map<std::pair<Nanos, uint64_t>, std::function<void()>> events_;
  std::map<uint64_t, Nanos> times_;
};

// Remembers its commands; a snapshot is two files, one of them nested and of several chunks.
class CommandList final : public StateMachine {
 public:
  std::map<int64_t, std::string> commands;

  ApplyResult apply(const families::LogEntry& entry) override {
    commands[entry.index] = entry.payload;
    return {cat("applied ", entry.payload)};
  }
  absl::Status save(families::SnapshotWriter& writer) override {
    std::string all;
    for (const auto& [index, command] : commands) all += cat(index, "=", command, "\n");
    QK_RETURN_IF_ERROR(add(writer, "count", cat(commands.size())));
    return add(writer, "state/deep/commands", all);
  }
  absl::Status load(const families::SnapshotReader& reader) override {
    QK_ASSIGN_OR_RETURN(const std::string count, read(reader, "count"));
    QK_ASSIGN_OR_RETURN(const std::string all, read(reader, "state/deep/commands"));
    commands.clear();
    for (size_t at = 0; at < all.size();) {
      const size_t equals = all.find('=', at);
      const size_t end = all.find('\n', equals);
      commands[std::stoll(all.substr(at, equals - at))] = all.substr(equals + 1, end - equals - 1);
      at = end + 1;
    }
    if (cat(commands.size()) != count) return absl::DataLossError("count does not match");
    return absl::OkStatus();
  }

 private:
  static absl::Status add(families::SnapshotWriter& writer, const std::string& path,
                          const std::string& bytes) {
    QK_ASSIGN_OR_RETURN(const auto file, writer.create_file(path));
    QK_RETURN_IF_ERROR(file->write_at(0, bytes));
    families::FileMeta meta;
    meta.checksum = cat(bytes.size());
    return writer.add_file(path, meta);
  }
  static absl::StatusOr<std::string> read(const families::SnapshotReader& reader,
                                          const std::string& path) {
    QK_ASSIGN_OR_RETURN(const auto file, reader.open_file(path));
    QK_ASSIGN_OR_RETURN(const uint64_t size, file->size());
    std::string bytes(size, '\0');
    QK_RETURN_IF_ERROR(families::read_exact(*file, path, 0, bytes));
    return bytes;
  }
};

// A plain driver that can be told to fail, and that keeps count.
class TestDriver final : public families::StorageDriver {
 public:
  explicit TestDriver(families::Family* family) : plain_(family) {}
  families::Family& authority() override { return plain_.authority(); }
  absl::StatusOr<std::unique_ptr<families::SnapshotWriter>> create_snapshot() override {
    return plain_.create_snapshot();
  }
  families::Outcome apply(families::Mutation mutation) override {
    operations.push_back(mutation.operation);
    if (fail_next) return families::Outcome::indeterminate(absl::DataLossError("disk on fire"));
    return plain_.apply(std::move(mutation));
  }

  bool fail_next = false;
  std::vector<families::Operation> operations;

 private:
  families::PlainDriver plain_;
};

class Cluster;

class Machine final : public Environment, public NodeObserver {
 public:
  Machine(Cluster* cluster, std::string peer) : cluster_(cluster), peer_(std::move(peer)) {}

  // Opens the family and starts a node on it; the status is the node's.
  absl::Status boot();
  void crash();
  Node& node() { return *node_; }
  bool running() const { return node_ != nullptr && !node_->failed(); }

  // Environment.
  Nanos now() override;
  uint64_t random_below(uint64_t bound) override;
  uint64_t start_timer(Nanos delay, std::function<void()> fire) override;
  void cancel_timer(uint64_t id) override;
  void send(const std::string& to, Packet packet) override;
  void after_storage(std::function<void()> done) override;

  // NodeObserver.
  void role_changed(Role, int64_t, const Reason& why) override { story.push_back(to_string(why)); }
  void vote_granted(int64_t term, const std::string& candidate) override;
  void leader_started(int64_t term, const families::LogId& last) override;
  void mutation_issued(uint64_t id, const families::Mutation& mutation) override;
  void mutation_completed(uint64_t id, const families::Outcome& outcome) override;
  void message_sent(const std::string& to, const Packet&, const Message* message) override;
  void applied(const families::LogEntry& entry) override;
  void snapshot_published(const families::SnapshotMeta& meta) override {
    published.push_back(meta.last_included_index);
  }
  void snapshot_installed(const families::SnapshotMeta& meta) override {
    installed.push_back(meta.last_included_index);
    last_applied_ = meta.last_included_index;
  }
  void failed(const absl::Status& status) override { failure = status; }

  Nanos storage_delay = kMs;
  bool after_storage_at_once = false;
  bool accept_lost_vote = false;  // by the next boot
  CommandList state;
  std::unique_ptr<TestDriver> driver;
  families::HardState durable;
  size_t in_flight = 0;
  std::vector<int64_t> published, installed;
  std::vector<std::string> story;
  std::vector<std::pair<std::string, std::string>> sent;  // to, method
  absl::Status failure;

 private:
  Cluster* cluster_;
  const std::string peer_;
  std::unique_ptr<families::OverlayFileSystem> fs_;
  std::unique_ptr<families::Family> family_;
  std::unique_ptr<Node> node_;
  uint64_t life_ = 0;
  Nanos disk_free_at_ = 0;
  std::map<uint64_t, families::HardState> saving_;
  int64_t last_applied_ = 0;
};

class Cluster {
 public:
  explicit Cluster(int size, const families::FamilyDescriptor* family = nullptr, uint64_t seed = 42)
      : scheduler(seed),
        registry_(families::builtin_families(&memory_)),
        family_(family != nullptr ? *family : registry_.all().front()) {
    for (int i = 0; i < size; ++i) {
      peers.push_back(cat("127.0.0.1:", 8100 + i, ":0:0"));
      machines_.emplace(peers.back(), std::make_unique<Machine>(this, peers.back()));
    }
  }
  ~Cluster() {
    for (auto& [peer, machine] : machines_) machine->crash();
  }

  void boot_all() {
    for (const std::string& peer : peers) REQUIRE(machine(peer).boot().ok());
  }
  Machine& machine(const std::string& peer) { return *machines_.at(peer); }
  Machine& machine(int i) { return machine(peers[static_cast<size_t>(i)]); }

  // Runs until `done`, at most `limit`.
  bool run_until(const std::function<bool()>& done, Nanos limit = 20'000 * kMs) {
    for (Nanos spent = 0; spent < limit; spent += kMs) {
      if (done()) return true;
      scheduler.run_for(kMs);
    }
    return done();
  }
  // The running leader of the highest term, or "".
  std::string leader() {
    std::string best;
    for (const std::string& peer : peers) {
      Machine& m = machine(peer);
      if (!m.running() || m.node().role() != Role::kLeader) continue;
      if (best.empty() || m.node().term() > machine(best).node().term()) best = peer;
    }
    return best;
  }
  std::string await_leader() {
    REQUIRE(run_until([&] { return !leader().empty(); }));
    return leader();
  }
  // Proposes at the leader until one succeeds.
  void commit(const std::string& command) {
    bool ok = false;
    REQUIRE(run_until([&] {
      if (ok) return true;
      if (const std::string peer = leader(); !peer.empty() && asked_[peer] < scheduler.now()) {
        asked_[peer] = scheduler.now() + 200 * kMs;
        machine(peer).node().propose(command, [&ok, command](absl::StatusOr<ApplyResult> result) {
          if (!result.ok()) return;
          CHECK(result->response == "applied " + command);
          ok = true;
        });
      }
      return ok;
    }));
    asked_.clear();
  }
  // All running nodes have applied the same, up to the leader's last entry.
  void settle() {
    REQUIRE(run_until([&] {
      const std::string l = leader();
      if (l.empty()) return false;
      for (const std::string& peer : peers) {
        Machine& m = machine(peer);
        if (m.running() && m.node().applied_index() != machine(l).node().last_index()) return false;
      }
      return true;
    }));
  }
  void isolate(const std::string& peer, bool on) {
    if (on) {
      isolated_.insert(peer);
    } else {
      isolated_.erase(peer);
    }
  }

  std::vector<std::string> peers;
  Scheduler scheduler;
  uint32_t loss_ppm = 0;
  uint32_t snapshot_every = 0;
  std::map<int64_t, std::string> leader_of_term;
  std::map<int64_t, families::LogEntry> entry_at;

 private:
  friend class Machine;
  families::VolatileMemory memory_{1};
  families::Registry registry_;
  families::FamilyDescriptor family_;
  families::TempDirectory directory_;
  families::PosixFileSystem posix_;
  std::map<std::string, std::unique_ptr<Machine>> machines_;
  std::set<std::string> isolated_;
  std::map<std::string, Nanos> asked_;
};

inline absl::Status Machine::boot() {
  REQUIRE(node_ == nullptr);
  if (fs_ == nullptr) fs_ = std::make_unique<families::OverlayFileSystem>(&cluster_->posix_);
  families::OpenRequest request;
  request.fs = fs_.get();
  request.root = cluster_->directory_.path() + "/data";
  request.create = true;
  auto family = cluster_->family_.open(request);
  REQUIRE(family.ok());
  family_ = std::move(*family);
  driver = std::make_unique<TestDriver>(family_.get());
  durable = family_->meta().hard_state();
  in_flight = 0;
  saving_.clear();
  disk_free_at_ = 0;
  state.commands.clear();
  const auto snapshot = family_->snapshot().current();
  last_applied_ = snapshot ? snapshot->last_included_index : 0;
  failure = absl::OkStatus();

  NodeOptions options;
  options.group = "test";
  options.peer = peer_;
  options.election_timeout_low = 150 * kMs;
  options.election_timeout_high = 300 * kMs;
  options.heartbeat = 30 * kMs;
  options.rpc_timeout = 60 * kMs;
  options.snapshot_every_entries = cluster_->snapshot_every;
  options.snapshot_chunk = 64;
  options.accept_lost_vote = accept_lost_vote;
  options.initial_configuration.peers = cluster_->peers;
  node_ = std::make_unique<Node>(options, driver.get(), &state, this, this);
  const absl::Status started = node_->start();
  if (!started.ok()) crash();
  return started;
}

inline void Machine::crash() {
  ++life_;
  node_.reset();
  driver.reset();
  family_.reset();
}

inline Nanos Machine::now() { return cluster_->scheduler.now(); }
inline uint64_t Machine::random_below(uint64_t bound) {
  return cluster_->scheduler.random_below(bound);
}
inline uint64_t Machine::start_timer(Nanos delay, std::function<void()> fire) {
  return cluster_->scheduler.at(now() + delay, [this, life = life_, fire] {
    if (life == life_) fire();
  });
}
inline void Machine::cancel_timer(uint64_t id) { cluster_->scheduler.cancel(id); }

inline void Machine::send(const std::string& to, Packet packet) {
  Cluster* cluster = cluster_;
  if (cluster->scheduler.random_below(1'000'000) < cluster->loss_ppm) return;
  if (cluster->isolated_.count(peer_) > 0 || cluster->isolated_.count(to) > 0) return;
  const Nanos delay = kMs + static_cast<Nanos>(cluster->scheduler.random_below(4 * kMs));
  cluster->scheduler.at(now() + delay, [cluster, from = peer_, to, bytes = encode(packet)] {
    Machine& target = cluster->machine(to);
    const auto decoded = decode(bytes);
    REQUIRE(decoded.ok());
    if (target.node_ != nullptr && cluster->isolated_.count(to) == 0) {
      target.node_->receive(from, *decoded);
    }
  });
}

inline void Machine::after_storage(std::function<void()> done) {
  if (after_storage_at_once) return done();
  disk_free_at_ = std::max(disk_free_at_, now()) + storage_delay;
  cluster_->scheduler.at(disk_free_at_, [this, life = life_, done] {
    if (life == life_) done();
  });
}

inline void Machine::vote_granted(int64_t term, const std::string& candidate) {
  CHECK(durable == families::HardState{term, candidate});
}

inline void Machine::leader_started(int64_t term, const families::LogId&) {
  const auto [it, first] = cluster_->leader_of_term.emplace(term, peer_);
  CHECK(it->second == peer_);
  CHECK(first);
}

inline void Machine::mutation_issued(uint64_t id, const families::Mutation& mutation) {
  // No crash may leave an entry or a snapshot of a term that was never saved.
  for (const families::LogEntry& entry : mutation.entries) CHECK(entry.term <= durable.term);
  if (mutation.writer != nullptr) {
    CHECK(mutation.writer->meta().last_included_term <= durable.term);
  }
  ++in_flight;
  if (mutation.operation == families::Operation::kSaveMeta) saving_[id] = mutation.hard_state;
}

inline void Machine::mutation_completed(uint64_t id, const families::Outcome&) {
  --in_flight;
  if (const auto it = saving_.find(id); it != saving_.end()) {
    durable = it->second;
    saving_.erase(it);
  }
}

inline void Machine::message_sent(const std::string& to, const Packet& packet,
                                  const Message* message) {
  sent.emplace_back(to, std::string(to_string(packet.method)) + (packet.response ? " answer" : ""));
  if (message == nullptr) return;
  const auto* vote = std::get_if<VoteRequest>(&message->body);
  const int64_t term = term_of(*message) - (vote != nullptr && vote->pre ? 1 : 0);
  CHECK(term <= durable.term);
}

inline void Machine::applied(const families::LogEntry& entry) {
  CHECK(entry.index == last_applied_ + 1);
  last_applied_ = entry.index;
  const auto [it, first] = cluster_->entry_at.emplace(entry.index, entry);
  CHECK(it->second == entry);
}

}  // namespace qk::raft::testing
