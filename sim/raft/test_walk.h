// Walk: a few cores and nothing else, driven by drawn actions: a message is delivered, lost or
// delivered twice, a disk finishes what it was told or loses it in a crash, a timer runs out, a
// client proposes. No clock, no family, no file: a disk is three values in memory, and a crash
// leaves of what was issued a prefix of each lane, the last append perhaps in part.
//
// It knows everything at once, and so judges after every step by ghosts of its own, against what
// each disk holds at that instant:
//
//   R1 R2 R3 R4 R5 R6 R7 R8 R9 R11 R12 R13   as docs/oracles.md has them
//   L4        a disk's log goes on where its snapshot ends, so that a start can take it
//   vote      a vote goes to a log that is at least as new as the voter's (thesis 3.6.1)
//   majority  a leader has the durable votes of a majority (3.4)
//   term      who hears of a higher term is in it (3.3); a pre-vote changes nothing (9.6)
//   follow    who hears the leader of its term follows it (3.4); nobody takes an older one's
//             entries (3.5)
//   quorum    a leader that hears from no majority for an election timeout steps down (6.2)
//   own-term  entries become committed by a leader's count of replicas of one of its own term
//             (3.6.2), never of an earlier one's (figure 8)
//   own-entry a leader begins with an entry of its own term (6.4)
//   cut       only what conflicts with the leader's log is cut off (3.5); a snapshot cuts off only
//             what conflicts with it (5.2)
//   transfer  leadership goes only to who holds the whole log (3.10)
//   progress  once nothing is broken, there is a leader, and it commits on every node
//   check     a check of the core itself
//
// Not here: membership change (the core has none), files of snapshots, time as such: any timer may
// run out at any moment.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace qk::raft::testing {

enum class Act : uint8_t {
  kDeliver,
  kDrop,
  kDuplicate,
  kSaveMeta,  // a lane finishes some of what it was told
  kWriteLog,
  kPublish,
  kFetched,  // a download is complete, and is to be published
  kAbandon,  // or given up
  kElection,
  kHeartbeat,
  kPropose,
  kCrash,
  kRestart,
  kSnapshot,
  kTransfer,
  kNoInstall,  // a leader gives up a transfer of its snapshot
  kCut,        // a link, in one direction or both
  kHeal,
  kFlow,  // for a while messages arrive in order, and disks keep up
  kLate,  // a message arrives that seemed lost
};
inline constexpr size_t kActCount = static_cast<size_t>(Act::kLate) + 1;

// `a` and `b` are taken modulo what there is to choose from, so that an action stays one when
// others before it are left out.
struct Action {
  Act act = Act::kDeliver;
  uint32_t a = 0;
  uint32_t b = 0;
};

struct Profile {
  int nodes = 3;
  size_t entries_per_append = 2;
  size_t appends_in_flight = 2;
  int retry_after_heartbeats = 2;
  bool term_first = true;  // what a step writes is written after its term, as Lanes do
  size_t in_flight = 16;   // messages; then the oldest one is lost
  uint32_t shuffle = 0;    // one delivery in so many is not of the oldest message; 0: none
  std::array<uint32_t, kActCount> weights{};
};

struct Drawn {
  Profile profile;
  std::vector<Action> actions;
};
Drawn draw(uint64_t seed);

// How often a walk came to what is rare.
struct Reached {
  uint64_t leaders = 0;
  uint64_t commits = 0;
  uint64_t crashes = 0;
  uint64_t cuts = 0;              // of a suffix that conflicts
  uint64_t installs = 0;          // of a leader's snapshot
  uint64_t installs_in_log = 0;   // of one that ends within the log, which fits it,
  uint64_t resets = 0;            // or does not
  uint64_t old_term_quorums = 0;  // steps of a leader whose next entry to commit is of an earlier
                                  // term, and on a majority of disks
};

struct Outcome {
  std::string invariant;  // empty: all hold
  std::string why;
  size_t steps = 0;  // until then
  Reached reached;
};

// `mutant`: empty, or the name of a rule that each node breaks. `story`: what happened, in words.
Outcome walk(const Profile& profile, const std::vector<Action>& actions, std::string_view mutant,
             std::string* story = nullptr);

// The story of a walk that fails, after all that is not needed for it was left out.
std::string tell(uint64_t seed, std::string_view mutant, const Outcome& outcome);

}  // namespace qk::raft::testing
