// Shared by the tests of the simulated disk.
#pragma once

#include <catch2/catch.hpp>

#include "families/base/status.h"

namespace qk::sim {

inline void must(const absl::Status& status) {
  INFO(to_std(status.message()));
  REQUIRE(status.ok());
}

}  // namespace qk::sim
