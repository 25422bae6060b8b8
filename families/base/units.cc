#include "families/base/units.h"

#include <charconv>

#include "families/base/strings.h"

namespace qk {

std::optional<uint64_t> whole_number(std::string_view text) {
  uint64_t value = 0;
  const char* const end = text.data() + text.size();
  // from_chars takes no sign and no space for an unsigned type.
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (text.empty() || error != std::errc() || stop != end) return std::nullopt;
  return value;
}

std::optional<uint64_t> scaled_decimal(std::string_view text, uint64_t factor, uint64_t max) {
  const size_t dot = text.find('.');
  const std::optional<uint64_t> whole = whole_number(text.substr(0, dot));
  if (!whole.has_value() || *whole > max / factor) return std::nullopt;
  uint64_t value = *whole * factor;
  if (dot != std::string_view::npos) {
    std::string_view fraction = text.substr(dot + 1);
    if (fraction.empty()) return std::nullopt;
    while (fraction.size() > 1 && fraction.back() == '0') fraction.remove_suffix(1);
    // More than 12 digits cannot be whole: no unit is divisible by 10^13.
    const std::optional<uint64_t> digits = whole_number(fraction);
    if (!digits.has_value() || fraction.size() > 12) return std::nullopt;
    __extension__ typedef unsigned __int128 Wide;
    Wide denominator = 1;
    for (size_t i = 0; i < fraction.size(); ++i) denominator *= 10;
    const Wide product = static_cast<Wide>(*digits) * factor;
    if (product % denominator != 0) return std::nullopt;
    value += static_cast<uint64_t>(product / denominator);
  }
  if (value > max) return std::nullopt;
  return value;
}

std::optional<uint64_t> with_unit(std::string_view text, std::span<const Unit> units,
                                  uint64_t max) {
  const size_t end = text.find_first_not_of("0123456789.");
  if (end == std::string_view::npos) return std::nullopt;
  for (const Unit& unit : units) {
    if (text.substr(end) == unit.name) return scaled_decimal(text.substr(0, end), unit.factor, max);
  }
  return std::nullopt;
}

std::string size_text(uint64_t bytes) {
  const Unit* largest = &kSizeUnits[0];
  for (const Unit& unit : kSizeUnits) {
    if (bytes != 0 && bytes % unit.factor == 0) largest = &unit;
  }
  return cat(bytes / largest->factor, largest->name);
}

}  // namespace qk
