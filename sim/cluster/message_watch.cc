#include "sim/cluster/message_watch.h"

#include "sim/raft/wire/raft.pb.h"

namespace qk::sim {
namespace {

using raft::Method;

// An answer to an older append than this many is not judged.
constexpr size_t kCallsRemembered = 256;

template <typename Proto>
std::optional<Proto> body_of(const raft::Packet& packet) {
  Proto proto;
  if (!proto.ParseFromString(packet.body)) return std::nullopt;
  return proto;
}

template <typename Request, typename Response>
std::optional<int64_t> term_in(const raft::Packet& packet) {
  if (packet.response) {
    const auto response = body_of<Response>(packet);
    return response ? std::optional(response->term()) : std::nullopt;
  }
  const auto request = body_of<Request>(packet);
  return request ? std::optional(request->term()) : std::nullopt;
}

// Of the node that sent it; nullopt: it speaks of none.
std::optional<int64_t> spoken_term(const raft::Packet& packet) {
  switch (packet.method) {
    case Method::kPreVote:
      // A pre-vote asks about a term that its sender is not in.
      if (!packet.response) return std::nullopt;
      [[fallthrough]];
    case Method::kRequestVote:
      return term_in<braft::RequestVoteRequest, braft::RequestVoteResponse>(packet);
    case Method::kAppendEntries:
      return term_in<braft::AppendEntriesRequest, braft::AppendEntriesResponse>(packet);
    case Method::kInstallSnapshot:
      return term_in<braft::InstallSnapshotRequest, braft::InstallSnapshotResponse>(packet);
    case Method::kTimeoutNow:
      return term_in<braft::TimeoutNowRequest, braft::TimeoutNowResponse>(packet);
    case Method::kGetFile:
      return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace

void MessageWatch::remember(const raft::Packet& append, Calls* calls) {
  const auto request = body_of<braft::AppendEntriesRequest>(append);
  if (!request) return;
  const int count = request->entries_size();
  const int64_t term = count == 0 ? request->prev_log_term() : request->entries(count - 1).term();
  (*calls)[append.call_id] = {request->prev_log_index() + count, term};
  if (calls->size() > kCallsRemembered) calls->erase(calls->begin());
}

void MessageWatch::sent(NodeId to, const raft::Packet& packet, const Self& self) {
  if (packet.error != 0) return;
  const int node = node_ - 1;
  if (const auto term = spoken_term(packet)) checker_.speaks_of_term(node, *term);
  if (packet.method == Method::kRequestVote && packet.response) {
    const auto vote = body_of<braft::RequestVoteResponse>(packet);
    if (vote && vote->granted()) {
      checker_.grants(node, vote->term(), plan_.cluster.nodes[to - 1].peer);
    }
  }
  if (packet.method != Method::kAppendEntries) return;
  if (!packet.response) return remember(packet, &asked_[to]);
  const auto answer = body_of<braft::AppendEntriesResponse>(packet);
  const Calls& calls = asking_[to];
  const auto call = calls.find(packet.call_id);
  if (answer && answer->success() && call != calls.end()) {
    checker_.confirms(node, call->second.index, call->second.term);
    if (self.last.index > call->second.index && self.last.term < answer->term()) {
      reach_.hit(ReachProbe::kConfirmedBelowTail);
    }
  }
}

void MessageWatch::arrived(NodeId from, const raft::Packet& packet, const Self& self) {
  if (packet.error != 0) return;
  // Whose pre-vote is refused never asks for the vote.
  const bool vote_asked =
      packet.method == Method::kRequestVote || packet.method == Method::kPreVote;
  if (vote_asked && !packet.response) {
    const auto vote = body_of<braft::RequestVoteRequest>(packet);
    if (vote && vote->last_log_index() >= self.last.index &&
        vote->last_log_term() < self.last.term) {
      reach_.hit(ReachProbe::kVoteLongerOlder);
    }
  }
  if (packet.method != Method::kAppendEntries) return;
  if (!packet.response) return remember(packet, &asking_[from]);
  const auto answer = body_of<braft::AppendEntriesResponse>(packet);
  const Calls& calls = asked_[from];
  const auto call = calls.find(packet.call_id);
  if (!answer || !answer->success() || call == calls.end() || !self.leads ||
      answer->term() != self.term) {
    return;
  }
  const Entry& end = call->second;
  checker_.counted(from - 1, self.term, end.index, end.term);
  if (end.term < self.term && end.index > self.commit) reach_.hit(ReachProbe::kOldTermConfirmed);
}

}  // namespace qk::sim
