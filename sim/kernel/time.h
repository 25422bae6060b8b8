// Virtual time: nanoseconds since the start of the run. Nothing in a run reads any other clock.
#pragma once

#include <cstdint>

namespace qk::sim {

using Nanos = int64_t;

inline constexpr Nanos kMicrosecond = 1'000;
inline constexpr Nanos kMillisecond = 1'000'000;
inline constexpr Nanos kSecond = 1'000'000'000;

}  // namespace qk::sim
