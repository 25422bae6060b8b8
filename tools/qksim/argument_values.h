// Values of options, made of their words. What is not allowed is answered with what is.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "families/base/strings.h"
#include "families/base/suggest.h"
#include "families/base/units.h"
#include "families/contract/uri.h"
#include "scenarios/values.h"
#include "tools/qksim/arguments.h"
#include "tools/qksim/command_syntax.h"
#include "tools/qksim/usage_error.h"

namespace qk::cli {

// Thrown by a Convert or a `finish` and caught in parse_arguments(): one bad value ends it.
struct BadValue {
  UsageError error;
};

[[noreturn]] void refuse(std::string_view message, std::string_view hint);
// Throws if an option of `names` is among the words.
void refuse_given(const Given& given, const std::vector<std::string>& names, std::string_view why,
                  std::string_view hint);

// The value, or BadValue. `also`: what is allowed besides.
template <typename T>
T value_of(std::string_view option, const scenarios::Parsed<T>& parsed,
           std::string_view also = "") {
  if (parsed.ok()) return parsed.value();
  refuse(cat(option, ": ", parsed.complaint().message),
         cat("allowed: ", parsed.complaint().hint, also));
}

// Up to 2^64-1, decimal or 0x hexadecimal, or BadValue.
uint64_t number_of(std::string_view option, const std::string& word);

// One of a few words.
template <typename T>
Convert choice(T* to, std::vector<std::pair<std::string, T>> choices) {
  return [to, choices = std::move(choices)](std::string_view option, const std::string& word) {
    std::vector<std::string> names;
    for (const auto& [name, value] : choices) {
      if (name == word) {
        *to = value;
        return;
      }
      names.push_back(name);
    }
    refuse(cat(option, ": ", in_quotes(word), " is not allowed"),
           hint_of_allowed(word, "allowed", names));
  };
}

// T: sim::Nanos, or an optional of it.
template <typename T>
Convert duration(T* to) {
  return [to](std::string_view option, const std::string& word) {
    *to = value_of(option, scenarios::parse_duration(word));
  };
}

// T: an unsigned integer.
template <typename T>
Convert count(T* to, uint64_t max, uint64_t min = 0) {
  return [to, max, min](std::string_view option, const std::string& word) {
    const auto number = whole_number(word);
    if (!number || *number > max || *number < min) {
      refuse(cat(option, ": ", in_quotes(word), " is not allowed"),
             cat("allowed: ", min, " to ", max));
    }
    *to = static_cast<T>(*number);
  };
}

// An event or a violation: both count from 1. T: uint64_t, or an optional of it.
template <typename T>
Convert ordinal(T* to) {
  return [to](std::string_view option, const std::string& word) {
    const uint64_t value = number_of(option, word);
    if (value == 0) refuse(cat(option, ": counts from 1"), "allowed: 1 or more");
    *to = value;
  };
}

// All take decimal and 0x hexadecimal.
Convert seed(std::optional<uint64_t>* to);
Convert number(uint64_t* to);
Convert repetitions(uint64_t* to);  // at least 1
// "0.05", in parts per million.
Convert share(uint32_t* ppm);
// "K/N".
Convert shard(uint32_t* k, uint32_t* n);

// "auto", "plain", "none".
Convert progress_form(ProgressForm* to);

// Processes at a time.
constexpr uint64_t kMaxJobs = 1024;

// The options PREFIX-log-uri, PREFIX-raft-meta-uri and PREFIX-snapshot-uri; `prefix`: "--src".
void add_uris(CommandSyntax& command, families::UriTriple* uris, const std::string& prefix,
              const std::string& instead_of);

}  // namespace qk::cli
