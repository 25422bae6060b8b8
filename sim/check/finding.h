// Finding: one broken invariant, as an oracle saw it, and the sink that oracles report to.
//
// An oracle formats nothing until it has something to report.
#pragma once

#include <cstdint>
#include <functional>
#include <iterator>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace qk::sim {

struct Finding {
  std::string oracle;  // "ora.L1"
  std::string name;    // "acked-is-durable"
  std::string node;    // empty: of the whole cluster
  int64_t index = 0;   // log index where there is one, otherwise 0
  std::string expected;
  std::string actual;
};

using Reporter = std::function<void(const Finding&)>;

struct OracleInfo {
  std::string_view id;
  std::string_view name;
  std::string_view definition;
};

// In the order of their definition; every finding names one of them.
inline constexpr OracleInfo kOracles[] = {
    {"ora.L1", "acked-is-durable", "the recovered state reflects every acked mutation"},
    {"ora.L2", "prefix-no-invention",
     "recovered = acked plus a prefix, in issue order, of unacked mutations"},
    {"ora.L4", "no-hole", "a log has no hole, and no gap to the snapshot that it follows"},
    {"ora.L5", "hard-state-kept",
     "(term, vote) is at least the last acked one; within a term a vote never changes"},
    {"ora.L9", "recovery-succeeds", "a start opens every image that a crash may leave"},
    {"ora.L10", "shown-is-durable", "what a start shows survives a power cut right then"},
    {"ora.L11", "poisoned-by-failed-sync",
     "after a failed sync an instance acknowledges nothing until it is reopened"},
    {"ora.L12", "no-unexplained-stop",
     "a node stops or refuses to start only for a reason that the ledger of injected faults and "
     "operator actions gives"},
    {"ora.L13", "no-amnesia", "an instance that acked anything never opens as fresh"},
    {"ora.L14", "no-half-bootstrap",
     "during an import, open says absent or incomplete, or is complete and equal to the image"},
    {"ora.I1", "image-deterministic",
     "logically equal instances export byte-identical content, and it tells their state"},
    {"ora.I3", "damaged-image-refused", "an image that is damaged anywhere is not accepted"},
    {"ora.D1", "ack-needs-both", "at the ack of a dual write the mirror holds it durably too"},
    {"ora.D2", "failed-mirror-fails", "a mutation that a family refused is not acknowledged"},
    {"ora.D3", "reconciled",
     "after a crash in a dual phase, before serving, both families are equal"},
    {"ora.D4", "vote-maximum",
     "after a crash the hard state is at least that of each family, and no vote is forgotten"},
    {"ora.D5", "same-sequence",
     "what a dual write changes in one family it changes in the other, in the same order"},
    {"ora.M1", "one-authority", "a node answers from its durable authority and epoch alone"},
    {"ora.M2", "phases-follow-automaton",
     "phases follow the automaton, are durable before they are relied on, and resume"},
    {"ora.M3", "validated-cut",
     "cut-over only at a fresh, uninterrupted cut whose durable reads are equal and complete"},
    {"ora.M8", "migration-ends",
     "with faults healed and nothing planned to wait for, a roll goes on within 20 s"},
    {"ora.M11", "quorum-not-at-risk",
     "the operator takes a risky step only while a majority of voters without the node is up, and "
     "in no risky phase"},
    {"ora.R1", "one-leader-per-term", "at most one leader per term"},
    {"ora.R2", "one-vote-per-term",
     "a node votes for at most one candidate per term over its whole life"},
    {"ora.R3", "term-monotone", "the term seen on a node never decreases within one life"},
    {"ora.R4", "log-matching",
     "entries of equal index and term are equal, and so are all before them"},
    {"ora.R5", "leader-complete", "a new leader holds everything committed"},
    {"ora.R6", "state-machine-safety", "equal index, equal committed entry and applied state"},
    {"ora.R7", "commit-is-durable",
     "a quorum durably holds what is declared committed, up to an entry of its leader's term"},
    {"ora.R9", "snapshot-is-prefix",
     "the state loaded from a snapshot is that of the log up to its index"},
    {"ora.R11", "applied-once",
     "commit grows; each index is applied once, in order, once committed"},
    {"ora.R12", "counted-is-durable",
     "what a leader counts for a follower is durable on the follower"},
    {"ora.R13", "promised-is-durable",
     "a message speaks of a term, a vote and entries that are durable on its sender"},
    {"ora.C1", "linearizable",
     "the client history is linearizable over registers, cas, append and counter"},
    {"ora.C2", "acked-is-committed", "what a client is told was done is committed"},
    {"ora.C5", "operation-completes",
     "with faults healed an operation of a client completes within 10 s"},
};
inline constexpr size_t kOracleCount = std::size(kOracles);

// Position in kOracles; an id that is not there does not compile.
consteval size_t oracle(std::string_view id) {
  size_t i = 0;
  while (kOracles[i].id != id) ++i;
  return i;
}

// Where there is no node: a finding about the whole cluster.
inline constexpr int kCluster = -1;

class FindingSink {
 public:
  FindingSink(std::vector<std::string> nodes, Reporter reporter);

  void report(std::string_view oracle, int node, int64_t index, std::string expected,
              std::string actual) const;
  // Findings about the node are held back until they are taken.
  void hold(int node) { held_[node]; }
  std::vector<Finding> take(int node);
  void forward(const Finding& finding) const { reporter_(finding); }
  const std::string& node_name(int node) const;
  int node_count() const { return static_cast<int>(nodes_.size()); }

 private:
  std::vector<std::string> nodes_;
  Reporter reporter_;
  mutable std::map<int, std::vector<Finding>> held_;
};

}  // namespace qk::sim
