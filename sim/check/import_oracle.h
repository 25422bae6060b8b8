// ImportOracle: ora.L14, no half bootstrap: whatever a crash during an import leaves, opening the
// destination says absent or incomplete (or fails with an explicit error), or finds an instance
// that is complete and equal to the image.
//
// Not checked: that a later import succeeds, and that the error is a helpful one.
#pragma once

#include <cstdint>
#include <optional>

#include "sim/check/finding.h"
#include "sim/check/state_image.h"

namespace qk::sim {

enum class ImportOpen : uint8_t {
  kAbsent,
  kIncomplete,  // or refused
  kComplete,
};

class ImportOracle {
 public:
  explicit ImportOracle(const FindingSink* sink) : sink_(sink) {}

  // `found`: what the instance holds, when it says that it is complete.
  void import_opened(int node, ImportOpen open, const Probe& found, const StateImage& image) const;

 private:
  const FindingSink* sink_;
};

}  // namespace qk::sim
