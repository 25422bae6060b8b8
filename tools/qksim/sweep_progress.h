// How far a sweep has come, on stderr: on a terminal one line that is drawn again, elsewhere a line
// at most every ten seconds or ten per cent. Findings are told at once, above that line.
//
//   sweep 412/1000  ok 409  FAIL 2  ? 1 | 38.1 seeds/s | 6.9 sim-h | ETA 0:15
#pragma once

#include <string>

#include "sim/explore/seed_record.h"
#include "tools/qksim/environment.h"

namespace qk::cli {

class SweepProgress {
 public:
  // `done` of `all` runs are done already, by an earlier process. `all` may be 0: without an end.
  SweepProgress(const Environment& environment, ProgressForm form, uint64_t all, uint64_t done);

  void add(const sim::SeedRecord& record);
  // Above the line.
  void tell(const std::string& line);
  // Removes what is drawn.
  void end();

  // "1000 seeds in 26.2s, 38.1 seeds/s": of this process.
  std::string rate_text() const;

 private:
  std::string line() const;
  void draw(bool now);
  int64_t passed_ms() const { return environment_.wall_ms() - start_ms_; }

  const Environment& environment_;
  const bool quiet_;
  const bool redraws_;
  const uint64_t all_;
  const uint64_t before_;  // done by an earlier process
  const int64_t start_ms_;
  int64_t drawn_ms_;
  uint64_t drawn_done_ = 0;
  bool drawn_ = false;
  uint64_t done_ = 0;  // by this one
  uint64_t good_ = 0;
  uint64_t failed_ = 0;
  uint64_t open_ = 0;
  sim::Nanos simulated_ = 0;
};

}  // namespace qk::cli
