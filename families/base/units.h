// Decimal numbers with units, as people write them: "1.5s", "64KiB". Exact: what the smallest unit
// cannot hold is refused, never rounded.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace qk {

struct Unit {
  std::string_view name;
  uint64_t factor;  // how many of the smallest unit
};

inline constexpr Unit kSizeUnits[] = {
    {"B", 1}, {"KiB", uint64_t{1} << 10}, {"MiB", uint64_t{1} << 20}, {"GiB", uint64_t{1} << 30}};

// All of `text` as an unsigned decimal number: digits, and nothing else.
std::optional<uint64_t> whole_number(std::string_view text);

// DIGITS[.DIGITS] times `factor`, exactly; nothing if the text has another form, the product is not
// a whole number, or it is above `max`.
std::optional<uint64_t> scaled_decimal(std::string_view text, uint64_t factor, uint64_t max);

// DIGITS[.DIGITS]UNIT with one of `units`; nothing under the same conditions.
std::optional<uint64_t> with_unit(std::string_view text, std::span<const Unit> units, uint64_t max);

// "64KiB": in the largest unit that gives a whole number. with_unit() reads it back.
std::string size_text(uint64_t bytes);

}  // namespace qk
