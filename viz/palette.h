// Colours of the pictures. Cool: A is the truth; green: both are; warm: B is. Shape and the code
// printed on each bar carry the meaning, colour repeats it; the test holds the palette to its
// contrasts, also for colour-blind eyes.
#pragma once

#include <string_view>

#include "sim/kernel/phase.h"

namespace qk::viz {

struct Paint {
  std::string_view fill;
  std::string_view text;
};

constexpr Paint phase_paint(sim::PhaseCode phase) {
  switch (phase) {
    case sim::PhaseCode::kA:
      return {"#0072B2", "#FFFFFF"};
    case sim::PhaseCode::kExport:
      return {"#9CD3F2", "#000000"};
    case sim::PhaseCode::kBoot:
      return {"#F0E442", "#000000"};
    case sim::PhaseCode::kV1:
    case sim::PhaseCode::kV2:
      return {"#4A1C6F", "#FFFFFF"};
    case sim::PhaseCode::kDual:
      return {"#2FB392", "#000000"};
    case sim::PhaseCode::kCut:
      return {"#111111", "#FFFFFF"};
    case sim::PhaseCode::kB:
      return {"#E69F00", "#000000"};
    case sim::PhaseCode::kRollback:
      return {"#D55E00", "#FFFFFF"};
  }
  return {"#FFFFFF", "#000000"};
}

inline constexpr Paint kLeaderPaint{"#111111", "#FFFFFF"};
inline constexpr Paint kDownPaint{"#9A9A9A", "#444444"};  // hatched on white
inline constexpr Paint kPassPaint{"#009E73", "#FFFFFF"};
inline constexpr Paint kFailPaint{"#C8102E", "#FFFFFF"};
inline constexpr std::string_view kPartitionColor = "#CC79A7";
inline constexpr std::string_view kSlowDiskColor = "#B0B0B0";
inline constexpr std::string_view kDiskErrorColor = "#8A5A2B";
inline constexpr std::string_view kWaitColor = "#E8D9B5";

// The light theme's ground and ink.
inline constexpr std::string_view kInk = "#1A1A1A";
inline constexpr std::string_view kFaintInk = "#555555";
inline constexpr std::string_view kGround = "#FFFFFF";
inline constexpr std::string_view kLaneGround = "#F6F7F9";
inline constexpr std::string_view kLaneEdge = "#ECEEF1";
inline constexpr std::string_view kGrid = "#D9DBDF";

}  // namespace qk::viz
