#include "sim/raft/rule_mutants.h"

#include <algorithm>
#include <limits>
#include <map>
#include <set>
#include <utility>

#include "families/base/check.h"
#include "families/contract/quorum.h"

namespace qk::raft {
namespace {

using families::HardState;
using families::Lane;
using families::LogId;
using families::Mutation;
using families::Operation;

// A call id that no round of an election began after.
constexpr uint64_t kNewestCall = std::numeric_limits<uint64_t>::max();

// What a mutant may remember of one life, and its two hooks.
struct Broken final : CoreTap {
  using Before = bool (*)(Broken&, Core&, Event&, std::vector<Event>*);
  using After = void (*)(Broken&, Core&, Effects*);

  bool before(Core& core, Event& event, std::vector<Event>* first) override {
    if (!begun) {
      begun = true;
      saved = core.hard_state();
      term = core.term();
    }
    if (core.term() != term || core.role() != Role::kLeader) {
      calls.clear();
      matched.clear();
    }
    term = core.term();
    return on_event == nullptr || on_event(*this, core, event, first);
  }
  void after(Core& core, Effects* effects) override {
    if (core.role() == Role::kLeader) {
      for (auto* leaving : {&effects->released, &effects->messages}) {
        for (const Message& message : *leaving) {
          const auto* append = std::get_if<AppendRequest>(&message.body);
          if (append == nullptr) continue;
          calls[message.peer].emplace_back(
              message.call_id, append->prev.index + static_cast<int64_t>(append->entries.size()));
        }
      }
    }
    if (on_effects != nullptr) on_effects(*this, core, effects);
  }

  // The latest append that `peer` was sent and that ends at `last` or before; null: none.
  const std::pair<uint64_t, int64_t>* latest_call(const std::string& peer, int64_t last) const {
    const auto it = calls.find(peer);
    if (it == calls.end()) return nullptr;
    const std::pair<uint64_t, int64_t>* best = nullptr;
    for (const auto& call : it->second) {
      if (call.second <= last && (best == nullptr || call.second >= best->second)) best = &call;
    }
    return best;
  }
  int64_t end_of_call(const std::string& peer, uint64_t id) const {
    const auto it = calls.find(peer);
    if (it == calls.end()) return 0;
    for (const auto& call : it->second) {
      if (call.first == id) return call.second;
    }
    return 0;
  }

  std::function<bool()> acts;
  Before on_event = nullptr;
  After on_effects = nullptr;

  bool begun = false;
  int64_t term = 0;
  HardState saved;  // what storage was last told
  // Of this leadership: each append that left, with the index that it ends at.
  std::map<std::string, std::vector<std::pair<uint64_t, int64_t>>> calls;
  std::map<std::string, int64_t> matched;
  std::string target;  // of a transfer
  std::set<uint64_t> call_ids;
  std::map<Lane, std::pair<uint64_t, uint64_t>> early;  // reported and issued tokens
  std::optional<Mutation> bare;
};

template <typename Body>
Body* received(Event& event, Message** message = nullptr) {
  auto* arrived = std::get_if<event::Received>(&event);
  if (arrived == nullptr) return nullptr;
  if (message != nullptr) *message = &arrived->message;
  return std::get_if<Body>(&arrived->message.body);
}

bool at_least_as_new(const LogId& theirs, const LogId& ours) {
  return theirs.term != ours.term ? theirs.term > ours.term : theirs.index >= ours.index;
}

// Whether an append fits the log, and so would be taken.
bool fits(Core& core, const AppendRequest& request) {
  if (request.term < core.term() || core.role() == Role::kLeader) return false;
  if (request.prev.index > core.log().last().index) return false;
  if (!core.log().knows_term(request.prev.index)) return true;
  const auto ours = core.log().term(request.prev.index);
  return ours.ok() && *ours == request.prev.term;
}

// ------------------------------------------------------------------------------------------ votes

bool ignore_terms(Broken& self, Core& core, Event& event, std::vector<Event>*) {
  auto* vote = received<VoteRequest>(event);
  if (vote == nullptr || !self.acts()) return true;
  const LogId ours = core.log().last();
  vote->last_log.term = vote->last_log.index >= ours.index ? ours.term : 0;
  return true;
}

bool compare_index_first(Broken& self, Core& core, Event& event, std::vector<Event>*) {
  auto* vote = received<VoteRequest>(event);
  if (vote == nullptr || !self.acts()) return true;
  const LogId ours = core.log().last();
  if (vote->last_log.index != ours.index) {
    vote->last_log.term = vote->last_log.index > ours.index ? ours.term : 0;
  }
  return true;
}

bool ignore_log(Broken& self, Core& core, Event& event, std::vector<Event>*) {
  auto* vote = received<VoteRequest>(event);
  if (vote != nullptr && self.acts()) vote->last_log = core.log().last();
  return true;
}

bool find_second_vote(Broken& self, Core& core, Event& event, std::vector<Event>*) {
  Message* from = nullptr;
  const auto* vote = received<VoteRequest>(event, &from);
  const HardState& hard = core.hard_state();
  if (vote != nullptr && !vote->pre && vote->term == hard.term && !hard.voted_for.empty() &&
      hard.voted_for != from->peer && at_least_as_new(vote->last_log, core.log().last()) &&
      self.acts()) {
    self.call_ids.insert(from->call_id);
  }
  return true;
}

void grant_second_vote(Broken& self, Core&, Effects* effects) {
  for (auto* leaving : {&effects->released, &effects->messages}) {
    for (Message& message : *leaving) {
      auto* vote = std::get_if<VoteResponse>(&message.body);
      if (vote != nullptr && !vote->pre && self.call_ids.count(message.call_id) > 0) {
        vote->granted = true;
      }
    }
  }
}

void forget_vote(Broken& self, Core&, Effects* effects) {
  for (Persist& persist : effects->persist) {
    if (persist.mutation.operation == Operation::kSaveMeta && self.acts()) {
      persist.mutation.hard_state.voted_for.clear();
    }
  }
}

// A term without a vote, as one that a message brought.
void forget_term(Broken& self, Core&, Effects* effects) {
  for (Persist& persist : effects->persist) {
    if (persist.mutation.operation != Operation::kSaveMeta) continue;
    HardState& state = persist.mutation.hard_state;
    if (state.voted_for.empty() && self.acts()) {
      state = self.saved;
    } else {
      self.saved = state;
    }
  }
}

bool count_old_vote(Broken& self, Core& core, Event& event, std::vector<Event>*) {
  Message* from = nullptr;
  auto* vote = received<VoteResponse>(event, &from);
  if (vote == nullptr || vote->pre || !vote->granted || vote->term >= core.term() ||
      core.role() != Role::kCandidate || !self.acts()) {
    return true;
  }
  vote->term = core.term();
  from->call_id = kNewestCall;
  return true;
}

bool count_pre_vote(Broken& self, Core& core, Event& event, std::vector<Event>*) {
  Message* from = nullptr;
  auto* vote = received<VoteResponse>(event, &from);
  if (vote == nullptr || !vote->pre || !vote->granted || vote->term > core.term() ||
      core.role() != Role::kCandidate || !self.acts()) {
    return true;
  }
  vote->pre = false;
  vote->term = core.term();
  from->call_id = kNewestCall;
  return true;
}

// One voter counts for two.
bool count_vote_twice(Broken& self, Core& core, Event& event, std::vector<Event>* first) {
  Message* from = nullptr;
  const auto* vote = received<VoteResponse>(event, &from);
  if (vote == nullptr || vote->pre || !vote->granted || core.role() != Role::kCandidate ||
      !self.acts()) {
    return true;
  }
  for (const std::string& peer : core.log().configuration().peers) {
    // The core itself when its own vote is not durable yet.
    if (peer == from->peer) continue;
    Message other = *from;
    other.peer = peer;
    first->push_back(event::Received{std::move(other)});
    break;
  }
  return true;
}

bool raise_on_pre_vote(Broken& self, Core& core, Event& event, std::vector<Event>* first) {
  Message* from = nullptr;
  const auto* vote = received<VoteRequest>(event, &from);
  if (vote == nullptr || !vote->pre || vote->term <= core.term() || !self.acts()) return true;
  first->push_back(event::Received{{from->peer, 0, VoteResponse{true, vote->term, false}}});
  return true;
}

bool ignore_higher_reply(Broken& self, Core& core, Event& event, std::vector<Event>*) {
  auto* arrived = std::get_if<event::Received>(&event);
  if (arrived == nullptr) return true;
  int64_t* term = nullptr;
  if (auto* vote = std::get_if<VoteResponse>(&arrived->message.body)) term = &vote->term;
  if (auto* append = std::get_if<AppendResponse>(&arrived->message.body)) term = &append->term;
  if (auto* install = std::get_if<InstallResponse>(&arrived->message.body)) term = &install->term;
  if (term != nullptr && *term > core.term() && self.acts()) *term = core.term();
  return true;
}

bool stay_candidate(Broken& self, Core& core, Event& event, std::vector<Event>*) {
  const auto* append = received<AppendRequest>(event);
  const bool campaigns = core.role() == Role::kCandidate || core.role() == Role::kPreCandidate;
  return append == nullptr || !campaigns || append->term != core.term() || !self.acts();
}

bool stay_leader(Broken& self, Core& core, Event& event, std::vector<Event>*) {
  return !std::holds_alternative<event::ElectionTimeout>(event) || core.role() != Role::kLeader ||
         !self.acts();
}

bool see_target(Broken& self, Core&, Event& event, std::vector<Event>*) {
  if (const auto* transfer = std::get_if<event::TransferLeadership>(&event)) {
    self.target = transfer->to;
  }
  return true;
}

void transfer_at_once(Broken& self, Core& core, Effects* effects) {
  if (!effects->transfer_accepted || core.match(self.target) >= core.log().last().index ||
      !self.acts()) {
    return;
  }
  effects->messages.push_back({self.target, core.next_call_id(), TimeoutNowRequest{core.term()}});
}

// ---------------------------------------------------------------------------------------- appends

bool skip_previous_check(Broken& self, Core& core, Event& event, std::vector<Event>*) {
  auto* append = received<AppendRequest>(event);
  if (append == nullptr || append->prev.index <= core.commit() ||
      append->prev.index > core.log().last().index || append->term < core.term()) {
    return true;
  }
  const auto ours = core.log().term(append->prev.index);
  if (!ours.ok() || *ours == append->prev.term || !self.acts()) return true;
  // The core checks that terms grow.
  if (!append->entries.empty() && append->entries.front().term < *ours) return true;
  append->prev.term = *ours;
  return true;
}

bool accept_old_leader(Broken& self, Core& core, Event& event, std::vector<Event>*) {
  auto* append = received<AppendRequest>(event);
  if (append == nullptr || append->term >= core.term() || !self.acts()) return true;
  if (!append->entries.empty() && append->entries.front().term < core.log().last().term) {
    return true;  // as above
  }
  append->term = core.term();
  return true;
}

// What follows `prev` is written again, whether or not it is there already.
bool cut_matching(Broken& self, Core& core, Event& event, std::vector<Event>*) {
  const auto* append = received<AppendRequest>(event);
  RaftLog& log = core.log();
  if (append == nullptr || append->entries.empty() || !fits(core, *append) ||
      append->prev.index < core.commit() || !log.knows_term(append->prev.index)) {
    return true;
  }
  if (append->prev.index >= log.last().index || !self.acts()) return true;
  self.bare = log.truncate_suffix(append->prev.index, append->prev.term);
  return true;
}

// A snapshot takes the whole log's place, although the log goes on after it.
bool drop_longer_log(Broken& self, Core& core, Event& event, std::vector<Event>*) {
  const auto* installed = std::get_if<event::SnapshotInstalled>(&event);
  RaftLog& log = core.log();
  if (installed == nullptr) return true;
  const int64_t index = installed->meta.last_included_index;
  if (index < log.first() || index >= log.last().index || index < core.commit()) return true;
  const auto ours = log.term(index);
  if (!ours.ok() || *ours != installed->meta.last_included_term || !self.acts()) return true;
  self.bare = log.truncate_suffix(index, *ours);
  return true;
}

void insert_bare(Broken& self, Core&, Effects* effects) {
  if (!self.bare) return;
  effects->persist.insert(effects->persist.begin(), Persist{0, std::move(*self.bare)});
  self.bare.reset();
}

bool keep_conflicting_suffix(Broken& self, Core& core, Event& event, std::vector<Event>*) {
  auto* installed = std::get_if<event::SnapshotInstalled>(&event);
  if (installed == nullptr) return true;
  const int64_t index = installed->meta.last_included_index;
  if (index < core.log().first() || index > core.log().last().index) return true;
  const auto ours = core.log().term(index);
  if (ours.ok() && *ours != installed->meta.last_included_term && self.acts()) {
    installed->meta.last_included_term = *ours;
  }
  return true;
}

bool raise_snapshot(Broken& self, Core&, Event& event, std::vector<Event>*) {
  auto* installed = std::get_if<event::SnapshotInstalled>(&event);
  if (installed != nullptr && self.acts()) ++installed->meta.last_included_index;
  return true;
}

void cut_above_snapshot(Broken& self, Core& core, Effects* effects) {
  for (Persist& persist : effects->persist) {
    if (persist.mutation.operation == Operation::kTruncatePrefix && self.acts()) {
      persist.mutation.index =
          std::min(core.log().snapshot().last_included_index + 2, core.log().last().index + 1);
    }
  }
}

// ------------------------------------------------------------------------------------- durability

// What was issued counts as durable at the next event. `leads`: of a leader only, or of others.
template <Lane lane, int leads>
bool report_early(Broken& self, Core&, Event& event, std::vector<Event>* first) {
  auto& [reported, issued] = self.early[lane];
  if (const auto* persisted = std::get_if<event::Persisted>(&event);
      persisted != nullptr && persisted->lane == lane) {
    if (persisted->token <= reported) return false;
    if (persisted->token >= issued) issued = 0;
    reported = persisted->token;
  }
  if (issued > reported) {
    first->push_back(event::Persisted{lane, issued});
    reported = issued;
  }
  return true;
}

template <Lane lane, int leads>
void see_issued(Broken& self, Core& core, Effects* effects) {
  if ((core.role() == Role::kLeader) == (leads == 0)) return;
  for (const Persist& persist : effects->persist) {
    if (lane_of(persist.mutation.operation) == lane && persist.token != 0 && self.acts()) {
      self.early[lane].second = persist.token;
    }
  }
}

// ----------------------------------------------------------------------------- counting and commit

bool count_old_reply(Broken& self, Core& core, Event& event, std::vector<Event>*) {
  Message* from = nullptr;
  auto* answer = received<AppendResponse>(event, &from);
  if (answer == nullptr || !answer->success || answer->term >= core.term() ||
      core.role() != Role::kLeader) {
    return true;
  }
  const auto* call = self.latest_call(from->peer, core.log().last().index);
  if (call == nullptr || !self.acts()) return true;
  answer->term = core.term();
  from->call_id = call->first;
  return true;
}

bool count_last_index(Broken& self, Core& core, Event& event, std::vector<Event>*) {
  Message* from = nullptr;
  const auto* answer = received<AppendResponse>(event, &from);
  if (answer == nullptr || !answer->success || answer->term != core.term() ||
      core.role() != Role::kLeader) {
    return true;
  }
  const auto* call = self.latest_call(from->peer, answer->last_log_index);
  if (call != nullptr && call->second > self.end_of_call(from->peer, from->call_id) &&
      self.acts()) {
    from->call_id = call->first;
  }
  return true;
}

// One follower counts for two.
bool count_reply_twice(Broken& self, Core& core, Event& event, std::vector<Event>* first) {
  Message* from = nullptr;
  const auto* answer = received<AppendResponse>(event, &from);
  if (answer == nullptr || !answer->success || answer->term != core.term() ||
      core.role() != Role::kLeader || !self.acts()) {
    return true;
  }
  const int64_t end = self.end_of_call(from->peer, from->call_id);
  for (const auto& [peer, calls] : self.calls) {
    if (peer == from->peer) continue;
    const auto* call = self.latest_call(peer, end);
    if (call == nullptr || call->second <= core.match(peer)) continue;
    Message other = *from;
    other.peer = peer;
    other.call_id = call->first;
    first->push_back(event::Received{std::move(other)});
    return true;
  }
  return true;
}

bool see_match(Broken& self, Core& core, Event& event, std::vector<Event>*) {
  Message* from = nullptr;
  const auto* answer = received<AppendResponse>(event, &from);
  if (answer == nullptr || !answer->success || answer->term != core.term() ||
      core.role() != Role::kLeader) {
    return true;
  }
  int64_t& matched = self.matched[from->peer];
  matched = std::max(matched, self.end_of_call(from->peer, from->call_id));
  return true;
}

// Figure 8. The leader's own commit index stays; it tells its followers.
void commit_old_term(Broken& self, Core& core, Effects* effects) {
  if (core.role() != Role::kLeader) return;
  const auto* peers = &core.log().configuration().peers;
  std::vector<int64_t> ends{core.log().durable()};
  for (const auto& [peer, matched] : self.matched) ends.push_back(matched);
  while (ends.size() < peers->size()) ends.push_back(0);
  std::sort(ends.begin(), ends.end(), std::greater<>());
  const int64_t reached = ends[peers->size() / 2];
  if (reached <= core.commit() || !self.acts()) return;
  for (auto* leaving : {&effects->released, &effects->messages}) {
    for (Message& message : *leaving) {
      auto* append = std::get_if<AppendRequest>(&message.body);
      if (append != nullptr) append->committed = std::max(append->committed, reached);
    }
  }
}

// As far as the log goes, checked or not.
bool commit_unverified(Broken& self, Core& core, Event& event, std::vector<Event>* first) {
  Message* from = nullptr;
  const auto* append = received<AppendRequest>(event, &from);
  if (append == nullptr || !fits(core, *append)) return true;
  const int64_t checked = append->prev.index + static_cast<int64_t>(append->entries.size());
  const int64_t unchecked = std::min(append->committed, core.log().last().index);
  if (unchecked <= checked || unchecked <= core.commit() || !self.acts()) return true;
  AppendRequest heartbeat;
  heartbeat.term = append->term;
  heartbeat.prev = core.log().last();
  heartbeat.committed = append->committed;
  first->push_back(event::Received{{from->peer, 0, std::move(heartbeat)}});
  return true;
}

struct Row {
  RuleMutant mutant;
  Broken::Before on_event;
  Broken::After on_effects;
};

const std::vector<Row>& rows() {
  static const std::vector<Row> all = {
      // Votes (thesis 3.4, 3.6.1, 3.8, 9.6).
      {{"vote-terms-ignored", "a voter compares the last indices of the logs, not their terms"},
       ignore_terms,
       nullptr},
      {{"vote-index-first", "a voter compares the last terms only where the indices are equal"},
       compare_index_first,
       nullptr},
      {{"vote-log-ignored", "a voter does not compare the logs"}, ignore_log, nullptr},
      {{"second-vote", "a voter grants a second vote in a term"},
       find_second_vote,
       grant_second_vote},
      {{"vote-in-memory", "a vote is not saved, its term is"}, nullptr, forget_vote},
      {{"term-in-memory", "a term that a message brought is not saved"}, nullptr, forget_term},
      {{"hard-state-counted-early", "term and vote count as saved before they are"},
       report_early<Lane::kMeta, 0>,
       see_issued<Lane::kMeta, 0>},
      {{"old-vote-counted", "a candidate counts a vote of an earlier term"},
       count_old_vote,
       nullptr},
      {{"pre-vote-counted", "a candidate counts the answer to a pre-vote as a vote"},
       count_pre_vote,
       nullptr},
      {{"vote-counted-twice", "a candidate counts one voter for two"}, count_vote_twice, nullptr},
      {{"pre-vote-raises-term", "a pre-vote raises the term of whom it asks"},
       raise_on_pre_vote,
       nullptr},
      // Terms and roles (thesis 3.3, 3.4, 6.2, 3.10).
      {{"higher-reply-ignored", "an answer of a higher term does not raise the term"},
       ignore_higher_reply,
       nullptr},
      {{"candidate-stays", "a candidate does not follow a leader of its own term"},
       stay_candidate,
       nullptr},
      {{"leader-stays", "a leader that hears from no quorum does not step down"},
       stay_leader,
       nullptr},
      {{"transfer-to-lagging", "leadership is handed over before the target has the log"},
       see_target,
       transfer_at_once},
      // Appends (thesis 3.5).
      {{"previous-unchecked", "a follower does not compare the entry before those it is sent"},
       skip_previous_check,
       nullptr},
      {{"old-leader-followed", "a follower takes entries from a leader of an earlier term"},
       accept_old_leader,
       nullptr},
      {{"matching-tail-cut", "a follower cuts off entries that match", true},
       cut_matching,
       insert_bare},
      // Snapshots (thesis 5.1, 5.2).
      {{"longer-log-dropped", "an installed snapshot replaces a longer log that matches it", true},
       drop_longer_log,
       insert_bare},
      {{"conflicting-log-kept", "what follows an installed snapshot stays, although it conflicts"},
       keep_conflicting_suffix,
       nullptr},
      {{"snapshot-index-raised", "an installed snapshot counts for an entry more than it holds"},
       raise_snapshot,
       nullptr},
      {{"log-cut-above-snapshot", "compaction takes an entry that no snapshot holds"},
       nullptr,
       cut_above_snapshot},
      // Counting (thesis 3.5, 3.6.2, 10.2.1).
      {{"old-term-committed", "a leader counts replicas to commit an entry of an earlier term"},
       see_match,
       commit_old_term},
      {{"own-log-counted-early", "a leader counts its own entries before they are written"},
       report_early<Lane::kLog, 1>,
       see_issued<Lane::kLog, 1>},
      {{"append-answered-early", "a follower answers an append before it is written"},
       report_early<Lane::kLog, 0>,
       see_issued<Lane::kLog, 0>},
      {{"old-reply-counted", "a leader counts an answer to its earlier leadership"},
       count_old_reply,
       nullptr},
      {{"last-index-counted", "a leader takes the last index of a follower for what matches"},
       count_last_index,
       nullptr},
      {{"reply-counted-twice", "a leader counts one follower for two"}, count_reply_twice, nullptr},
      {{"commit-unverified",
        "a follower commits entries that it did not compare with the leader's"},
       commit_unverified,
       nullptr},
  };
  return all;
}

}  // namespace

std::span<const RuleMutant> rule_mutants() {
  static const std::vector<RuleMutant> mutants = [] {
    std::vector<RuleMutant> all;
    for (const Row& row : rows()) all.push_back(row.mutant);
    return all;
  }();
  return mutants;
}

std::unique_ptr<CoreTap> make_rule_mutant(std::string_view name, std::function<bool()> acts) {
  for (const Row& row : rows()) {
    if (row.mutant.name != name) continue;
    auto broken = std::make_unique<Broken>();
    broken->acts = std::move(acts);
    broken->on_event = row.on_event;
    broken->on_effects = row.on_effects;
    return broken;
  }
  return nullptr;
}

}  // namespace qk::raft
