// META: term and vote.
#include "conformance/groups.h"

namespace qk::sim::conformance {
namespace {

using families::HardState;

HardState vote(int64_t term, std::string_view peer) { return {term, std::string(peer)}; }

void default_state(InstanceContext& c) {
  c.begin();
  c.expect_equal("term", c.meta().hard_state().term, int64_t{1});
  c.expect_equal("vote", c.meta().hard_state().voted_for, std::string());
  // Other lanes do not touch it.
  c.apply(append(entries(1, 3, 9)));
  c.apply(publish(snapshot(2, 9)));
  c.reopen();
  c.expect(c.meta().hard_state() == HardState(), "after other changes: found another hard state");
}

void save_vote(InstanceContext& c) {
  c.begin();
  c.apply(save_meta(vote(4, kPeer)));
  c.expect(c.meta().hard_state() == vote(4, kPeer), "hard state: found another one than saved");
  c.reopen();
}

void save_same(InstanceContext& c) {
  c.begin({save_meta(vote(4, kPeer))});
  c.apply(save_meta(vote(4, kPeer)));
  c.reopen();
  c.apply(save_meta(vote(4, kPeer)));
  c.reopen();
}

void term_up(InstanceContext& c) {
  c.begin({save_meta(vote(2, kPeer))});
  c.apply(save_meta(vote(3, "")));  // a new term has no vote yet
  c.reopen();
  for (int64_t term = 4; term < 24; ++term) c.apply(save_meta(vote(term, kOtherPeer)));
  c.reopen();
}

void term_far_up(InstanceContext& c) {
  c.begin();
  for (const int64_t term : {int64_t{1} << 31, (int64_t{1} << 32) + 5, INT64_MAX - 1}) {
    c.apply(save_meta(vote(term, kPeer)));
    c.reopen();
  }
}

// The term may be ahead of the log's.
void term_above_log(InstanceContext& c) {
  c.begin({append(entries(1, 3, 2)), save_meta(vote(40, kThirdPeer))});
  c.reopen();
  c.apply(append({entry(4, 40)}));
  c.reopen();
}

void vote_set(InstanceContext& c) {
  c.begin({save_meta(vote(5, ""))});
  c.apply(save_meta(vote(5, kOtherPeer)));  // nobody -> somebody, in one term
  c.reopen();
}

void vote_in_first_term(InstanceContext& c) {
  c.begin();
  c.apply(save_meta(vote(1, kPeer)));
  c.reopen();
  c.apply(save_meta(vote(1, kOtherPeer)));  // refused
  c.reopen();
}

void vote_change_in_term_refused(InstanceContext& c) {
  c.begin({save_meta(vote(5, kPeer))});
  c.apply(save_meta(vote(5, kOtherPeer)));
  c.apply(save_meta(vote(5, "")));
  c.expect(c.meta().hard_state() == vote(5, kPeer), "the vote: found another one than saved");
  c.reopen();
  c.apply(save_meta(vote(5, kOtherPeer)));
  c.apply(save_meta(vote(6, kOtherPeer)));
  c.reopen();
}

void term_down_refused(InstanceContext& c) {
  c.begin({save_meta(vote(5, kPeer))});
  for (const int64_t term : {int64_t{4}, int64_t{1}, int64_t{0}, int64_t{-1}, INT64_MIN}) {
    c.apply(save_meta(vote(term, kPeer)));
    c.apply(save_meta(vote(term, "")));
  }
  c.reopen();
  c.apply(save_meta(vote(7, "")));
  c.reopen();
}

void survives_restart(InstanceContext& c) {
  for (const std::string_view peer : {std::string_view(), kPeer, kOtherPeer, kThirdPeer}) {
    if (!c.is_open()) {
      c.begin({append(entries(1, 2))});
    }
    c.apply(save_meta(vote(c.meta().hard_state().term + 1, peer)));
    c.reopen();
    c.reopen();
  }
}

// Any peer that braft's grammar can say: indices, roles, the longest address.
void any_peer(InstanceContext& c) {
  c.begin();
  int64_t term = 1;
  for (const char* peer : {"127.0.0.1:8100:0:1", "255.255.255.255:65535:99:0", "1.2.3.4:1:7:1"}) {
    const std::string canonical = c.expect_value("peer", families::canonical_peer(peer));
    c.apply(save_meta(vote(++term, canonical)));
    c.reopen();
  }
}

// The log changes around it.
void independent_of_log(InstanceContext& c) {
  c.set_options(small_units(c.family()));
  c.begin({save_meta(vote(3, kPeer)), append(entries(1, 12, 1, 60)), publish(snapshot(9))});
  c.apply(truncate_prefix(7));
  c.apply(truncate_suffix(10));
  c.apply(reset(30));
  c.apply(truncate_prefix(60));
  c.reopen();
  c.expect(c.meta().hard_state() == vote(3, kPeer), "the vote: found another one than saved");
}

}  // namespace

std::vector<Check> meta_checks() {
  std::vector<Check> checks;
  const auto add = [&](std::string name, std::vector<std::string> ids,
                       std::function<void(InstanceContext&)> run) {
    checks.push_back(instance_check("META", std::move(name), std::move(ids), std::move(run)));
  };
  add("default_state", {"SB-18"}, default_state);
  add("save_vote", {"SB-18", "SB-32"}, save_vote);
  add("save_same", {"SB-18", "SB-32"}, save_same);
  add("term_up", {"SB-18", "SB-32"}, term_up);
  add("term_far_up", {"SB-18", "SB-32"}, term_far_up);
  add("term_above_log", {"SB-18", "CI-15"}, term_above_log);
  add("vote_set", {"SB-18", "SB-32"}, vote_set);
  add("vote_in_first_term", {"SB-18", "SB-32"}, vote_in_first_term);
  add("vote_change_in_term_refused", {"SB-18", "SB-32"}, vote_change_in_term_refused);
  add("term_down_refused", {"SB-18", "SB-32"}, term_down_refused);
  add("survives_restart", {"SB-18", "SB-25", "EV-4"}, survives_restart);
  add("any_peer", {"SB-18"}, any_peer);
  add("independent_of_log", {"SB-18", "SB-32"}, independent_of_log);
  return checks;
}

}  // namespace qk::sim::conformance
