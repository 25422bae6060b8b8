// How much of a sweep a test run takes: QKSIM_TEST_ONE_POINT_IN, which sanitizer builds set.
#pragma once

#include <catch2/catch.hpp>
#include <cstdlib>

namespace qk::families {

// Of the places where a test stops a machine, fails a call or damages a byte, one in so many is
// tried; 1: all.
inline uint64_t one_point_in(uint64_t usual = 1) {
  const char* text = std::getenv("QKSIM_TEST_ONE_POINT_IN");
  const uint64_t one_in = text == nullptr ? usual : std::strtoull(text, nullptr, 10);
  REQUIRE(one_in > 0);
  return one_in;
}

}  // namespace qk::families
