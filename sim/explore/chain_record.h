// ChainRecord: the chain of a run at its start, at each checkpoint and at its end, with what of the
// run its scenario does not say. It is the file chain.txt of a run directory:
//
//   qksim chain 1
//   build c0ffee12               of the program that ran
//   seed 0x5EED
//   until 30000000000            nanoseconds; absent: to the end
//   keep-going                   absent: it stopped at the first violation
//   planted ack-before-mirror    absent: none
//   trace marks                  what trace.txt holds
//   node n1                      one line for each node, in order
//   0 CHAIN SIMULATOR N1 ...     events so far, the run's chain, those of the simulator and the
//   nodes 1024 CHAIN SIMULATOR N1 ... end 2047 CHAIN SIMULATOR N1 ...
//
// Hashes are sixteen hex digits. The text is untrusted input: parse_chain_record()
// accepts what chain_text_of() can write and nothing else.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "families/base/status.h"
#include "sim/kernel/trace.h"

namespace qk::sim {

struct ChainPoint {
  uint64_t events = 0;
  uint64_t chain = 0;
  std::vector<uint64_t> nodes;  // [0]: the simulator
  friend bool operator==(const ChainPoint&, const ChainPoint&) = default;
};

struct ChainRecord {
  std::string build;
  uint64_t seed = 0;
  std::optional<Nanos> until = {};
  bool keep_going = false;
  std::string planted = {};
  TraceLevel level = TraceLevel::kMarks;
  std::vector<std::string> nodes = {};
  std::vector<ChainPoint> points = {};  // at least the start and the end
  friend bool operator==(const ChainRecord&, const ChainRecord&) = default;
};

// A longer file is not read.
inline constexpr uint64_t kMaxChainRecordBytes = uint64_t{64} << 20;

// Seed, nodes, level and points; the rest is the caller's.
ChainRecord chain_record_of(const Trace& trace);

std::string chain_text_of(const ChainRecord& record);
// DataLoss names the line and what was expected there.
absl::StatusOr<ChainRecord> parse_chain_record(std::string_view text);

}  // namespace qk::sim
