#include "sim/explore/seed_record.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "families/base/strings.h"
#include "families/base/units.h"
#include "sim/explore/feedback.h"
#include "sim/kernel/trace_text.h"

namespace qk::sim {
namespace {

using nlohmann::json;

constexpr std::pair<SeedVerdict, std::string_view> kVerdicts[] = {
    {SeedVerdict::kPass, "PASS"},           {SeedVerdict::kExpected, "EXPECTED"},
    {SeedVerdict::kNoFault, "no fault"},    {SeedVerdict::kInconclusive, "?"},
    {SeedVerdict::kViolation, "FAIL"},      {SeedVerdict::kStuck, "STUCK"},
    {SeedVerdict::kInternalError, "ERROR"}, {SeedVerdict::kDied, "DIED"},
};
constexpr std::pair<SecondRun, std::string_view> kSecondRuns[] = {
    {SecondRun::kNone, "none"}, {SecondRun::kSame, "same"}, {SecondRun::kDiffers, "differs"}};

// A finding may quote any number of bytes; the trace of its run has them all.
constexpr size_t kMaxText = 600;
constexpr size_t kMaxLines = 20;

std::string shortened(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  if (text.size() <= kMaxText) return text;
  text.resize(kMaxText);
  return text + "...";
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_word(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

// "n3 ended in phase V1 after 12.5s" -> "NODE ended in phase V1 after Ns". A digit after a capital
// letter belongs to a name of ours.
std::string without_particulars(const Plan& plan, std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size();) {
    size_t end = i;
    while (end < text.size() && is_word(text[end])) ++end;
    if (end == i) {
      out += text[i++];
      continue;
    }
    const std::string_view word = text.substr(i, end - i);
    i = end;
    const auto& nodes = plan.cluster.nodes;
    if (std::any_of(nodes.begin(), nodes.end(),
                    [&](const auto& node) { return node.id == word; })) {
      out += "NODE";
      continue;
    }
    for (size_t at = 0; at < word.size(); ++at) {
      const bool name = at > 0 && word[at - 1] >= 'A' && word[at - 1] <= 'Z';
      if (!is_digit(word[at]) || name) {
        out += word[at];
      } else if (!out.ends_with("N.") && !out.ends_with('N')) {
        out += 'N';
      } else if (out.ends_with("N.")) {
        out.pop_back();  // the fraction of the number before it
      }
    }
  }
  return out;
}

// "fault.crash n2 #17" -> "fault.crash"
std::string_view kind_of(std::string_view fault) {
  return fault.empty() ? "none" : fault.substr(0, fault.find(' '));
}

void add_violation(const Violation& violation, std::vector<std::string>* lines) {
  std::string where = violation.node.empty() ? "cluster" : violation.node;
  if (violation.index > 0) where += cat(" index ", violation.index);
  lines->push_back(
      shortened(cat("found     ", violation.oracle, " ", violation.name, "  ", where,
                    "  t=", seconds_text(violation.t, 3), "s  event #", violation.seq)));
  lines->push_back(shortened(cat("expected  ", violation.expected)));
  lines->push_back(shortened(cat("actual    ", violation.actual)));
  lines->push_back(shortened(cat("phase     ", violation.phase.empty() ? "-" : violation.phase,
                                 "    last fault: ", violation.last_fault)));
}

SeedVerdict verdict_of(const RunResult& result) {
  switch (result.verdict) {
    case Verdict::kPass:
      return SeedVerdict::kPass;
    case Verdict::kExpected:
      return SeedVerdict::kExpected;
    case Verdict::kViolation:
      return SeedVerdict::kViolation;
    case Verdict::kInternalError:
      return SeedVerdict::kInternalError;
    case Verdict::kInconclusive:
      return result.no_random_fault && result.inconclusive.size() == 1 ? SeedVerdict::kNoFault
                                                                       : SeedVerdict::kInconclusive;
  }
  QK_CHECK(false);
}

absl::Status malformed(std::string_view what) {
  return absl::DataLossError(cat("record of a seed: ", what));
}

template <typename Enum, size_t kSize>
json name_of(Enum value, const std::pair<Enum, std::string_view> (&names)[kSize]) {
  for (const auto& [known, name] : names) {
    if (known == value) return std::string(name);
  }
  QK_CHECK(false);
}

// Reads the members of one JSON object; the first thing that is wrong stays.
class Reader {
 public:
  explicit Reader(const json& object) : object_(object) {}

  const absl::Status& status() const { return status_; }

  uint64_t number(const char* member) {
    const std::string digits = text(member);
    const auto value = whole_number(digits);
    if (!value) fail(member, cat("\"", digits.substr(0, 40), "\", expected a decimal number"));
    return value.value_or(0);
  }
  int64_t signed_number(const char* member) {
    const uint64_t value = number(member);
    if (value > static_cast<uint64_t>(INT64_MAX)) fail(member, "too large");
    return static_cast<int64_t>(value & static_cast<uint64_t>(INT64_MAX));
  }
  std::string text(const char* member) {
    const json* found = get(member);
    if (found == nullptr) return "";
    if (!found->is_string()) {
      fail(member, "not a string");
      return "";
    }
    return found->get<std::string>();
  }
  std::vector<std::string> texts(const char* member) {
    std::vector<std::string> out;
    const json* found = get(member);
    if (found == nullptr) return out;
    if (!found->is_array()) fail(member, "not an array");
    if (!found->is_array()) return out;
    for (const json& one : *found) {
      if (!one.is_string()) fail(member, "holds something that is not a string");
      if (one.is_string()) out.push_back(one.get<std::string>());
    }
    return out;
  }
  std::map<std::string, uint64_t> counts(const char* member) {
    std::map<std::string, uint64_t> out;
    const json* found = get(member);
    if (found == nullptr) return out;
    if (!found->is_object()) {
      fail(member, "not an object");
      return out;
    }
    for (const auto& [name, value] : found->items()) {
      if (!value.is_number_unsigned()) fail(member, "holds something that is not a number");
      if (value.is_number_unsigned()) out[name] = value.get<uint64_t>();
    }
    return out;
  }
  template <typename Enum, size_t kSize>
  Enum named(const char* member, const std::pair<Enum, std::string_view> (&names)[kSize]) {
    const std::string word = text(member);
    for (const auto& [value, name] : names) {
      if (name == word) return value;
    }
    fail(member, cat("\"", word.substr(0, 40), "\" is not known"));
    return names[0].first;
  }

 private:
  const json* get(const char* member) {
    const auto found = object_.find(member);
    if (found != object_.end()) return &*found;
    fail(member, "missing");
    return nullptr;
  }
  void fail(const char* member, std::string_view what) {
    if (status_.ok()) status_ = malformed(cat(member, ": ", what));
  }

  const json& object_;
  absl::Status status_;
};

}  // namespace

std::string_view to_string(SeedVerdict verdict) {
  for (const auto& [known, name] : kVerdicts) {
    if (known == verdict) return name;
  }
  QK_CHECK(false);
}

std::string signature_of(const Plan& plan, const RunResult& result) {
  if (result.verdict == Verdict::kPass || result.verdict == Verdict::kExpected) return "";
  if (result.verdict == Verdict::kInternalError && !result.violations.empty()) {
    // Which check of our own failed is all that there is to tell such failures apart.
    return shortened(cat("internal ", without_particulars(plan, result.violations.back().actual)));
  }
  if (!result.violations.empty() && result.unmet.empty()) {
    const Violation& first = result.violations.front();
    return cat(first.oracle, " ", first.phase.empty() ? "-" : first.phase, " ",
               kind_of(first.last_fault));
  }
  const auto& reasons = result.unmet.empty() ? result.inconclusive : result.unmet;
  return shortened(reasons.empty() ? std::string("no reason given")
                                   : without_particulars(plan, reasons.front()));
}

SeedRecord record_of(const Plan& plan, const RunResult& result, uint32_t variant, uint64_t seed) {
  SeedRecord record;
  record.variant = variant;
  record.seed = seed;
  record.verdict = verdict_of(result);
  if (is_finding(record.verdict)) record.signature = signature_of(plan, result);
  for (const Violation& violation : result.violations) {
    if (is_finding(record.verdict) && record.lines.size() < kMaxLines) {
      add_violation(violation, &record.lines);
    }
  }
  for (const auto* reasons : {&result.unmet, &result.inconclusive}) {
    for (const std::string& reason : *reasons) {
      if (record.lines.size() < kMaxLines) {
        record.lines.push_back(shortened(cat("because   ", reason)));
      }
    }
  }
  record.simulated = result.simulated;
  record.events = result.events;
  record.chain = result.chain;
  record.digest = result.digest;
  record.evaluated = result.evaluated;
  record.reach = result.reach;
  return record;
}

SeedRecord record_of_death(uint32_t variant, uint64_t seed, std::string_view how) {
  SeedRecord record;
  record.variant = variant;
  record.seed = seed;
  record.verdict = SeedVerdict::kDied;
  record.signature = cat("process ended with ", how);
  record.lines = {cat("actual    the process that ran the seed ended with ", how)};
  return record;
}

SeedRecord record_of_stuck(uint32_t variant, uint64_t seed, Nanos limit) {
  SeedRecord record;
  record.variant = variant;
  record.seed = seed;
  record.verdict = SeedVerdict::kStuck;
  record.signature = "stuck";
  record.lines = {cat("actual    not at its end after ", seconds_text(limit, 1), "s of CPU time")};
  return record;
}

std::string difference_of(const SeedRecord& first, const SeedRecord& second) {
  const auto differ = [](std::string_view what, const auto& a, const auto& b) {
    return cat(what, " ", a, ", then ", b);
  };
  if (first.verdict != second.verdict) {
    return differ("verdict", to_string(first.verdict), to_string(second.verdict));
  }
  if (first.signature != second.signature) {
    return differ("signature", first.signature, second.signature);
  }
  if (first.events != second.events) return differ("events", first.events, second.events);
  if (first.chain != second.chain) {
    return differ("chain", cat(hex16(first.chain)), cat(hex16(second.chain)));
  }
  if (first.digest != second.digest) return differ("digest", first.digest, second.digest);
  if (first.lines != second.lines) return "the finding has another text";
  if (first.evaluated != second.evaluated)
    return "the oracles were evaluated another number of times";
  if (first.reach != second.reach) return "the probes were reached another number of times";
  return "";
}

bool comparable(const SeedRecord& first, const SeedRecord& second) {
  const bool died = first.verdict == SeedVerdict::kDied || second.verdict == SeedVerdict::kDied;
  return !died || (first.verdict == second.verdict && first.signature == second.signature);
}

SeedRecord with_second_run(SeedRecord first, SeedRecord second) {
  if (!comparable(first, second)) {
    const bool first_died = first.verdict == SeedVerdict::kDied;
    SeedRecord& dead = first_died ? first : second;
    const SeedRecord& other = first_died ? second : first;
    dead.lines.push_back(cat("and       the seed's ", first_died ? "second" : "first",
                             " run: ", to_string(other.verdict),
                             other.signature.empty() ? "" : cat(" ", other.signature)));
    dead.cpu_ns = first.cpu_ns;
    return std::move(dead);
  }
  first.difference = difference_of(first, second);
  first.second = first.difference.empty() ? SecondRun::kSame : SecondRun::kDiffers;
  return first;
}

std::string to_line(const SeedRecord& record) {
  json out = {{"variant", std::to_string(record.variant)},
              {"seed", std::to_string(record.seed)},
              {"verdict", name_of(record.verdict, kVerdicts)},
              {"simulated_ns", std::to_string(record.simulated)},
              {"events", std::to_string(record.events)},
              {"chain", std::to_string(record.chain)},
              {"digest", record.digest},
              {"evaluated", record.evaluated},
              {"reach", record.reach},
              {"second", name_of(record.second, kSecondRuns)},
              {"cpu_ns", std::to_string(record.cpu_ns)},
              {"signature", record.signature},
              {"lines", record.lines},
              {"difference", record.difference}};
  if (!record.near.empty()) {
    json& near = out["near"];
    for (const uint64_t seed : record.near) near.push_back(std::to_string(seed));
  }
  // A finding may quote any bytes.
  return out.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
}

absl::StatusOr<SeedRecord> parse_record(std::string_view line) {
  if (line.size() > kMaxRecordLine) {
    return malformed(cat(line.size(), " bytes, expected at most ", kMaxRecordLine));
  }
  const json document = json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!document.is_object()) return malformed("not a JSON object");
  Reader in(document);
  SeedRecord record;
  const uint64_t variant = in.number("variant");
  if (variant > UINT32_MAX) return malformed(cat("variant ", variant, " is too large"));
  record.variant = static_cast<uint32_t>(variant);
  record.seed = in.number("seed");
  record.verdict = in.named("verdict", kVerdicts);
  record.simulated = in.signed_number("simulated_ns");
  record.events = in.number("events");
  record.chain = in.number("chain");
  record.digest = in.text("digest");
  record.evaluated = in.counts("evaluated");
  record.reach = in.counts("reach");
  record.second = in.named("second", kSecondRuns);
  record.cpu_ns = in.signed_number("cpu_ns");
  record.signature = in.text("signature");
  record.lines = in.texts("lines");
  if (document.contains("near")) {
    for (const std::string& seed : in.texts("near")) {
      uint64_t number = 0;
      const auto [end, error] = std::from_chars(seed.data(), seed.data() + seed.size(), number);
      if (error != std::errc() || end != seed.data() + seed.size()) {
        return malformed(cat("near: ", seed.size(), " bytes that are no seed"));
      }
      record.near.push_back(number);
    }
    if (record.near.size() > Feedback::kMaxAncestors) {
      return malformed(
          cat("near: ", record.near.size(), " seeds, expected at most ", Feedback::kMaxAncestors));
    }
  }
  record.difference = in.text("difference");
  QK_RETURN_IF_ERROR(in.status());
  if (is_finding(record.verdict) && record.signature.empty()) {
    return malformed(cat("verdict ", to_string(record.verdict), " without a signature"));
  }
  return record;
}

}  // namespace qk::sim
