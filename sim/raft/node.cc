// The node's event loop: receive, step, carry out, apply.
#include "sim/raft/node.h"

#include <algorithm>

#include "families/base/check.h"
#include "families/contract/log_terms.h"
#include "families/contract/lost_vote.h"
#include "sim/raft/wire/convert.h"

namespace qk::raft {
namespace {

using families::Lane;
using families::LogEntry;
using families::Outcome;

CoreOptions core_options(const NodeOptions& options, Environment* environment) {
  QK_CHECK(options.election_timeout_low > 0);
  QK_CHECK(options.election_timeout_high >= options.election_timeout_low);
  QK_CHECK(options.heartbeat > 0 && options.rpc_timeout > 0);
  QK_CHECK(options.snapshot_chunk > 0);
  CoreOptions core;
  core.self = options.peer;
  core.max_entries_per_append = options.max_entries_per_append;
  core.retry_after_heartbeats = static_cast<int>(std::clamp<Nanos>(
      (options.rpc_timeout + options.heartbeat - 1) / options.heartbeat, 1, 1000));
  core.first_call_id = (environment->random_below(uint64_t{1} << 40) << 20) + 1;
  core.initial_configuration = options.initial_configuration;
  return core;
}

// A vote that leaves this node; nullptr if the message is not one.
const VoteResponse* as_granted_vote(const Message& message) {
  const auto* vote = std::get_if<VoteResponse>(&message.body);
  return vote != nullptr && !vote->pre && vote->granted ? vote : nullptr;
}

}  // namespace

absl::StatusOr<std::vector<LogEntry>> StorageView::entries(int64_t from, int64_t to,
                                                           size_t max_bytes) {
  std::vector<LogEntry> out;
  size_t bytes = 0;
  const absl::Status status = log().scan(from, to, [&](const LogEntry& entry) {
    out.push_back(entry);
    bytes += entry.payload.size();
    return bytes < max_bytes ? absl::OkStatus() : absl::CancelledError("enough");
  });
  if (!status.ok() && !(absl::IsCancelled(status) && bytes >= max_bytes)) return status;
  QK_CHECK(!out.empty());
  return out;
}

Node::Node(NodeOptions options, families::StorageDriver* driver, StateMachine* state_machine,
           Environment* environment, NodeObserver* observer)
    : options_(std::move(options)),
      driver_(driver),
      state_machine_(state_machine),
      environment_(environment),
      observer_(observer),
      view_(driver),
      core_(core_options(options_, environment), &view_),
      lanes_(driver, environment, observer,
             [this](Lane lane, uint64_t token, const Outcome& outcome) {
               if (halted_) return;
               if (!outcome.ok()) return fail(outcome.status());
               if (lane == Lane::kSnapshot) return post(Published{});
               post(Event(event::Persisted{lane, token}));
             }),
      server_(options_.peer,
              static_cast<int64_t>(environment->random_below(uint64_t{1} << 40) << 20)) {}

Node::~Node() { stop(); }

absl::Status Node::start() {
  QK_CHECK(!started_);
  families::Family& family = driver_->authority();
  StartState state;
  state.hard_state = family.meta().hard_state();
  auto snapshot = family.snapshot().open();
  if (snapshot.ok()) {
    state.snapshot = (*snapshot)->meta();
  } else if (!absl::IsNotFound(snapshot.status())) {
    return annotate(snapshot.status(), "node start");
  }
  families::LogStorage& log = family.log();
  families::LogTerms terms;
  const auto collect = [&](const LogEntry& entry) -> absl::Status {
    if (const absl::Status status = terms.add(entry.index, entry.term); !status.ok()) {
      return absl::FailedPreconditionError(cat("node start: ", to_std(status.message())));
    }
    if (entry.type != families::EntryType::kConfiguration) return absl::OkStatus();
    auto configuration = families::decode_configuration(entry.payload);
    if (!configuration.ok()) {
      return annotate(configuration.status(), cat("node start: log entry ", entry.index));
    }
    state.configurations.emplace_back(entry.index, std::move(*configuration));
    return absl::OkStatus();
  };
  if (log.first_index() <= log.last_index()) {
    QK_RETURN_IF_ERROR(log.scan(log.first_index(), log.last_index(), collect));
  }
  int64_t last_log_term = 0;
  if (log.first_index() <= log.last_index()) {
    QK_ASSIGN_OR_RETURN(last_log_term, log.term(log.last_index()));
  }
  // A log that an installed snapshot contradicts is dropped below, unless no start drops it.
  if (state.snapshot && !terms.dropped_at_start(*state.snapshot)) {
    if (const absl::Status fits = terms.check_snapshot(*state.snapshot); !fits.ok()) {
      return absl::FailedPreconditionError(cat("node start: ", to_std(fits.message())));
    }
  }
  const absl::Status vote =
      families::check_vote_not_lost(state.hard_state, last_log_term, state.snapshot);
  if (!vote.ok() && !options_.accept_lost_vote) return annotate(vote, "node start");
  term_ = state.hard_state.term;
  if (state.snapshot) applied_ = state.snapshot->last_included_index;
  QK_RETURN_IF_ERROR(core_.start(std::move(state)));
  // Nothing was changed so far, and nothing will be if the state machine refuses.
  if (snapshot.ok()) QK_RETURN_IF_ERROR(state_machine_->load(**snapshot));
  started_ = true;
  busy_ = true;
  carry_out(core_.effects());
  busy_ = false;
  drain();
  return failure_;
}

void Node::receive(const std::string& from, const Packet& packet) {
  if (halted_ || !started_ || from == options_.peer) return;
  if (packet.method == Method::kGetFile) {
    if (!packet.response) {
      transmit(from, server_.serve(packet, environment_->now()), nullptr);
    } else if (download_ && from == download_->offer().leader) {
      on_download(download_->on_response(packet));
    }
    return;
  }
  auto message = from_packet(packet, options_.group, options_.peer, from);
  if (!message.ok()) return observer_->refused(from, message.status());
  const auto* installed = std::get_if<InstallResponse>(&message->body);
  std::optional<event::InstallDone> done;
  SnapshotServer::Transfer* transfer = installed != nullptr ? server_.find(from) : nullptr;
  if (transfer != nullptr && packet.call_id >= transfer->first_call) {
    done =
        event::InstallDone{from, installed->success, transfer->reader->meta().last_included_index};
  }
  post(Event(event::Received{std::move(*message)}));
  if (done && !halted_ && core_.role() == Role::kLeader) {
    server_.close(from);
    post(Event(std::move(*done)));
  }
}

absl::Status Node::refusal() const {
  if (halted_ || !started_) return absl::PermissionDeniedError("the node is not running");
  if (core_.role() == Role::kLeader) {
    return absl::PermissionDeniedError("not the leader for long: leadership is being handed over");
  }
  return absl::PermissionDeniedError(core_.leader().empty()
                                         ? "not the leader; no leader is known"
                                         : cat("not the leader; the leader is ", core_.leader()));
}

void Node::propose(std::string payload, Done done) {
  if (halted_ || !started_ || core_.role() != Role::kLeader || core_.transferring()) {
    return done(refusal());
  }
  proposing_.push_back(std::move(done));
  event::Propose event;
  event.payloads.push_back(std::move(payload));
  post(Event(std::move(event)));
}

absl::Status Node::transfer_leadership(const std::string& to) {
  if (halted_ || !started_ || core_.role() != Role::kLeader) {
    return absl::FailedPreconditionError(cat("transfer to ", to, ": not the leader"));
  }
  if (core_.transferring()) {
    return absl::FailedPreconditionError(cat("transfer to ", to, ": another is under way"));
  }
  const families::Configuration& conf = core_.log().configuration();
  const bool member = std::find(conf.peers.begin(), conf.peers.end(), to) != conf.peers.end();
  if (!member || to == options_.peer) {
    return absl::InvalidArgumentError(cat("transfer to ", to, ": not another member"));
  }
  post(Event(event::TransferLeadership{to}));
  return absl::OkStatus();
}

void Node::stop() {
  halted_ = true;
  stopped_ = true;
  lanes_.stop();
  cancel_timers();
  work_.clear();
  proposing_.clear();
  proposals_.clear();
}

void Node::post(Work work) {
  if (halted_) return;
  work_.push_back(std::move(work));
  drain();
}

// One event at a time: what a callback posts waits until the effects before it are carried out.
void Node::drain() {
  if (busy_) return;
  busy_ = true;
  while (!halted_ && !work_.empty()) {
    Work work = std::move(work_.front());
    work_.pop_front();
    if (std::holds_alternative<Published>(work)) {
      on_published();
      continue;
    }
    auto& event = std::get<Event>(work);
    const bool proposal = std::holds_alternative<event::Propose>(event);
    Effects& effects = step(std::move(event));
    if (proposal) {
      Done done = std::move(proposing_.front());
      proposing_.pop_front();
      if (effects.proposed_at) {
        proposals_.push_back({*effects.proposed_at, std::move(done)});
      } else {
        done(refusal());
      }
    }
    carry_out(effects);
  }
  busy_ = false;
}

Effects& Node::step(Event event) {
  CoreTap* const tap = options_.tap;
  if (tap == nullptr) return core_.step(std::move(event));
  std::vector<Event> first;
  const bool goes_on = tap->before(core_, event, &first);
  for (Event& other : first) {
    if (halted_) break;
    tap->after(core_, &core_.step(std::move(other)));
    carry_out(core_.effects());
  }
  core_.effects().clear();
  if (!goes_on || halted_) return core_.effects();
  tap->after(core_, &core_.step(std::move(event)));
  return core_.effects();
}

// The order is that of core.h. Nothing here steps the core.
void Node::carry_out(Effects& effects) {
  for (const Message& message : effects.released) transmit(message);
  announce(effects);
  // Term and vote first: whatever else the step writes is of this term, and waits for its save.
  for (const bool meta : {true, false}) {
    for (Persist& persist : effects.persist) {
      const Lane lane = families::lane_of(persist.mutation.operation);
      if ((lane == Lane::kMeta) == meta) lanes_.issue(persist.token, std::move(persist.mutation));
    }
  }
  if (!effects.persist.empty()) lanes_.pump();
  if (halted_) return;
  set_timers(effects);
  for (const Message& message : effects.messages) transmit(message);
  if (effects.commit) apply_committed(*effects.commit);
  if (halted_) return;
  after_role_change();
  for (const std::string& follower : effects.install) offer_snapshot(follower);
  if (effects.download) begin_download(std::move(*effects.download));
  if (!halted_ && !effects.failure.ok()) fail(effects.failure);
}

void Node::announce(const Effects& effects) {
  if (core_.term() != term_) {
    term_ = core_.term();
    observer_->term_changed(term_);
  }
  for (const Decision& decision : effects.decisions) {
    if (decision.role_changed) {
      observer_->role_changed(core_.role(), term_, decision.why);
    } else {
      observer_->decided(decision.why);
    }
  }
  if (effects.self_vote_durable) observer_->vote_granted(term_, options_.peer);
  if (effects.won_with) observer_->leader_started(term_, *effects.won_with);
}

void Node::after_role_change() {
  if (download_ && !publishing_download_ && core_.leader() != download_->offer().leader) {
    abandon_download();
  }
  if (role_ == core_.role()) return;
  const bool was_leader = role_ == Role::kLeader;
  role_ = core_.role();
  if (!was_leader) return;
  server_.close_all();
  abort_proposals("leadership was lost; the outcome is unknown");
}

void Node::abort_proposals(std::string_view why) {
  while (!stopped_ && !proposals_.empty()) {
    const Done done = std::move(proposals_.front().done);
    proposals_.pop_front();
    done(absl::AbortedError(to_absl(why)));
  }
}

void Node::transmit(const Message& message) {
  if (const VoteResponse* vote = as_granted_vote(message)) {
    observer_->vote_granted(vote->term, message.peer);
  }
  transmit(message.peer, to_packet(message, options_.group, options_.peer), &message);
}

void Node::transmit(const std::string& to, Packet packet, const Message* message) {
  observer_->message_sent(to, packet, message);
  environment_->send(to, std::move(packet));
}

void Node::apply_committed(int64_t commit) {
  if (commit <= applied_) return;  // known from a snapshot
  const auto term = core_.log().term(commit);
  if (!term.ok()) return fail(term.status());
  observer_->committed(commit, *term);
  while (!halted_ && applied_ < commit) {
    if (const LogEntry* entry = core_.log().find(applied_ + 1)) {
      if (!apply_entry(*entry)) return;
      continue;
    }
    const auto entries = core_.log().entries(applied_ + 1, commit, size_t{1} << 20);
    if (!entries.ok()) return fail(entries.status());
    for (const LogEntry& entry : *entries) {
      if (!apply_entry(entry)) return;
    }
  }
  if (halted_) return;
  core_.log().release(applied_);
  if (options_.snapshot_every_entries > 0 &&
      applied_ - core_.log().snapshot().last_included_index >= options_.snapshot_every_entries) {
    trigger_snapshot();
  }
}

// False once a callback has stopped the node.
bool Node::apply_entry(const LogEntry& entry) {
  QK_CHECK(entry.index == applied_ + 1);
  ApplyResult result;
  if (entry.type == families::EntryType::kData) result = state_machine_->apply(entry);
  applied_ = entry.index;
  observer_->applied(entry);
  QK_CHECK(proposals_.empty() || proposals_.front().index >= applied_);
  if (!proposals_.empty() && proposals_.front().index == applied_) {
    const Done done = std::move(proposals_.front().done);
    proposals_.pop_front();
    done(std::move(result));
  }
  return !halted_;
}

void Node::fail(const absl::Status& status) {
  if (halted_) return;
  failure_ = status;
  halted_ = true;
  lanes_.stop();
  cancel_timers();
  work_.clear();
  download_.reset();
  server_.close_all();
  observer_->failed(failure_);
  while (!proposing_.empty()) {
    proposals_.push_back({0, std::move(proposing_.front())});
    proposing_.pop_front();
  }
  abort_proposals("storage failed; the outcome is unknown");
}

}  // namespace qk::raft
