// GhostState: what one node's storage owes: the acked state, and the mutations issued but not yet
// acked. It judges any state that the node's storage shows after a crash, or would show if the
// power failed now.
//
//   ora.L1   every acked entry that no open mutation may remove is there, and so is the acked
//            snapshot or an issued later one
//   ora.L2   what is there is acked, or the outcome of a prefix, in issue order, of the open
//            mutations of its lane; nothing else
//   ora.L4   entries follow one another, and the first one follows the snapshot or an index that it
//            covers, or begins the log
//   ora.L5   (term, vote) is the acked pair or an issued later one
//   ora.L13  a state that owes anything is not a fresh one
//
// A legal outcome of an open mutation is before or after. An append may also leave a prefix of its
// batch, if the family declares that (families::Partial). The lanes (log, meta, snapshot) are
// judged each for itself; the order between lanes is not judged here. Payloads are compared by
// hash.
//
// Not checked: entries below a hash collision, the physical layout, and whether the state survives
// a further crash (that is another probe).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "families/contract/mutation.h"
#include "sim/check/state_image.h"

namespace qk::sim {

// A mutation reduced to what it does.
struct GhostMutation {
  uint64_t id = 0;
  families::Operation operation = families::Operation::kAppend;
  std::vector<EntryDigest> entries;
  int64_t index = 0;
  families::HardState hard_state;
  std::optional<SnapshotDigest> snapshot;
};

// `tree`: of a publish, where the caller knows it.
GhostMutation ghost_of(uint64_t id, const families::Mutation& mutation,
                       std::optional<uint64_t> tree);

// Why a state is illegal.
struct Complaint {
  std::string_view oracle;
  int64_t index = 0;
  std::string expected;
  std::string actual;
  friend bool operator==(const Complaint&, const Complaint&) = default;
};

// ora.L4, of any state that a family shows.
std::optional<Complaint> find_hole(const StateImage& state);

class GhostState {
 public:
  // The state is what it is now, and nothing is open (contract A-2: a restart resolves).
  void adopt(const StateImage& state);

  void issue(GhostMutation mutation);
  // The complaint, if the ack itself is illegal.
  std::optional<Complaint> ack(uint64_t id, int64_t count);
  void fail_clean(uint64_t id);
  // It stays open. The first `count` entries of an append are known durable: they count as acked.
  void fail_indeterminate(uint64_t id, int64_t count);

  std::optional<Complaint> judge(const StateImage& state, bool append_prefix) const;
  // All that is wrong, at most one complaint a lane; judge() is the first.
  std::vector<Complaint> complaints(const StateImage& state, bool append_prefix) const;

  const StateImage& acked() const { return acked_; }
  bool idle() const;
  uint64_t acked_count() const { return acked_count_; }
  // The log as it will be once everything open is done.
  StateImage log_view() const;
  // The term of that entry in log_view(), or of the snapshot that ends there; 0 if neither tells.
  int64_t term_at(int64_t index) const;

 private:
  using Lane = std::vector<GhostMutation>;
  Lane& lane(families::Operation operation);
  const Lane& lane(families::Lane which) const { return lanes_[static_cast<size_t>(which)]; }
  std::pair<Lane*, size_t> find(uint64_t id);

  std::optional<Complaint> judge_log(const StateImage& state, bool append_prefix) const;
  std::optional<Complaint> judge_meta(const StateImage& state) const;
  std::optional<Complaint> judge_snapshot(const StateImage& state) const;
  Complaint explain_log(const StateImage& state) const;

  StateImage acked_;
  std::array<Lane, families::kLaneCount> lanes_;
  uint64_t acked_count_ = 0;
};

}  // namespace qk::sim
