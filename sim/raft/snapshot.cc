// Snapshots as the core sees them: they move the beginning of the log, and they travel.
#include <algorithm>

#include "families/base/check.h"
#include "sim/raft/core.h"

namespace qk::raft {

bool Core::set_snapshot(const families::SnapshotMeta& meta) {
  auto mutation = log_.set_snapshot(meta);
  if (!mutation.ok()) {
    fail(mutation.status());
    return false;
  }
  if (*mutation) effects_.persist.push_back({++log_issued_, std::move(**mutation)});
  return true;
}

void Core::handle(event::SnapshotSaved event) {
  QK_CHECK(event.meta.last_included_index <= commit_);
  if (!set_snapshot(event.meta)) return;
  decide({"snapshot at # -> log begins at #", event.meta.last_included_index, log_.first()});
}

void Core::receive(const Message& from, InstallRequest& request) {
  if (!accept_leader(from.peer, request.term)) {
    send(from.peer, from.call_id, InstallResponse{term(), false});
    return;
  }
  if (request.meta.last_included_index <= commit_) {
    decide({"snapshot at # offered, already committed # -> nothing to install",
            request.meta.last_included_index, commit_});
    send(from.peer, from.call_id, InstallResponse{term(), true});
    return;
  }
  effects_.download =
      Download{from.peer, from.call_id, std::move(request.meta), std::move(request.uri)};
}

void Core::handle(event::SnapshotInstalled event) {
  const int64_t index = event.meta.last_included_index;
  if (index > log_.snapshot().last_included_index) {
    if (!set_snapshot(event.meta)) return;
    commit_ = std::max(commit_, index);
    known_committed_ = std::max(known_committed_, index);
    decide({"snapshot at # installed -> log begins at #", index, log_.first()});
    advance_commit();
  }
  // Until the log follows the snapshot, a restart would have to repair it: say so only afterwards.
  send(event.leader, event.call_id, InstallResponse{term(), true}, log_issued_);
}

void Core::handle(event::InstallRefused event) {
  send(event.leader, event.call_id, InstallResponse{term(), false});
}

void Core::receive(const Message& from, const InstallResponse& response) {
  if (response.term > term()) {
    become_follower(response.term, "",
                    {"remote term is higher (# vs #) -> step down", response.term, term()});
    return;
  }
  if (role_ != Role::kLeader) return;
  const auto it = progress_.find(from.peer);
  if (it != progress_.end()) it->second.heard = true;
}

void Core::handle(event::InstallDone event) {
  if (role_ != Role::kLeader) return;
  const auto it = progress_.find(event.peer);
  if (it == progress_.end() || it->second.state != Progress::State::kSnapshot) return;
  Progress& progress = it->second;
  progress.state = Progress::State::kProbe;
  progress.back_off = 1;
  progress.calls.clear();
  if (event.success) {
    QK_CHECK(event.index <= log_.last().index);
    progress.match = std::max(progress.match, event.index);
    progress.next = progress.match + 1;
    decide({"follower has the snapshot at # -> probe from #", event.index, progress.next});
    advance_commit();
  } else {
    progress.wait_for_heartbeat = true;
    decide({"follower did not take the snapshot at # -> try again later", event.index});
  }
  replicate(event.peer, progress);
}

}  // namespace qk::raft
