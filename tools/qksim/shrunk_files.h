// A failing run as small as it goes, in two files: one that fails in the same way, and the nearest
// one that passes. For the verbs that shrink.
#pragma once

#include <functional>
#include <string>

#include "scenarios/shrink.h"
#include "tools/qksim/environment.h"
#include "tools/qksim/exit_codes.h"

namespace qk::cli {

struct ShrinkJob {
  const scenarios::LoadResult* loaded = nullptr;  // what fails, with its planted bug and seed
  std::string failing;                            // NAME.qks.txtpb, as messages name it
  bool any_phase = false;                         // scenarios::ShrinkTools
  // How much of its time is over, in parts per thousand. Shrinking ends at kShrinkShare, so that time
  // is left to look for the run that passes.
  std::function<int64_t()> spent = [] { return 0; };
  std::function<void(const std::string& step)> kept = [](const std::string&) {};
};

inline constexpr int64_t kWholeTime = 1000;
inline constexpr int64_t kShrinkShare = 750;

// NAME-passes.qks.txtpb
std::string passing_file(const std::string& failing);
// Says why one of the two cannot be written: something else lies there.
ExitCode check_shrunk_files(const Environment& environment, const std::string& failing);

struct ShrunkFiles {
  ExitCode code = ExitCode::kOk;  // then the rest is set; otherwise it was said why not
  scenarios::Shrunk shrunk;
};
// Both are written, the second one only if something near passes.
ShrunkFiles shrink_into_files(const Environment& environment, const ShrinkJob& job);

}  // namespace qk::cli
