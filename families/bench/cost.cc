#include "families/bench/cost.h"

#include <time.h>

#include "families/base/check.h"

namespace qk::families::bench {
namespace {

double seconds(clockid_t clock) {
  timespec now;
  QK_CHECK(::clock_gettime(clock, &now) == 0);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

Cost process_now() { return {seconds(CLOCK_PROCESS_CPUTIME_ID), seconds(CLOCK_MONOTONIC)}; }
Cost thread_now() { return {seconds(CLOCK_THREAD_CPUTIME_ID), seconds(CLOCK_MONOTONIC)}; }

}  // namespace

Stopwatch::Stopwatch() : start_(process_now()) {}

void Stopwatch::leave_out(const std::function<void()>& body) {
  const Cost before = thread_now();
  body();
  left_out_ += thread_now() - before;
}

Cost Stopwatch::elapsed() const { return process_now() - start_ - left_out_; }

Cost measure(const std::function<void()>& body) {
  const Stopwatch watch;
  body();
  return watch.elapsed();
}

}  // namespace qk::families::bench
