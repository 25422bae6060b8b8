#include "sim/cluster/process.h"

#include <algorithm>

#include "sim/cluster/node.h"

namespace qk::sim {
namespace {

constexpr Nanos kRpcTimeout = 400 * kMillisecond;
// A migration leaves the disk to the node's own work between two steps, this long at least.
constexpr Nanos kStepPause = 12 * kMillisecond;
constexpr int64_t kStepEntries = 48;
// The trace numbers messages as Process::send() does.
static_assert(static_cast<int>(MessageType::kGetFileResponse) == raft::kMethodCount * 2 - 1);
static_assert(static_cast<int>(MessageType::kAppendEntries) ==
              static_cast<int>(raft::Method::kAppendEntries) * 2);

std::unique_ptr<families::FileSystem> mounted(const World& world, const MutantNode& node,
                                              Machine& machine) {
  auto disk = machine.mount();
  return world.mutant == nullptr ? std::move(disk)
                                 : world.mutant->file_system(node, std::move(disk));
}

families::Registry opened_by(const World& world, const MutantNode& node, const Machine& machine,
                             Witness& witness) {
  families::Registry families = watched(
      machine.registry(),
      [&witness](const std::string& root, const AppliedMutation& mutation) {
        witness.family_applied(root, mutation);
      },
      [&witness](const std::string& root) { witness.family_opening(root); });
  return world.mutant == nullptr ? families : world.mutant->registry(node, families);
}

}  // namespace

Process::Process(SimNode& node, const World& world, Machine& machine, Witness& witness)
    : node_(node),
      world_(world),
      machine_(machine),
      witness_(witness),
      fs_(mounted(world, {node.id(), &witness}, machine)),
      registry_(opened_by(world, {node.id(), &witness}, machine, witness)) {}

Process::~Process() {
  for (const auto& [id, event] : timers_) world_.scheduler->cancel(event);
  // The Raft node refers to the controller's driver, and cancels its timers.
  raft_.reset();
  runner_.reset();
}

absl::Status Process::open(bool create) {
  migration::ControllerOptions options;
  options.fs = fs_.get();
  options.registry = &registry_;
  options.node_dir = kNodeDir;
  options.group_id = world_.plan->cluster.group;
  options.peer_id = node_.peer();
  options.initial = machine_.initial();
  options.create = create;
  options.now = [this] { return world_.scheduler->now(); };
  // Storage calls end when the disk says.
  options.storage_clock = [this] { return machine_.quiet_at(); };
  options.random = [this] { return machine_.ids().next(); };
  options.step_entries = kStepEntries;
  QK_ASSIGN_OR_RETURN(runner_, migration::Runner::open(std::move(options), &host_, &witness_));
  return absl::OkStatus();
}

absl::Status Process::start_raft() {
  const ClusterPlan& plan = world_.plan->cluster;
  raft::NodeOptions options;
  options.group = plan.group;
  options.peer = node_.peer();
  options.election_timeout_low = plan.election_timeout.low;
  options.election_timeout_high = plan.election_timeout.high;
  options.heartbeat = plan.heartbeat;
  options.rpc_timeout = kRpcTimeout;
  options.snapshot_every_entries = plan.snapshot_every_entries;
  options.max_entries_per_append = plan.entries_per_append;
  for (const NodePlan& other : plan.nodes) {
    options.initial_configuration.peers.push_back(other.peer);
  }
  if (world_.mutant != nullptr) tap_ = world_.mutant->core_tap({node_.id(), &witness_});
  options.tap = tap_.get();
  raft_ = std::make_unique<raft::Node>(options, &controller()->driver(), &state_, this, &witness_);
  const absl::Status started = raft_->start();
  touch_disk();
  return started;
}

void Process::go_live() {
  world_.network->set_node_up(node_.id(), true);
  world_.network->attach(node_.id(), [this](NodeId from, const NetMessage& message) {
    deliver(world_.plan->cluster.nodes[from - 1].peer, message);
  });
  runner_->pump();
}

void Process::begin_to_stop() {
  stopping_ = true;
  runner_->stop();
}

void Process::touch_disk() {
  world_.events->disk_advanced(node_);
  runner_->pump();
}

void Process::when_free(std::function<void()> fn) {
  if (blocked_) {
    waiting_.push_back(std::move(fn));
    return;
  }
  machine_.touch();
  fn();
}

void Process::deliver(const std::string& from_peer, const NetMessage& message) {
  if (stopping_) return;
  when_free([this, from_peer, bytes = message.bytes] {
    const absl::StatusOr<raft::Packet> packet = raft::decode(bytes);
    QK_CHECK(packet.ok());  // the network corrupts nothing
    witness_.packet_arrived(world_.id_of(from_peer), *packet);
    if (world_.mutant != nullptr) mutate_received(from_peer, *packet);
    raft_->receive(from_peer, *packet);
    touch_disk();
  });
}

// ---------------------------------------------------------------------------- the runner's host

void Process::Host::after(int64_t ns, std::function<void()> then) {
  const Nanos at = process_.now() + std::max(kStepPause, ns);
  process_.machine_.at(at, [this, then = std::move(then)] { process_.when_free(then); });
}

void Process::Host::at_barrier(std::function<void()> then) {
  process_.raft_->request_barrier([this, then = std::move(then)] {
    // The barrier may be granted in the middle of the node's own work.
    process_.machine_.at(process_.now(), [this, then] {
      process_.when_free([this, then] {
        process_.blocked_ = true;
        then();
      });
    });
  });
}

void Process::Host::release_barrier() {
  process_.blocked_ = false;
  process_.raft_->release_barrier();
  // Handling one event may block the process again.
  auto& waiting = process_.waiting_;
  while (!process_.blocked_ && !process_.stopping_ && !waiting.empty()) {
    auto next = std::move(waiting.front());
    waiting.pop_front();
    process_.when_free(std::move(next));
  }
}

void Process::Host::after_storage(std::function<void()> then) {
  process_.machine_.after_storage(std::move(then));
}

void Process::Host::stop(const absl::Status& why) {
  process_.blocked_ = false;
  process_.node_.fail(why);
}

// -------------------------------------------------------------------------- Raft's environment

uint64_t Process::start_timer(raft::Nanos delay, std::function<void()> fire) {
  const uint64_t id = next_timer_++;
  timers_[id] = world_.scheduler->after(delay, [this, id, fire = std::move(fire)]() mutable {
    timers_.erase(id);
    when_free([this, fire = std::move(fire)] {
      if (stopping_) return;
      fire();
      touch_disk();
    });
  });
  return id;
}

void Process::cancel_timer(uint64_t id) {
  const auto it = timers_.find(id);
  if (it == timers_.end()) return;
  world_.scheduler->cancel(it->second);
  timers_.erase(it);
}

void Process::send(const std::string& to_peer, raft::Packet packet) {
  const NodeId to = world_.id_of(to_peer);
  // Nobody listens at an address outside the cluster.
  if (to == 0 || to == node_.id()) return;
  if (world_.mutant == nullptr) return transmit(to, packet);
  std::vector<raft::Packet> packets;
  packets.push_back(std::move(packet));
  world_.mutant->sending(node_.id(), to, &packets);
  for (const raft::Packet& other : packets) transmit(to, other);
}

void Process::transmit(NodeId to, const raft::Packet& packet) {
  NetMessage message;
  message.type = static_cast<uint16_t>(static_cast<int>(packet.method) * 2 + packet.response);
  witness_.label(&message);
  witness_.packet_sent(to, packet);
  message.bytes = raft::encode(packet);
  world_.network->send(node_.id(), to, std::move(message));
}

void Process::mutate_received(const std::string& from_peer, const raft::Packet& packet) {
  const NodeId from = world_.id_of(from_peer);
  std::vector<raft::Packet> answers;
  world_.mutant->receiving(from, node_.id(), packet, &answers);
  for (const raft::Packet& answer : answers) transmit(from, answer);
}

void Process::after_storage(std::function<void()> done) {
  touch_disk();
  machine_.after_storage([this, done = std::move(done)]() mutable {
    when_free([this, done = std::move(done)] {
      if (stopping_) return;
      done();
      touch_disk();
    });
  });
}

}  // namespace qk::sim
