// Append entries, commit.
#include <algorithm>

#include "families/base/check.h"
#include "families/contract/quorum.h"
#include "sim/raft/core.h"

namespace qk::raft {

using families::LogEntry;

void Core::handle(event::Propose event) {
  if (role_ != Role::kLeader || transferring()) return;
  std::vector<LogEntry> entries;
  entries.reserve(event.payloads.size());
  for (std::string& payload : event.payloads) {
    LogEntry entry;
    entry.payload = std::move(payload);
    entries.push_back(std::move(entry));
  }
  if (entries.empty()) return;
  effects_.proposed_at = log_.last().index + 1;
  append(std::move(entries));
  replicate_all();
}

// The leader only appends: index and term are given here.
void Core::append(std::vector<LogEntry> entries) {
  QK_CHECK(role_ == Role::kLeader);
  int64_t index = log_.last().index;
  for (LogEntry& entry : entries) {
    entry.index = ++index;
    entry.term = term();
  }
  const uint64_t token = ++log_issued_;
  effects_.persist.push_back({token, log_.append(std::move(entries), token)});
}

void Core::sync_progress_with_configuration() {
  const families::Configuration& conf = log_.configuration();
  const auto add = [&](const std::vector<std::string>& peers) {
    for (const std::string& peer : peers) {
      if (peer == options_.self) continue;
      const auto [it, added] = progress_.try_emplace(peer);
      if (added) it->second.next = log_.last().index + 1;
    }
  };
  add(conf.peers);
  add(conf.old_peers);
}

void Core::replicate_all() {
  for (auto& [peer, progress] : progress_) replicate(peer, progress);
}

void Core::replicate(const std::string& peer, Progress& progress) {
  using State = Progress::State;
  while (progress.state != State::kSnapshot && !progress.wait_for_heartbeat) {
    const bool probing = progress.state == State::kProbe;
    const size_t window = probing ? 1 : options_.max_appends_in_flight;
    if (progress.calls.size() >= window) return;
    const int64_t last = log_.last().index;
    if (!probing && progress.next > last) return;

    QK_CHECK(progress.next > progress.match && progress.next <= last + 1);
    const int64_t prev = progress.next - 1;
    if (progress.next < log_.first() || !log_.knows_term(prev)) {
      progress.state = State::kSnapshot;
      progress.calls.clear();
      effects_.install.push_back(peer);
      decide({"follower needs index #, the log begins at # -> install snapshot", progress.next,
              log_.first()});
      return;
    }
    AppendRequest request;
    request.term = term();
    request.committed = commit_;
    request.prev.index = prev;
    const auto prev_term = log_.term(prev);
    if (!prev_term.ok()) return fail(prev_term.status());
    request.prev.term = *prev_term;
    if (progress.next <= last) {
      const int64_t to =
          std::min(last, prev + static_cast<int64_t>(options_.max_entries_per_append));
      auto entries = log_.entries(progress.next, to, options_.max_bytes_per_append);
      if (!entries.ok()) return fail(entries.status());
      request.entries = std::move(*entries);
    }
    const int64_t sent = prev + static_cast<int64_t>(request.entries.size());
    const uint64_t call = next_call_id();
    if (progress.calls.empty()) progress.silent_heartbeats = 0;
    progress.calls.push_back({call, sent});
    if (!probing) progress.next = sent + 1;
    send(peer, call, std::move(request));
    if (probing) return;
  }
}

void Core::handle(event::HeartbeatTimeout) {
  if (role_ != Role::kLeader) return;
  effects_.heartbeat_timer = TimerAction::kArm;
  for (auto& [peer, progress] : progress_) {
    progress.wait_for_heartbeat = false;
    if (!progress.calls.empty() &&
        ++progress.silent_heartbeats >= options_.retry_after_heartbeats) {
      // Requests or answers were lost. What was sent beyond `match` is sent again, one at a time
      // until the follower answers.
      progress.calls.clear();
      if (progress.state == Progress::State::kReplicate) progress.next = progress.match + 1;
      progress.state = Progress::State::kProbe;
      decide({"no answer for # heartbeats -> send again from #", options_.retry_after_heartbeats,
              progress.next});
    }
    send_heartbeat(peer, progress);
    replicate(peer, progress);
    if (!effects_.failure.ok()) return;
  }
  continue_transfer();
}

// An empty append at what the follower is known to hold, so it passes whatever else is under way.
void Core::send_heartbeat(const std::string& peer, Progress& progress) {
  AppendRequest request;
  request.term = term();
  request.committed = commit_;
  if (log_.knows_term(progress.match)) {
    const auto prev_term = log_.term(progress.match);
    if (!prev_term.ok()) return fail(prev_term.status());
    request.prev = {progress.match, *prev_term};
  }
  progress.heartbeat = {next_call_id(), request.prev.index};
  send(peer, progress.heartbeat.id, std::move(request));
}

// True if `from` leads term `term` and we follow it; otherwise the caller answers with a refusal.
bool Core::accept_leader(const std::string& from, int64_t term) {
  if (term < hard_state_.term) {
    decide({"term of the leader is old (# vs #) -> refused", term, hard_state_.term});
    return false;
  }
  if (term > hard_state_.term) {
    become_follower(
        term, from,
        {"remote term is higher (# vs #) -> follow the new leader", term, hard_state_.term});
    effects_.election_timer = TimerAction::kArm;
    return true;
  }
  if (role_ == Role::kLeader || (!leader_.empty() && leader_ != from)) {
    decide({"a second leader in term # -> refused", term});
    return false;
  }
  if (leader_.empty()) {
    become_follower(term, from, {"leader found in term #", term});
    effects_.election_timer = TimerAction::kArm;
    return true;
  }
  QK_CHECK(role_ == Role::kFollower);
  if (effects_.election_timer == TimerAction::kNone) effects_.election_timer = TimerAction::kTouch;
  return true;
}

void Core::receive(const Message& from, AppendRequest& request) {
  const auto refuse = [&] {
    send(from.peer, from.call_id, AppendResponse{term(), false, log_.last().index});
  };
  if (!accept_leader(from.peer, request.term)) return refuse();

  const int64_t last_sent = request.prev.index + static_cast<int64_t>(request.entries.size());
  if (request.prev.index > log_.last().index) {
    decide({"previous index # is beyond our last, # -> refused", request.prev.index,
            log_.last().index});
    return refuse();
  }
  // What was compacted is committed, so it is in the leader's log too.
  if (log_.knows_term(request.prev.index)) {
    const auto prev_term = log_.term(request.prev.index);
    if (!prev_term.ok()) return fail(prev_term.status());
    if (*prev_term != request.prev.term) {
      if (request.prev.index <= commit_) {
        return fail_committed(from.peer, request.prev, *prev_term);
      }
      decide({"previous entry has term #, ours has # -> refused", request.prev.term, *prev_term});
      return refuse();
    }
  }
  if (!take_entries(from.peer, request.entries)) return;
  known_committed_ = std::max(known_committed_, std::min(request.committed, last_sent));
  const uint64_t after = last_sent <= commit_ ? 0 : log_.token_for(last_sent);
  send(from.peer, from.call_id, AppendResponse{term(), true, log_.last().index}, after);
  advance_commit();
}

// Somebody broke Raft's promise, and going on would break it for our clients too.
void Core::fail_committed(const std::string& leader, const families::LogId& theirs, int64_t ours) {
  fail(absl::DataLossError(cat("leader ", leader, " of term ", term(), " has index ", theirs.index,
                               " with term ", theirs.term, ", but it is committed with term ",
                               ours)));
}

// Appends what is new, after cutting off what conflicts. False: failed.
bool Core::take_entries(const std::string& leader, std::vector<LogEntry>& entries) {
  size_t skip = 0;
  for (; skip < entries.size(); ++skip) {
    const LogEntry& entry = entries[skip];
    if (entry.index > log_.last().index) break;
    if (!log_.knows_term(entry.index)) continue;  // compacted, hence committed
    const auto ours = log_.term(entry.index);
    if (!ours.ok()) {
      fail(ours.status());
      return false;
    }
    if (*ours == entry.term) continue;
    if (entry.index <= commit_) {
      fail_committed(leader, {entry.index, entry.term}, *ours);
      return false;
    }
    const auto last_term = log_.term(entry.index - 1);
    if (!last_term.ok()) {
      fail(last_term.status());
      return false;
    }
    decide({"entry # conflicts, its term was # -> cut off from there", entry.index, *ours});
    effects_.persist.push_back({++log_issued_, log_.truncate_suffix(entry.index - 1, *last_term)});
    break;
  }
  if (skip == entries.size()) return true;
  entries.erase(entries.begin(), entries.begin() + static_cast<std::ptrdiff_t>(skip));
  const uint64_t token = ++log_issued_;
  effects_.persist.push_back({token, log_.append(std::move(entries), token)});
  return true;
}

void Core::receive(const Message& from, const AppendResponse& response) {
  if (response.term > term()) {
    become_follower(response.term, "",
                    {"remote term is higher (# vs #) -> step down", response.term, term()});
    return;
  }
  // An answer to an earlier leadership of ours says nothing about this one (KB-77).
  if (role_ != Role::kLeader || response.term < term()) return;
  const auto it = progress_.find(from.peer);
  if (it == progress_.end()) return;
  Progress& progress = it->second;
  progress.heard = true;

  auto& calls = progress.calls;
  const auto call = std::find_if(calls.begin(), calls.end(),
                                 [&](const Progress::Call& c) { return c.id == from.call_id; });
  if (call == calls.end()) return;  // a heartbeat, or a call that was given up
  progress.silent_heartbeats = 0;

  if (response.success) {
    QK_CHECK(call->last <= log_.last().index);
    progress.match = std::max(progress.match, call->last);
    // Success at an index means that everything before it arrived too.
    calls.erase(calls.begin(), call + 1);
    progress.back_off = 1;
    progress.next = std::max(progress.next, progress.match + 1);
    if (progress.state == Progress::State::kProbe) {
      progress.state = Progress::State::kReplicate;
      progress.next = progress.match + 1;
    }
    advance_commit();
    if (from.peer == transfer_to_) continue_transfer();
  } else {
    // The follower misses entries, or has others: look further back, in growing strides.
    if (progress.state == Progress::State::kReplicate) {
      progress.next = progress.match + 1;  // an earlier append is late or lost
    } else {
      // A follower that takes back what it acknowledged is not asked again at once.
      progress.wait_for_heartbeat = progress.next == progress.match + 1;
      progress.next = std::max(progress.match + 1, std::min(response.last_log_index + 1,
                                                            progress.next - progress.back_off));
      progress.back_off = std::min(progress.back_off * 2, int64_t{1} << 20);
    }
    calls.clear();
    progress.state = Progress::State::kProbe;
    decide({"append refused, follower ends at # -> probe from #", response.last_log_index,
            progress.next});
  }
  replicate(from.peer, progress);
}

void Core::advance_commit() {
  int64_t commit = commit_;
  if (role_ == Role::kLeader) {
    const int64_t reached = quorum_index(log_.configuration(), [&](const std::string& peer) {
      if (peer == options_.self) return log_.durable();
      const auto it = progress_.find(peer);
      return it == progress_.end() ? int64_t{0} : it->second.match;
    });
    if (reached <= commit_) return;
    const auto reached_term = log_.term(reached);
    if (!reached_term.ok()) return fail(reached_term.status());
    if (*reached_term != term()) return;  // figure 8: only by an entry of the own term
    commit = reached;
  } else {
    commit = std::min(known_committed_, log_.durable());
    if (commit <= commit_) return;
  }
  QK_CHECK(commit <= log_.last().index);
  commit_ = commit;
  effects_.commit = commit;
}

}  // namespace qk::raft
