// What every step has in common: dispatch, terms, quorums, the hard state.
#include "sim/raft/core.h"

#include <algorithm>

#include "families/base/check.h"

namespace qk::raft {

void Effects::clear() {
  released.clear();
  decisions.clear();
  persist.clear();
  election_timer = TimerAction::kNone;
  heartbeat_timer = TimerAction::kNone;
  messages.clear();
  commit.reset();
  proposed_at.reset();
  self_vote_durable = false;
  transfer_accepted = false;
  won_with.reset();
  install.clear();
  download.reset();
}

Core::Core(CoreOptions options, LogView* view)
    : options_(std::move(options)), log_(view), next_call_id_(options_.first_call_id) {
  QK_CHECK(!options_.self.empty());
  QK_CHECK(options_.max_entries_per_append >= 1);
  QK_CHECK(options_.max_appends_in_flight >= 1);
  QK_CHECK(options_.retry_after_heartbeats >= 1);
}

absl::Status Core::start(StartState state) {
  effects_.clear();
  hard_state_ = std::move(state.hard_state);
  QK_RETURN_IF_ERROR(log_.open(state.snapshot, std::move(state.configurations),
                               std::move(options_.initial_configuration)));
  if (state.snapshot) {
    if (!set_snapshot(*state.snapshot)) return effects_.failure;
    commit_ = state.snapshot->last_included_index;
    known_committed_ = commit_;
  }
  const int64_t last_term = std::max(log_.last().term, log_.snapshot().last_included_term);
  if (hard_state_.term < last_term) {
    // The term was lost, and with it maybe a vote in last_term: never vote in that term again.
    decide(
        {"term # is behind the last log term # -> term correction", hard_state_.term, last_term});
    set_hard_state(last_term + 1, "");
  }
  become_follower(hard_state_.term, "",
                  {"started with log up to # in term #", log_.last().index, hard_state_.term});
  effects_.election_timer = TimerAction::kArm;
  if (hard_state_changed_) {
    hard_state_changed_ = false;
    effects_.persist.push_back({meta_issued_, families::Mutation::save_meta(hard_state_)});
  }
  return absl::OkStatus();
}

Effects& Core::step(Event event) {
  effects_.clear();
  QK_CHECK(effects_.failure.ok());  // a failed core gets no further events
  std::visit([this](auto& e) { handle(std::move(e)); }, event);
  if (hard_state_changed_) {
    hard_state_changed_ = false;
    effects_.persist.push_back({meta_issued_, families::Mutation::save_meta(hard_state_)});
  }
  if (effects_.failure.ok()) check_invariants();
  return effects_;
}

void Core::check_invariants() const {
  QK_CHECK(commit_ <= log_.last().index);
  QK_CHECK(commit_ >= log_.snapshot().last_included_index);
  QK_CHECK(log_.first() - 1 <= log_.snapshot().last_included_index);
  QK_CHECK(hard_state_.term >= log_.last().term);
  QK_CHECK((role_ == Role::kLeader) == (leader_ == options_.self));
  QK_CHECK(role_ == Role::kLeader || progress_.empty());
}

void Core::handle(event::Received event) {
  Message& message = event.message;
  std::visit([&](auto& body) { receive(message, body); }, message.body);
}

void Core::handle(event::ElectionTimeout) {
  if (role_ == Role::kLeader) {
    check_quorum();
  } else {
    start_pre_vote();
  }
}

void Core::handle(event::Persisted event) {
  const bool meta = event.lane == families::Lane::kMeta;
  QK_CHECK(meta || event.lane == families::Lane::kLog);
  uint64_t& durable = meta ? meta_durable_ : log_durable_;
  QK_CHECK(event.token > durable && event.token <= (meta ? meta_issued_ : log_issued_));
  durable = event.token;
  for (size_t n = waiting_.size(); n > 0; --n) {
    Outgoing outgoing = std::move(waiting_.front());
    waiting_.pop_front();
    send_when_durable(std::move(outgoing), &effects_.released);
  }
  if (meta) {
    if (role_ == Role::kCandidate && vote_token_ != 0 && meta_durable_ >= vote_token_) {
      vote_token_ = 0;
      effects_.self_vote_durable = true;
      votes_.insert(options_.self);
      count_votes();
    }
    return;
  }
  log_.persisted(event.token);
  advance_commit();
}

void Core::set_hard_state(int64_t term, std::string voted_for) {
  QK_CHECK(term >= hard_state_.term);
  QK_CHECK(term > hard_state_.term || hard_state_.voted_for.empty() ||
           hard_state_.voted_for == voted_for);
  hard_state_ = {term, std::move(voted_for)};
  if (!hard_state_changed_) {
    hard_state_changed_ = true;
    ++meta_issued_;
  }
}

void Core::become_follower(int64_t term, std::string leader, Reason why) {
  QK_CHECK(leader != options_.self);
  if (term > hard_state_.term) set_hard_state(term, "");
  if (role_ == Role::kLeader) {
    effects_.heartbeat_timer = TimerAction::kCancel;
    known_committed_ = commit_;
  }
  if (role_ != Role::kFollower) effects_.election_timer = TimerAction::kArm;
  role_ = Role::kFollower;
  leader_ = std::move(leader);
  votes_.clear();
  vote_token_ = 0;
  progress_.clear();
  transfer_to_.clear();
  decide(why, true);
}

void Core::decide(Reason why, bool role_changed) {
  effects_.decisions.push_back({why, role_changed});
}

void Core::send(const std::string& to, uint64_t call_id, decltype(Message::body) body,
                uint64_t after_log) {
  QK_CHECK(to != options_.self);
  send_when_durable({{to, call_id, std::move(body)}, after_log, meta_issued_}, &effects_.messages);
}

void Core::send_when_durable(Outgoing outgoing, std::vector<Message>* leaving) {
  if (outgoing.after_log <= log_durable_ && outgoing.after_meta <= meta_durable_) {
    leaving->push_back(std::move(outgoing.message));
  } else {
    waiting_.push_back(std::move(outgoing));
  }
}

void Core::fail(absl::Status status) {
  QK_CHECK(!status.ok());
  if (effects_.failure.ok()) effects_.failure = std::move(status);
}

bool Core::is_member(const std::string& peer) const {
  const families::Configuration& conf = log_.configuration();
  const auto in = [&](const std::vector<std::string>& peers) {
    return std::find(peers.begin(), peers.end(), peer) != peers.end();
  };
  return in(conf.peers) || in(conf.old_peers);
}

}  // namespace qk::raft
