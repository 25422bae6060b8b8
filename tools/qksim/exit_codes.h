// What a verb tells its caller. Scripts and `git bisect run` rely on these numbers.
#pragma once

#include <initializer_list>
#include <string_view>

namespace qk::cli {

enum class ExitCode : int {
  kOk = 0,
  kViolated = 1,       // a property was violated, images differ, verify found damage
  kInconclusive = 2,   // a scheduled fault never fired, an expectation was not reached
  kDiverged = 3,       // the same input gave two different runs
  kUsage = 64,         // the command line itself, or a value on it
  kData = 65,          // bad scenario, damaged or foreign image, a path that escapes
  kNoInput = 66,       // input missing, unreadable or in use
  kUnavailable = 69,   // a storage family or the conformance suite is not in this build
  kInternal = 70,      // our own bug
  kCannotWrite = 73,   // cannot write, or the destination is not empty
  kInterrupted = 130,  // SIGINT, SIGTERM or SIGHUP; what is left half made is said
};

struct ExitCodeText {
  ExitCode code;
  std::string_view meaning;
};

inline constexpr ExitCodeText kExitCodes[] = {
    {ExitCode::kOk, "all good"},
    {ExitCode::kViolated, "a property was violated, images or runs differ, or verify found damage"},
    {ExitCode::kInconclusive,
     "inconclusive: a scheduled fault never fired or an expectation was not reached"},
    {ExitCode::kDiverged,
     "the same seed gave two different runs (non-determinism), or a replay went another way"},
    {ExitCode::kUsage, "usage: unknown command or option, or a bad value"},
    {ExitCode::kData, "bad scenario, damaged or foreign image, or a path that escapes"},
    {ExitCode::kNoInput, "input missing, unreadable or in use"},
    {ExitCode::kUnavailable,
     "a storage family or the conformance suite is known but not in this build"},
    {ExitCode::kInternal, "internal error"},
    {ExitCode::kCannotWrite, "cannot write, or the destination is not empty"},
    {ExitCode::kInterrupted,
     "interrupted (SIGINT, SIGTERM, SIGHUP); what was half made is removed, or named"},
};

// The worst of several results, in the order 70, 3, 1, 2, 0; any other code beats 2 and 0 only.
inline ExitCode worst(ExitCode a, ExitCode b) {
  for (const ExitCode code :
       {ExitCode::kInternal, ExitCode::kDiverged, ExitCode::kViolated, ExitCode::kInterrupted,
        ExitCode::kCannotWrite, ExitCode::kUnavailable, ExitCode::kNoInput, ExitCode::kData,
        ExitCode::kUsage, ExitCode::kInconclusive}) {
    if (a == code || b == code) return code;
  }
  return ExitCode::kOk;
}

inline int to_int(ExitCode code) { return static_cast<int>(code); }

}  // namespace qk::cli
