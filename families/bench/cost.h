// Cost: the time that something took. CPU time is that of the whole process, user and system, all
// threads; the wall time of a shared machine says little.
#pragma once

#include <functional>

namespace qk::families::bench {

struct Cost {
  double cpu = 0;  // seconds
  double wall = 0;

  Cost& operator+=(const Cost& other) {
    cpu += other.cpu;
    wall += other.wall;
    return *this;
  }
  Cost& operator-=(const Cost& other) {
    cpu -= other.cpu;
    wall -= other.wall;
    return *this;
  }
};
inline Cost operator+(Cost a, const Cost& b) { return a += b; }
inline Cost operator-(Cost a, const Cost& b) { return a -= b; }

// Runs from its creation on.
class Stopwatch {
 public:
  Stopwatch();
  // Runs `body` without counting what this thread spends on it; other threads go on counting.
  void leave_out(const std::function<void()>& body);
  Cost elapsed() const;

 private:
  const Cost start_;
  Cost left_out_;
};

Cost measure(const std::function<void()>& body);

}  // namespace qk::families::bench
