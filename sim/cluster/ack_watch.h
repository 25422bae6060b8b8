// AckWatch: availability as clients see it: the longest time in which none of them got an answer.
//
// From when they begin to when they go quiet, both ends included: a cluster that needs long to
// elect its first leader, or never answers again, has a gap as well. Answers to reads and writes
// count alike; all of them go through the log.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sim/kernel/phase.h"
#include "sim/kernel/time.h"

namespace qk::sim {

struct AckGap {
  Nanos begin = 0;
  Nanos end = 0;
  std::string phases;  // of nodes that migrated in it, in order: "n3 BOOT, n3 V1"; may be empty

  Nanos length() const { return end - begin; }
};

// "16.70s at t=3.120s (n1 V1)".
std::string to_text(const AckGap& gap);

class AckWatch {
 public:
  void begin(Nanos now) { last_ = now; }
  void acked(Nanos now);
  // Of any node, whenever it changes.
  void phase(const std::string& node, PhaseCode phase);
  // The clients have gone quiet; answers to what was open do not count any more.
  void end(Nanos now);

  // nullopt: there were no clients. A run that ends before end() has not shown its last gap.
  const std::optional<AckGap>& longest() const { return longest_; }

 private:
  std::optional<Nanos> last_;  // the last answer; nullopt: not begun, or ended
  std::optional<AckGap> longest_;
  std::map<std::string, PhaseCode> migrating_;
  std::vector<std::string> since_;  // phases since the last answer, those at its time included
};

}  // namespace qk::sim
