#include "sim/cluster/process.h"

#include <algorithm>

namespace qk::sim {
namespace {

constexpr Nanos kRpcTimeout = 400 * kMillisecond;

// The trace numbers operations and roles as the system does.
static_assert(static_cast<int>(StoreOp::kSaveSnapshot) ==
              static_cast<int>(families::Operation::kPublish));
static_assert(static_cast<int>(StoreOp::kSaveMeta) ==
              static_cast<int>(families::Operation::kSaveMeta));
static_assert(static_cast<int>(Role::kLeader) == static_cast<int>(raft::Role::kLeader));

struct Span {
  uint64_t first = 0;
  uint64_t last = 0;
};

// What a mutation covers, for the trace.
Span span_of(const families::Mutation& mutation) {
  switch (mutation.operation) {
    case families::Operation::kAppend:
      if (mutation.entries.empty()) return {};
      return {static_cast<uint64_t>(mutation.entries.front().index),
              static_cast<uint64_t>(mutation.entries.back().index)};
    case families::Operation::kSaveMeta:
      return {static_cast<uint64_t>(mutation.hard_state.term), 0};
    case families::Operation::kPublish:
      return {static_cast<uint64_t>(mutation.writer->meta().last_included_index), 0};
    default:
      return {static_cast<uint64_t>(mutation.index), 0};
  }
}

}  // namespace

SimNode::Process::Process(SimNode& node, const World& world) : node_(node), world_(world) {}

SimNode::Process::~Process() {
  for (const auto& [id, event] : timers_) world_.scheduler->cancel(event);
  // The node refers to the controller's driver.
  node.reset();
  runner.reset();
}

void SimNode::Process::start_node() {
  const ClusterPlan& plan = world_.plan->cluster;
  raft::NodeOptions options;
  options.group = plan.group;
  options.peer = node_.peer();
  options.election_timeout_low = plan.election_timeout.low;
  options.election_timeout_high = plan.election_timeout.high;
  options.heartbeat = plan.heartbeat;
  options.rpc_timeout = kRpcTimeout;
  options.snapshot_every_entries = plan.snapshot_every_entries;
  for (const NodePlan& other : plan.nodes) {
    options.initial_configuration.peers.push_back(other.peer);
  }
  node = std::make_unique<raft::Node>(options, &runner->controller().driver(), &state_machine_,
                                      this, this);
}

void SimNode::Process::storage_failed(const absl::Status& status) {
  if (node_.stopping_) return;
  node_.begin_to_stop();
  world_.scheduler->after(0, [&node = node_, world = world_, code = status.code(),
                              text = std::string(to_std(status.message()))] {
    Event event{.node = node.id_, .kind = EventKind::kNodeStop};
    event.args = {static_cast<uint64_t>(code)};
    world.trace->record(event, text);
    node.lose_memory();
    node.stop_process(world.plan->cluster.operator_restart_after, false, text);
  });
}

NodeId SimNode::Process::peer_id(const std::string& peer) const {
  const auto& nodes = world_.plan->cluster.nodes;
  const auto it = std::find_if(nodes.begin(), nodes.end(),
                               [&](const NodePlan& other) { return other.peer == peer; });
  return it == nodes.end() ? 0 : static_cast<NodeId>(it - nodes.begin() + 1);
}

// ------------------------------------------------------------------------------------- environment

raft::Nanos SimNode::Process::now() { return world_.scheduler->now(); }

uint64_t SimNode::Process::random_below(uint64_t bound) {
  return node_.election_random_.below(bound);
}

uint64_t SimNode::Process::start_timer(raft::Nanos delay, std::function<void()> fire) {
  const uint64_t id = next_timer_++;
  timers_[id] = world_.scheduler->after(
      delay, [this, id, life = node_.life_, fire = std::move(fire)]() mutable {
        timers_.erase(id);
        node_.when_free([this, life, fire = std::move(fire)] {
          if (life != node_.life_ || node_.stopping_) return;
          fire();
          node_.touch_disk();
        });
      });
  return id;
}

void SimNode::Process::cancel_timer(uint64_t id) {
  const auto it = timers_.find(id);
  if (it == timers_.end()) return;
  world_.scheduler->cancel(it->second);
  timers_.erase(it);
}

void SimNode::Process::send(const std::string& to_peer, raft::Packet packet) {
  const NodeId to = peer_id(to_peer);
  // Nobody listens at an address outside the cluster.
  if (to == 0 || to == node_.id_) return;
  NetMessage message;
  message.type = static_cast<uint16_t>(static_cast<int>(packet.method) * 2 + packet.response);
  message.term = std::exchange(message_term_, 0);
  message.index = std::exchange(message_index_, 0);
  message.bytes = raft::encode(packet);
  world_.network->send(node_.id_, to, std::move(message));
}

void SimNode::Process::after_storage(std::function<void()> done) {
  node_.touch_disk();
  node_.after_storage([this, done = std::move(done)]() mutable {
    node_.when_free([this, done = std::move(done)] {
      if (node_.stopping_) return;
      done();
      node_.touch_disk();
    });
  });
}

// ---------------------------------------------------------------------------------------- observer

void SimNode::Process::role_changed(raft::Role role, int64_t term, const raft::Reason& why) {
  Event event{.node = node_.id_, .kind = EventKind::kRaftRole};
  event.args = {static_cast<uint64_t>(role), static_cast<uint64_t>(term),
                static_cast<uint64_t>(node->last_index()),
                static_cast<uint64_t>(node->commit_index()), static_cast<uint64_t>(role_)};
  role_ = role;
  if (role == raft::Role::kCandidate) world_.elections->candidate();
  if (role == raft::Role::kLeader) world_.elections->leader();
  world_.trace->record(event, world_.trace->keeps_marks() ? to_string(why) : std::string());
}

void SimNode::Process::term_changed(int64_t term) {
  Event event{.node = node_.id_, .kind = EventKind::kRaftTerm};
  event.args = {static_cast<uint64_t>(term)};
  world_.trace->record(event);
  world_.checker->term_observed(index(), term);
}

void SimNode::Process::vote_granted(int64_t term, const std::string& candidate) {
  Event event{.node = node_.id_, .kind = EventKind::kRaftTerm};
  event.args = {static_cast<uint64_t>(term), peer_id(candidate)};
  world_.trace->record(event);
  world_.checker->vote_granted(index(), term, candidate);
}

void SimNode::Process::leader_started(int64_t term, const families::LogId&) {
  std::vector<EntryDigest> queued;
  for (const families::LogEntry& entry : node->queued_entries()) queued.push_back(digest_of(entry));
  world_.checker->leader_elected(index(), term, queued);
}

void SimNode::Process::mutation_issued(uint64_t id, const families::Mutation& mutation) {
  const Span span = span_of(mutation);
  Event event{.node = node_.id_, .kind = EventKind::kStoreIssue};
  event.args = {static_cast<uint64_t>(mutation.operation), static_cast<uint64_t>(node_.authority_),
                span.first, span.last, id};
  world_.trace->record(event);
  std::optional<uint64_t> tree;
  if (mutation.operation == families::Operation::kPublish) {
    const auto hash = tree_hash(*mutation.writer);
    if (hash.ok()) {
      tree = *hash;
    } else {
      world_.checker->unreadable(index(), annotate(hash.status(), "a tree to be published"));
    }
  }
  open_[id] = {mutation.operation, world_.scheduler->now()};
  if (mutation.operation == families::Operation::kSaveMeta) world_.elections->vote_issued();
  world_.checker->mutation_issued(index(), id, mutation, tree);
}

void SimNode::Process::mutation_completed(uint64_t id, const families::Outcome& outcome) {
  const auto it = open_.find(id);
  QK_CHECK(it != open_.end());
  const families::Operation operation = it->second.operation;
  if (operation == families::Operation::kSaveMeta) {
    world_.elections->vote_saved(world_.scheduler->now() - it->second.issued);
  }
  open_.erase(it);
  Event event{.node = node_.id_, .kind = EventKind::kStoreDone};
  event.args = {static_cast<uint64_t>(operation),
                static_cast<uint64_t>(node_.authority_),
                static_cast<uint64_t>(outcome.count()),
                static_cast<uint64_t>(runner->controller().driver().authority().log().last_index()),
                id,
                static_cast<uint64_t>(outcome.status().code())};
  world_.trace->record(event);
  if (!outcome.ok()) {
    world_.checker->mutation_failed(index(), id, outcome.kind(), outcome.count());
    return;
  }
  world_.checker->mutation_acked(index(), id, outcome.count());
  node_.probe_ack(operation);
}

void SimNode::Process::message_sent(const std::string&, const raft::Packet&,
                                    const raft::Message* message) {
  world_.checker->served(index(), static_cast<Side>(node_.authority_), node_.manifest_.generation);
  if (message == nullptr) return;
  message_term_ = static_cast<uint64_t>(term_of(*message));
  if (const auto* append = std::get_if<raft::AppendRequest>(&message->body)) {
    message_index_ = static_cast<uint64_t>(append->prev.index) + append->entries.size();
  } else if (const auto* answer = std::get_if<raft::AppendResponse>(&message->body)) {
    message_index_ = static_cast<uint64_t>(answer->last_log_index);
  }
}

void SimNode::Process::committed(int64_t index, int64_t term) {
  Event event{.node = node_.id_, .kind = EventKind::kRaftCommit};
  event.args = {static_cast<uint64_t>(index), static_cast<uint64_t>(term)};
  world_.trace->record(event);
  world_.events->commit_advanced(node_, index, term);
}

void SimNode::Process::applied(const families::LogEntry& entry) {
  const uint64_t hash = state_machine_.state.state_hash();
  Event event{.node = node_.id_, .kind = EventKind::kRaftApply};
  event.args = {static_cast<uint64_t>(entry.index), hash};
  world_.trace->record(event);
  world_.checker->committed(index(), digest_of(entry), node->term());
  world_.checker->applied(index(), entry.index, hash);
}

void SimNode::Process::snapshot_published(const families::SnapshotMeta& meta) {
  Event event{.node = node_.id_, .kind = EventKind::kSnapPublish};
  event.args = {static_cast<uint64_t>(meta.last_included_index),
                static_cast<uint64_t>(meta.last_included_term)};
  world_.trace->record(event);
}

void SimNode::Process::snapshot_installed(const families::SnapshotMeta& meta) {
  Event event{.node = node_.id_, .kind = EventKind::kSnapInstall};
  event.args = {static_cast<uint64_t>(meta.last_included_index),
                static_cast<uint64_t>(meta.last_included_term), peer_id(node->leader())};
  world_.trace->record(event);
}

void SimNode::Process::failed(const absl::Status& status) { storage_failed(status); }

}  // namespace qk::sim
