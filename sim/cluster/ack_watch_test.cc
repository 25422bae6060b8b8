// The longest time without an answer, and the phases that lay in it.
#include "sim/cluster/ack_watch.h"

#include <catch2/catch.hpp>

namespace qk::sim {
namespace {

TEST_CASE("ack gaps: from the begin to the end, with the phases that lay in the longest") {
  AckWatch watch;
  CHECK_FALSE(watch.longest().has_value());
  watch.acked(5 * kSecond);  // before the clients begin there is nobody to wait
  CHECK_FALSE(watch.longest().has_value());

  watch.begin(10 * kSecond);
  watch.acked(12 * kSecond);
  CHECK(to_text(*watch.longest()) == "2.00s at t=10.000s");
  watch.phase("n1", PhaseCode::kExport);
  watch.acked(13 * kSecond);
  watch.phase("n2", PhaseCode::kBoot);
  watch.acked(16 * kSecond);
  CHECK(to_text(*watch.longest()) == "3.00s at t=13.000s (n1 EXPORT, n2 BOOT)");
  // Equally long is not longer, and a node that has arrived migrates no more.
  watch.phase("n1", PhaseCode::kB);
  watch.acked(19 * kSecond);
  CHECK(watch.longest()->begin == 13 * kSecond);
  watch.acked(23 * kSecond);
  CHECK(to_text(*watch.longest()) == "4.00s at t=19.000s (n2 BOOT)");
  watch.end(30 * kSecond);
  CHECK(watch.longest()->length() == 7 * kSecond);
  watch.acked(90 * kSecond);
  watch.end(99 * kSecond);
  CHECK(watch.longest()->length() == 7 * kSecond);
}

TEST_CASE("ack gaps: clients that are never answered wait all the time") {
  AckWatch watch;
  watch.begin(0);
  watch.end(58 * kSecond);
  CHECK(to_text(*watch.longest()) == "58.00s at t=0.000s");
}

}  // namespace
}  // namespace qk::sim
