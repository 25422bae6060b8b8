#include "scenarios/values.h"

#include <charconv>
#include <limits>
#include <optional>
#include <vector>

#include "families/base/strings.h"
#include "families/base/suggest.h"
#include "families/base/units.h"
#include "sim/kernel/trace_text.h"

namespace qk::scenarios {
namespace {

constexpr std::string_view kDurationHint =
    "a number and ns, us, ms, s, m or h, as in \"250ms\" or \"1.5s\"; at most 1000h";
constexpr std::string_view kSizeHint =
    "a number and B, KiB, MiB or GiB, as in \"80B\" or \"1MiB\"; at most 1024GiB";
constexpr std::string_view kTriggerHint =
    "\"22.8s\", \"n1:DUAL\", \"n1:DUAL+0.9s\", \"n1:DUAL.exit\", \"n1:DUAL#2\", "
    "\"n1:EXPORT@50%\", \"n1:EXPORT#op=40\" or \"index>=1184\"; nodes may be @leader, @follower, "
    "@migrating";

constexpr Unit kDurationUnits[] = {
    {"ns", 1},
    {"us", sim::kMicrosecond},
    {"ms", sim::kMillisecond},
    {"s", sim::kSecond},
    {"m", 60 * static_cast<uint64_t>(sim::kSecond)},
    {"h", 3600 * static_cast<uint64_t>(sim::kSecond)},
};
constexpr uint64_t kMaxDuration = 1000ull * 3600 * sim::kSecond;
constexpr uint64_t kMaxSize = 1ull << 40;

// A whole number up to the type's largest.
template <typename T>
std::optional<T> number_of(std::string_view text) {
  const std::optional<uint64_t> value = whole_number(text);
  if (!value || *value > static_cast<uint64_t>(std::numeric_limits<T>::max())) return std::nullopt;
  return static_cast<T>(*value);
}

// "LOW..HIGH" or one value for both; the ends in order.
template <typename Range, typename Parse>
Parsed<Range> range_of(std::string_view text, std::string_view what, Parse parse) {
  const size_t dots = text.find("..");
  const auto low = parse(text.substr(0, dots));
  if (!low.ok()) return low.complaint();
  const auto high = dots == std::string_view::npos ? low : parse(text.substr(dots + 2));
  if (!high.ok()) return high.complaint();
  if (low.value() > high.value()) {
    return Complaint{cat(in_quotes(text), " is an empty ", what, " range"),
                     "the lower end comes first, as in LOW..HIGH"};
  }
  return Range{low.value(), high.value()};
}

Complaint bad_trigger(std::string_view text) {
  return {cat(in_quotes(text), " is not a trigger"), std::string(kTriggerHint)};
}

// "NODE:PHASE[#N][SUFFIX]"
Parsed<sim::Trigger> parse_phase_trigger(std::string_view text, size_t colon) {
  using Kind = sim::Trigger::Kind;
  sim::Trigger trigger;
  trigger.text = std::string(text);
  trigger.node = std::string(text.substr(0, colon));
  std::string_view rest = text.substr(colon + 1);
  const std::string_view phase = rest.substr(0, rest.find_first_of("+.#@"));
  rest.remove_prefix(phase.size());
  bool known = false;
  std::vector<std::string> names;
  for (int i = 0; i < sim::kPhaseCount; ++i) {
    const auto candidate = static_cast<sim::PhaseCode>(i);
    names.emplace_back(to_string(candidate));
    if (to_string(candidate) != phase) continue;
    trigger.phase = candidate;
    known = true;
  }
  if (trigger.node.empty()) return bad_trigger(text);
  if (!known) {
    const std::string_view near = nearest(phase, names);
    return Complaint{cat("there is no phase ", in_quotes(phase)),
                     cat(near.empty() ? std::string() : cat("did you mean ", in_quotes(near), "? "),
                         "phases: ", join(names))};
  }

  trigger.kind = Kind::kPhaseEnter;
  if (rest.starts_with('#') && !rest.starts_with("#op=")) {
    const std::string_view digits = rest.substr(1, rest.find_first_not_of("0123456789", 1) - 1);
    const std::optional<uint32_t> occurrence = number_of<uint32_t>(digits);
    if (!occurrence.has_value() || *occurrence == 0) return bad_trigger(text);
    trigger.occurrence = *occurrence;
    rest.remove_prefix(1 + digits.size());
  }
  if (rest.starts_with(".exit")) {
    trigger.kind = Kind::kPhaseExit;
    rest.remove_prefix(5);
  }
  if (rest.empty()) return trigger;
  if (rest.starts_with('+')) {
    const Parsed<sim::Nanos> offset = parse_duration(rest.substr(1));
    if (!offset.ok()) return offset.complaint();
    trigger.time = offset.value();
    return trigger;
  }
  if (trigger.kind == Kind::kPhaseExit) return bad_trigger(text);
  if (rest.starts_with("#op=")) {
    const std::optional<uint64_t> operation = number_of<uint64_t>(rest.substr(4));
    if (!operation.has_value() || *operation == 0) return bad_trigger(text);
    trigger.kind = Kind::kPhaseOperation;
    trigger.operation = *operation;
    return trigger;
  }
  if (rest.starts_with('@') && rest.ends_with('%')) {
    const std::optional<uint32_t> percent = number_of<uint32_t>(rest.substr(1, rest.size() - 2));
    if (!percent.has_value() || *percent > 100) return bad_trigger(text);
    trigger.kind = Kind::kPhasePercent;
    trigger.percent = *percent;
    return trigger;
  }
  return bad_trigger(text);
}

}  // namespace

std::string duration_text(sim::Nanos duration) {
  if (duration % sim::kMillisecond == 0 && duration < sim::kSecond) {
    return cat(duration / sim::kMillisecond, "ms");
  }
  std::string text = sim::seconds_text(duration, 9);
  text.resize(text.find_last_not_of('0') + 1);
  if (text.ends_with('.')) text.pop_back();
  return text + "s";
}

Parsed<sim::Nanos> parse_duration(std::string_view text) {
  const std::optional<uint64_t> value = with_unit(text, kDurationUnits, kMaxDuration);
  if (value.has_value()) return static_cast<sim::Nanos>(*value);
  return Complaint{cat(in_quotes(text), " is not a duration"), std::string(kDurationHint)};
}

Parsed<sim::DurationRange> parse_duration_range(std::string_view text) {
  return range_of<sim::DurationRange>(text, "duration", parse_duration);
}

Parsed<uint64_t> parse_size(std::string_view text) {
  const std::optional<uint64_t> value = with_unit(text, kSizeUnits, kMaxSize);
  if (value.has_value()) return *value;
  return Complaint{cat(in_quotes(text), " is not a size"), std::string(kSizeHint)};
}

Parsed<SizeRange> parse_size_range(std::string_view text) {
  return range_of<SizeRange>(text, "size", parse_size);
}

Parsed<uint32_t> to_ppm(double probability) {
  char buffer[512];
  const auto [end, error] =
      std::to_chars(buffer, buffer + sizeof buffer, probability, std::chars_format::fixed);
  const std::string_view text = error == std::errc()
                                    ? std::string_view(buffer, static_cast<size_t>(end - buffer))
                                    : std::string_view("a huge number");
  const std::optional<uint64_t> ppm = scaled_decimal(text, 1'000'000, 1'000'000);
  if (ppm.has_value()) return static_cast<uint32_t>(*ppm);
  return Complaint{cat(text, " is not a probability"),
                   "0 to 1, with at most six decimals (parts per million), as in 0.01"};
}

Parsed<sim::Trigger> parse_trigger(std::string_view text) {
  if (text.starts_with("index>=")) {
    const std::optional<int64_t> index = number_of<int64_t>(text.substr(7));
    if (!index.has_value() || *index == 0) return bad_trigger(text);
    sim::Trigger trigger;
    trigger.kind = sim::Trigger::Kind::kIndex;
    trigger.index = *index;
    trigger.text = std::string(text);
    return trigger;
  }
  if (const size_t colon = text.find(':'); colon != std::string_view::npos) {
    return parse_phase_trigger(text, colon);
  }
  const Parsed<sim::Nanos> time = parse_duration(text);
  if (!time.ok()) return bad_trigger(text);
  sim::Trigger trigger;
  trigger.time = time.value();
  trigger.text = std::string(text);
  return trigger;
}

Parsed<uint64_t> parse_seed(std::string_view text) {
  const bool hexadecimal = text.starts_with("0x") || text.starts_with("0X");
  const std::string_view digits = hexadecimal ? text.substr(2) : text;
  uint64_t seed = 0;
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), seed, hexadecimal ? 16 : 10);
  // from_chars takes no sign for an unsigned type, so "-1" ends here as well.
  if (error == std::errc() && end == digits.data() + digits.size() && !digits.empty()) return seed;
  return Complaint{error == std::errc::result_out_of_range
                       ? cat(in_quotes(text), " is too large for a seed")
                       : cat(in_quotes(text), " is not a seed"),
                   "0 to 18446744073709551615, decimal or hexadecimal with 0x"};
}

bool is_selector(std::string_view text) {
  return text == "@leader" || text == "@follower" || text == "@migrating";
}

}  // namespace qk::scenarios
