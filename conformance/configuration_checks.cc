// CONF: configuration entries, and that the membership which a node derives from its storage is the
// same in every role and after every restart.
#include "conformance/groups.h"

namespace qk::sim::conformance {
namespace {

using families::Configuration;
using families::LogEntry;

const Configuration kOne = {{std::string(kPeer)}, {}};
const Configuration kTwo = {{std::string(kPeer), std::string(kOtherPeer)}, {}};
const Configuration kJoint = {{std::string(kPeer), std::string(kThirdPeer)},
                              {std::string(kPeer), std::string(kOtherPeer)}};

// What a node starts with: the last configuration in the log, else the snapshot's, else none.
Configuration membership(InstanceContext& c) {
  Configuration found;
  if (const auto meta = c.snapshot().current()) found = {meta->peers, meta->old_peers};
  for (int64_t index = c.log().first_index(); index <= c.log().last_index(); ++index) {
    const LogEntry one = c.expect_value(cat("entry(", index, ")"), c.log().entry(index));
    if (one.type != families::EntryType::kConfiguration) continue;
    found = c.expect_value(cat("configuration at ", index),
                           families::decode_configuration(one.payload));
  }
  return found;
}

void expect_membership(InstanceContext& c, const Configuration& expected) {
  c.expect(membership(c) == expected, "membership: found another one than expected");
  c.reopen();
  c.expect(membership(c) == expected, "membership after a restart: found another one");
}

SnapshotState snapshot_of(int64_t index, const Configuration& members) {
  SnapshotState state = snapshot(index);
  state.meta.peers = members.peers;
  state.meta.old_peers = members.old_peers;
  return state;
}

void config_entry(InstanceContext& c) {
  c.begin({append({configuration(1, 1, kTwo), entry(2)})});
  const LogEntry found = c.expect_value("entry(1)", c.log().entry(1));
  c.expect(found.type == families::EntryType::kConfiguration,
           "entry(1): found another type, expected a configuration");
  c.expect(found.payload == families::encode_configuration(kTwo),
           "entry(1): found another payload than the one appended");
  expect_membership(c, kTwo);
}

void joint_config(InstanceContext& c) {
  c.begin({append({configuration(1, 1, kTwo), configuration(2, 1, kJoint)})});
  expect_membership(c, kJoint);
  c.apply(append({configuration(3, 1, {kJoint.peers, {}})}));
  expect_membership(c, {kJoint.peers, {}});
}

// Kept byte for byte: peers after old peers, and a field that this version does not know.
void config_bytes_kept(InstanceContext& c) {
  const auto field = [](char tag, std::string_view bytes) {
    return std::string(1, tag) + static_cast<char>(bytes.size()) + std::string(bytes);
  };
  LogEntry odd = configuration(1, 1, kOne);
  odd.payload = field('\x12', kOtherPeer) + field('\x0a', kPeer) + field('\x0a', kThirdPeer);
  c.expect(families::decode_configuration(odd.payload).ok(),
           "an unusual order: not a configuration");
  c.begin();
  c.apply(append({odd}));
  c.expect(c.expect_value("entry(1)", c.log().entry(1)).payload == odd.payload,
           "entry(1): found another payload than the one appended");
  c.reopen();
}

void membership_initial(InstanceContext& c) {
  c.begin();
  expect_membership(c, {});
}

void last_membership_multi_step(InstanceContext& c) {
  c.set_options(small_units(c.family()));
  c.begin({append({configuration(1, 1, kOne)})});
  const std::vector<Configuration> steps = {kTwo, kJoint, {kJoint.peers, {}}, kOne};
  int64_t index = 1;
  for (const Configuration& step : steps) {
    c.apply(append(entries(index + 1, index + 5, 1, 60)));
    index += 6;
    c.apply(append({configuration(index, 1, step)}));
    expect_membership(c, step);
  }
}

void membership_log_empty_sm_set(InstanceContext& c) {
  c.begin({append({configuration(1, 1, kOne), entry(2)}), publish(snapshot_of(2, kTwo)),
           truncate_prefix(3)});
  expect_membership(c, kTwo);
}

void membership_joint_in_snapshot(InstanceContext& c) {
  c.begin({append(entries(1, 4)), publish(snapshot_of(4, kJoint)), truncate_prefix(5)});
  expect_membership(c, kJoint);
}

void membership_log_newer_than_snapshot(InstanceContext& c) {
  c.begin({append({configuration(1, 1, kOne), entry(2)}), publish(snapshot_of(2, kOne)),
           append({configuration(3, 1, kTwo)})});
  expect_membership(c, kTwo);
}

void config_after_truncation(InstanceContext& c) {
  c.begin({append({configuration(1, 1, kOne), entry(2), configuration(3, 1, kTwo), entry(4)})});
  c.apply(truncate_suffix(2));
  expect_membership(c, kOne);
  c.apply(append({configuration(3, 2, kJoint)}));
  expect_membership(c, kJoint);
  c.apply(publish(snapshot_of(3, kJoint)));
  c.apply(truncate_prefix(4));
  expect_membership(c, kJoint);
  c.apply(reset(9));
  expect_membership(c, kJoint);
}

// Imported roles come with it; the others restart with it.
void config_after_import(InstanceContext& c) {
  c.begin({save_meta({3, std::string(kPeer)}), append({configuration(1, 1, kOne), entry(2)}),
           publish(snapshot_of(2, kTwo)), truncate_prefix(2),
           append({entry(3, 3), configuration(4, 3, kJoint), no_op(5, 3)})});
  expect_membership(c, kJoint);
  c.apply(truncate_suffix(3));
  expect_membership(c, kTwo);
}

void many_peers(InstanceContext& c) {
  Configuration many;
  for (int i = 0; i < 200; ++i) many.peers.push_back(cat("10.0.", i / 100, ".", i, ":8100:0:0"));
  many.old_peers = many.peers;
  many.old_peers.resize(150);
  c.begin({append({configuration(1, 1, many)}), publish(snapshot_of(1, many))});
  expect_membership(c, many);
}

}  // namespace

std::vector<Check> configuration_checks() {
  std::vector<Check> checks;
  const auto add = [&](std::string name, std::vector<std::string> ids,
                       std::function<void(InstanceContext&)> run) {
    checks.push_back(instance_check("CONF", std::move(name), std::move(ids), std::move(run)));
  };
  add("config_entry", {"SB-17", "SB-21", "EV-10"}, config_entry);
  add("joint_config", {"SB-17", "SB-21"}, joint_config);
  add("config_bytes_kept", {"SB-17", "EV-11"}, config_bytes_kept);
  add("membership_initial", {"SB-19"}, membership_initial);
  add("last_membership_multi_step", {"SB-17", "SB-21"}, last_membership_multi_step);
  add("membership_log_empty_sm_set", {"SB-19", "SB-21"}, membership_log_empty_sm_set);
  add("membership_joint_in_snapshot", {"SB-19", "SB-21"}, membership_joint_in_snapshot);
  add("membership_log_newer_than_snapshot", {"SB-19", "SB-21"}, membership_log_newer_than_snapshot);
  add("config_after_truncation", {"SB-21", "SB-31"}, config_after_truncation);
  add("config_after_import", {"SB-21", "SB-26", "CI-18"}, config_after_import);
  add("many_peers", {"SB-21", "CI-18"}, many_peers);
  return checks;
}

}  // namespace qk::sim::conformance
