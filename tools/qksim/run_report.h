// What a run prints, as text: one line for a pass, a block for anything else.
//
//   FAIL  rolling  seed 0x5EED  ora.L1 acked-entries-durable  n3 index 1303  t=53.800s  event #1372
//     expected  (1303, term 4, crc 0b77e1d2)
//     actual    last index 1302
//     phase     n3 B    last fault: crash n3 t=52.000s
//     repro     qksim run rolling --seed 0x5EED    # chain 6db01e1d78d0 at #1372, build c0ffee12
//     available longest time without a client ack 0.97s at t=3.120s (n3 V1)
//     waited    n3 for 1.84s: n3 is down
//
// A run that was expected to violate something, and did:
//
//   EXPECTED ora.L1  canary  seed 0x5EED  2.1s sim in 0.1s  1372 events  chain 6db01e1d78d0
//     found     ora.L1 acked-entries-durable  n3 index 1303  t=2.100s  event #1372
//     expected  ...
#pragma once

#include <string>
#include <string_view>

#include "sim/cluster/run.h"
#include "tools/qksim/arguments.h"

namespace qk::cli {

struct RunReport {
  std::string name;  // the scenario's
  uint64_t seed = 0;
  RunArguments arguments;
  sim::RunResult result;
  std::string version;
  std::string build;
  int64_t wall_ms = 0;
};

// "PASS", "FAIL", "EXPECTED", "?" or "ERROR". A run with a planted bug never passes.
std::string_view verdict_word(const RunReport& report);

// PASS or EXPECTED: the run is what its scenario says.
bool is_good(const RunReport& report);

// The whole text. `colour` paints the verdict alone. Without `timing` the wall time is left out, so
// that the text of the same run is the same.
std::string report_text(const RunReport& report, bool colour, bool timing);

// The command that repeats the run, every word shell-quoted: all that changes a run is in it.
std::string repro_command(const RunReport& report);

std::string seed_text(uint64_t seed);    // "0x5EED"
std::string chain_text(uint64_t chain);  // twelve hex digits
std::string shell_quoted(std::string_view word);

}  // namespace qk::cli
