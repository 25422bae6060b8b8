// IDEMP: a change that is made twice leaves what it leaves when made once, with and without a
// restart between. A redo after a crash relies on it.
#include "conformance/groups.h"

namespace qk::sim::conformance {
namespace {

const std::vector<Change>& history() {
  static const std::vector<Change> kHistory = {save_meta({2, std::string(kPeer)}),
                                               append(entries(1, 16, 1, 60)), publish(snapshot(6))};
  return kHistory;
}

void twice(InstanceContext& c, const Change& change) {
  c.set_options(small_units(c.family()));
  c.begin(history());
  c.apply(change);
  const State once = c.state();
  c.apply(change);
  c.expect_same_state("after the second time", c.state(), once);
  c.reopen();
  c.apply(change);
  c.expect_same_state("after a restart and a third time", c.state(), once);
  const int64_t next = once.last() + 1;
  c.apply(append(entries(next, next + 2, 5, 60)));
  c.reopen();
}

// The second time is refused, because its indices are taken; nothing changes.
void append_twice(InstanceContext& c) { twice(c, append(entries(17, 20, 2, 60))); }
void truncate_prefix_twice(InstanceContext& c) { twice(c, truncate_prefix(6)); }
void truncate_prefix_beyond_twice(InstanceContext& c) { twice(c, truncate_prefix(40)); }
void truncate_suffix_twice(InstanceContext& c) { twice(c, truncate_suffix(9)); }
void reset_twice(InstanceContext& c) { twice(c, reset(7)); }
void set_meta_twice(InstanceContext& c) { twice(c, save_meta({4, std::string(kOtherPeer)})); }
void publish_twice(InstanceContext& c) { twice(c, publish(snapshot(9))); }

// A tree that differs from the published one of equal meta is not taken.
void publish_again_keeps_the_first(InstanceContext& c) {
  c.begin(history());
  SnapshotState other = snapshot(6);
  other.files["data"].bytes = "another tree";
  other.files["added"] = {"x", {}};
  c.apply(publish(other));
  c.expect(c.model().judge(publish(other)) == Model::Verdict::kAlreadyPublished,
           "publish at the published index: expected already_published");
  c.reopen();
}

}  // namespace

std::vector<Check> idempotence_checks() {
  std::vector<Check> checks;
  const auto add = [&](std::string name, std::vector<std::string> ids,
                       std::function<void(InstanceContext&)> run) {
    checks.push_back(instance_check("IDEMP", std::move(name), std::move(ids), std::move(run)));
  };
  add("append", {"SB-25", "SB-30"}, append_twice);
  add("truncate_prefix", {"SB-25", "SB-31"}, truncate_prefix_twice);
  add("truncate_prefix_beyond", {"SB-25", "SB-31"}, truncate_prefix_beyond_twice);
  add("truncate_suffix", {"SB-25", "SB-31"}, truncate_suffix_twice);
  add("reset", {"SB-25", "SB-31"}, reset_twice);
  add("set_meta", {"SB-25", "SB-32"}, set_meta_twice);
  add("publish", {"SB-25", "SB-33"}, publish_twice);
  add("publish_again_keeps_the_first", {"SB-33"}, publish_again_keeps_the_first);
  return checks;
}

}  // namespace qk::sim::conformance
