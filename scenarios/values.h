// The small languages inside scenario strings: durations, sizes, ranges, probabilities, triggers.
// Everything is exact: a value that nanoseconds, bytes or parts per million cannot hold is refused,
// never rounded.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "families/base/check.h"
#include "sim/cluster/plan.h"

namespace qk::scenarios {

// What was found ("\"5x\" is not a duration") and what is allowed ("a number and ...").
struct Complaint {
  std::string message;
  std::string hint;
};

template <typename T>
class Parsed {
 public:
  Parsed(T value) : state_(std::move(value)) {}
  Parsed(Complaint complaint) : state_(std::move(complaint)) {}

  bool ok() const { return std::holds_alternative<T>(state_); }
  const T& value() const {
    QK_CHECK(ok());
    return std::get<T>(state_);
  }
  const Complaint& complaint() const {
    QK_CHECK(!ok());
    return std::get<Complaint>(state_);
  }

 private:
  std::variant<T, Complaint> state_;
};

struct SizeRange {
  uint64_t low = 0;
  uint64_t high = 0;
};

// "250ms", "1.5s"; 0 .. 1000 hours.
Parsed<sim::Nanos> parse_duration(std::string_view text);
// As parse_duration() reads it: "250ms", "1.500000001s".
std::string duration_text(sim::Nanos duration);
// "1ms..10ms", or one duration for both ends.
Parsed<sim::DurationRange> parse_duration_range(std::string_view text);
// "80B", "1MiB"; up to 1 TiB.
Parsed<uint64_t> parse_size(std::string_view text);
Parsed<SizeRange> parse_size_range(std::string_view text);
// 0.01 -> 10000. The shortest decimal text of the double is what its author wrote.
Parsed<uint32_t> to_ppm(double probability);
// Trigger::node is an id or a selector; whether the id exists is for the caller to check.
Parsed<sim::Trigger> parse_trigger(std::string_view text);
// Decimal or 0x hexadecimal, 0 .. 2^64-1.
Parsed<uint64_t> parse_seed(std::string_view text);

// "@leader", "@follower", "@migrating".
bool is_selector(std::string_view text);

}  // namespace qk::scenarios
