// Timers. The election deadline moves with every message of the leader, so its timer is lazy: it
// fires at an earlier deadline and goes on to the current one.
#include "families/base/check.h"
#include "sim/raft/node.h"

namespace qk::raft {

void Node::set_timers(const Effects& effects) {
  switch (effects.election_timer) {
    case TimerAction::kNone:
      break;
    case TimerAction::kTouch:
      arm_election_timer(false);
      break;
    case TimerAction::kArm:
      arm_election_timer(true);
      break;
    case TimerAction::kCancel:
      QK_CHECK(!"the election timer always runs");
  }
  switch (effects.heartbeat_timer) {
    case TimerAction::kNone:
      break;
    case TimerAction::kTouch:
    case TimerAction::kArm:
      start_heartbeat_timer();
      break;
    case TimerAction::kCancel:
      environment_->cancel_timer(heartbeat_timer_);
      heartbeat_timer_ = 0;
      break;
  }
}

void Node::arm_election_timer(bool new_delay) {
  if (new_delay) {
    // A leader checks its quorum at a fixed pace; everybody else must not wake together.
    const Nanos spread = options_.election_timeout_high - options_.election_timeout_low;
    election_delay_ = options_.election_timeout_low;
    if (core_.role() != Role::kLeader) {
      election_delay_ +=
          static_cast<Nanos>(environment_->random_below(static_cast<uint64_t>(spread) + 1));
    }
  }
  election_deadline_ = environment_->now() + election_delay_;
  if (election_timer_ != 0 && election_timer_at_ <= election_deadline_) return;
  if (election_timer_ != 0) environment_->cancel_timer(election_timer_);
  start_election_timer(election_delay_);
}

void Node::start_election_timer(Nanos delay) {
  election_timer_at_ = environment_->now() + delay;
  election_timer_ = environment_->start_timer(delay, [this] { on_election_timer(); });
}

void Node::on_election_timer() {
  election_timer_ = 0;
  if (halted_) return;
  const Nanos left = election_deadline_ - environment_->now();
  if (left > 0) return start_election_timer(left);
  observer_->timer_fired(Timer::kElection);
  post(Event(event::ElectionTimeout{}));
}

void Node::start_heartbeat_timer() {
  if (heartbeat_timer_ != 0) environment_->cancel_timer(heartbeat_timer_);
  heartbeat_timer_ =
      environment_->start_timer(options_.heartbeat, [this] { on_heartbeat_timer(); });
}

void Node::on_heartbeat_timer() {
  heartbeat_timer_ = 0;
  if (halted_) return;
  observer_->timer_fired(Timer::kHeartbeat);
  // A snapshot offer, or the follower itself, may be lost: offer again while nothing is fetched.
  const Nanos now = environment_->now();
  for (auto& [follower, transfer] : server_.transfers()) {
    if (now - transfer.last_activity < options_.rpc_timeout) continue;
    transfer.last_activity = now;
    transmit(
        Message{follower, core_.next_call_id(),
                InstallRequest{core_.term(), transfer.reader->meta(), server_.uri_of(transfer)}});
  }
  post(Event(event::HeartbeatTimeout{}));
}

void Node::cancel_timers() {
  for (uint64_t* timer : {&election_timer_, &heartbeat_timer_, &download_timer_}) {
    if (*timer != 0) environment_->cancel_timer(*timer);
    *timer = 0;
  }
}

}  // namespace qk::raft
