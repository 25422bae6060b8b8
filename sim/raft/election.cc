// Pre-vote, vote, check-quorum and leadership transfer.
#include "families/base/check.h"
#include "families/contract/quorum.h"
#include "sim/raft/core.h"

namespace qk::raft {
namespace {

// Is a log that ends at `theirs` at least as new as one that ends at `ours` (Raft 5.4.1)?
bool at_least_as_new(const families::LogId& theirs, const families::LogId& ours) {
  return theirs.term != ours.term ? theirs.term > ours.term : theirs.index >= ours.index;
}

// Calls `f` for each member but `self` once, in order of peer id.
template <typename F>
void for_each_other(const families::Configuration& configuration, const std::string& self, F f) {
  std::set<std::string> others(configuration.peers.begin(), configuration.peers.end());
  others.insert(configuration.old_peers.begin(), configuration.old_peers.end());
  others.erase(self);
  for (const std::string& peer : others) f(peer);
}

}  // namespace

void Core::start_pre_vote() {
  effects_.election_timer = TimerAction::kArm;
  if (!is_member(options_.self)) {
    leader_.clear();
    decide({"election timeout, but not a member -> stay follower"});
    return;
  }
  role_ = Role::kPreCandidate;
  leader_.clear();
  votes_ = {options_.self};
  vote_token_ = 0;
  round_first_call_ = next_call_id_;
  decide({"election timeout -> pre-vote for term #", term() + 1}, true);
  for_each_other(log_.configuration(), options_.self, [&](const std::string& peer) {
    send(peer, next_call_id(), VoteRequest{true, term() + 1, log_.last()});
  });
  count_votes();
}

void Core::start_election(Reason why) {
  QK_CHECK(role_ != Role::kLeader);
  effects_.election_timer = TimerAction::kArm;
  role_ = Role::kCandidate;
  leader_.clear();
  votes_.clear();
  round_first_call_ = next_call_id_;
  set_hard_state(term() + 1, options_.self);
  vote_token_ = meta_issued_;
  decide(why, true);
  for_each_other(log_.configuration(), options_.self, [&](const std::string& peer) {
    send(peer, next_call_id(), VoteRequest{false, term(), log_.last()});
  });
}

void Core::count_votes() {
  QK_CHECK(role_ == Role::kPreCandidate || role_ == Role::kCandidate);
  const bool won = has_quorum(log_.configuration(),
                              [&](const std::string& peer) { return votes_.count(peer) > 0; });
  if (!won) return;
  if (role_ == Role::kPreCandidate) {
    start_election({"pre-vote won -> candidate in term #", term() + 1});
  } else {
    become_leader();
  }
}

void Core::become_leader() {
  QK_CHECK(role_ == Role::kCandidate);
  QK_CHECK(hard_state_.voted_for == options_.self && meta_durable_ == meta_issued_);
  role_ = Role::kLeader;
  leader_ = options_.self;
  effects_.won_with = log_.last();
  effects_.election_timer = TimerAction::kArm;
  effects_.heartbeat_timer = TimerAction::kArm;
  decide({"election won in term #, last index # -> leader", term(), log_.last().index}, true);
  // Nobody knows yet which entries of earlier terms are committed; this one settles it.
  families::LogEntry entry;
  entry.type = families::EntryType::kConfiguration;
  entry.payload = families::encode_configuration(log_.configuration());
  const int64_t next = log_.last().index + 1;
  std::vector<families::LogEntry> entries;
  entries.push_back(std::move(entry));
  append(std::move(entries));
  sync_progress_with_configuration();
  for (auto& [peer, progress] : progress_) progress.next = next;
  replicate_all();
}

void Core::check_quorum() {
  const bool heard = has_quorum(log_.configuration(), [&](const std::string& peer) {
    if (peer == options_.self) return true;
    const auto it = progress_.find(peer);
    return it != progress_.end() && it->second.heard;
  });
  if (!heard) {
    become_follower(term(), "",
                    {"no quorum within an election timeout in term # -> step down", term()});
    return;
  }
  for (auto& [peer, progress] : progress_) progress.heard = false;
  effects_.election_timer = TimerAction::kArm;
  if (transferring() && ++transfer_timeouts_ >= 2) {
    transfer_to_.clear();
    decide({"leadership transfer took longer than an election timeout -> given up"});
  }
}

void Core::receive(const Message& from, const VoteRequest& request) {
  const auto answer = [&](bool granted) {
    send(from.peer, from.call_id, VoteResponse{request.pre, term(), granted});
  };
  if (request.term < term()) {
    decide({"term of the request is old (# vs #) -> vote refused", request.term, term()});
    return answer(false);
  }
  const bool log_ok = at_least_as_new(request.last_log, log_.last());
  if (request.pre) {
    // A leader is alive as long as its follower's election timer has not run out. If the leader
    // itself asks, it is leader no more.
    if (!leader_.empty() && leader_ != from.peer) {
      decide({"a leader is alive in term # -> pre-vote refused", term()});
      return answer(false);
    }
    if (!log_ok) {
      decide({"candidate's last index # is behind ours, # -> pre-vote refused",
              request.last_log.index, log_.last().index});
    }
    return answer(log_ok);
  }
  if (request.term > term()) {
    become_follower(request.term, "",
                    {"remote term is higher (# vs #) -> step down", request.term, term()});
  }
  if (!log_ok) {
    decide({"candidate's last index # is behind ours, # -> vote refused", request.last_log.index,
            log_.last().index});
    return answer(false);
  }
  if (!hard_state_.voted_for.empty() && hard_state_.voted_for != from.peer) {
    decide({"already voted in term # -> vote refused", term()});
    return answer(false);
  }
  QK_CHECK(role_ == Role::kFollower || role_ == Role::kPreCandidate);
  if (hard_state_.voted_for.empty()) set_hard_state(term(), from.peer);
  if (role_ == Role::kPreCandidate) {
    become_follower(term(), "", {"vote granted in term # -> follower", term()});
  } else {
    decide({"vote granted in term #", term()});
  }
  effects_.election_timer = TimerAction::kArm;
  answer(true);
}

void Core::receive(const Message& from, const VoteResponse& response) {
  if (response.term > term()) {
    become_follower(response.term, "",
                    {"remote term is higher (# vs #) -> step down", response.term, term()});
    return;
  }
  const Role asked = response.pre ? Role::kPreCandidate : Role::kCandidate;
  if (role_ != asked || from.call_id < round_first_call_ || !response.granted) return;
  if (!response.pre && response.term != term()) return;  // granted in an earlier term
  votes_.insert(from.peer);
  count_votes();
}

void Core::handle(event::TransferLeadership event) {
  if (role_ != Role::kLeader || event.to == options_.self || transferring() ||
      progress_.count(event.to) == 0) {
    decide({"leadership transfer refused in term #", term()});
    return;
  }
  transfer_to_ = event.to;
  transfer_timeouts_ = 0;
  effects_.transfer_accepted = true;
  decide({"leadership transfer begins in term #", term()});
  continue_transfer();
}

void Core::continue_transfer() {
  if (!transferring()) return;
  const auto it = progress_.find(transfer_to_);
  QK_CHECK(it != progress_.end());
  if (it->second.match < log_.last().index) return;
  send(transfer_to_, next_call_id(), TimeoutNowRequest{term()});
}

void Core::receive(const Message& from, const TimeoutNowRequest& request) {
  if (request.term > term()) {
    become_follower(request.term, "",
                    {"remote term is higher (# vs #) -> step down", request.term, term()});
  }
  if (request.term != term() || role_ != Role::kFollower || !is_member(options_.self)) {
    send(from.peer, from.call_id, TimeoutNowResponse{term(), false});
    return;
  }
  start_election({"leadership handed over -> candidate in term #", term() + 1});
  send(from.peer, from.call_id, TimeoutNowResponse{term(), true});
}

void Core::receive(const Message&, const TimeoutNowResponse& response) {
  if (response.term > term()) {
    become_follower(response.term, "",
                    {"remote term is higher (# vs #) -> step down", response.term, term()});
  }
}

}  // namespace qk::raft
