#include "tools/qksim/argument_values.h"

#include <algorithm>

namespace qk::cli {

void refuse(std::string_view message, std::string_view hint) {
  throw BadValue{usage_error(message, hint)};
}

void refuse_given(const Given& given, const std::vector<std::string>& names, std::string_view why,
                  std::string_view hint) {
  for (const std::string& name : names) {
    if (given(name)) refuse(cat(name, " cannot be given ", why), hint);
  }
}

uint64_t number_of(std::string_view option, const std::string& word) {
  const auto number = scenarios::parse_seed(word);
  if (number.ok()) return number.value();
  refuse(cat(option, ": ", in_quotes(word), " is not allowed"),
         cat("allowed: a whole number up to ", UINT64_MAX, ", decimal or hexadecimal with 0x"));
}

Convert seed(std::optional<uint64_t>* to) {
  return [to](std::string_view option, const std::string& word) {
    *to = value_of(option, scenarios::parse_seed(word));
  };
}

Convert number(uint64_t* to) {
  return [to](std::string_view option, const std::string& word) { *to = number_of(option, word); };
}

Convert repetitions(uint64_t* to) {
  return [to](std::string_view option, const std::string& word) {
    *to = number_of(option, word);
    if (*to == 0) refuse(cat(option, ": 0 runs nothing"), "allowed: 1 or more");
  };
}

Convert share(uint32_t* ppm) {
  return [ppm](std::string_view option, const std::string& word) {
    constexpr uint32_t kAll = 1'000'000;
    const auto value = scaled_decimal(word, kAll, kAll);
    if (!value) {
      refuse(cat(option, ": ", in_quotes(word), " is not a share"),
             "allowed: 0 to 1 with at most six decimals");
    }
    *ppm = static_cast<uint32_t>(*value);
  };
}

Convert shard(uint32_t* k, uint32_t* n) {
  return [k, n](std::string_view option, const std::string& word) {
    const size_t slash = std::min(word.find('/'), word.size());
    const auto which = whole_number(word.substr(0, slash));
    const auto of = whole_number(word.substr(std::min(slash + 1, word.size())));
    if (!which || !of || *which < 1 || *which > *of || *of > UINT32_MAX) {
      refuse(cat(option, ": ", in_quotes(word), " is not a shard"),
             "allowed: K/N with K from 1 to N");
    }
    *k = static_cast<uint32_t>(*which);
    *n = static_cast<uint32_t>(*of);
  };
}

Convert progress_form(ProgressForm* to) {
  return choice(to, {{"auto", ProgressForm::kAuto},
                     {"plain", ProgressForm::kPlain},
                     {"none", ProgressForm::kNone}});
}

void add_uris(CommandSyntax& command, families::UriTriple* uris, const std::string& prefix,
              const std::string& instead_of) {
  const auto add = [&](const char* name, std::string* to, std::string text) {
    command.option(cat(prefix, name), "URI", to, std::move(text)).not_empty();
  };
  add("-log-uri", &uris->log_uri, cat(instead_of, ", as braft's log_uri"));
  add("-raft-meta-uri", &uris->raft_meta_uri, "As braft's raft_meta_uri");
  add("-snapshot-uri", &uris->snapshot_uri, "As braft's snapshot_uri");
}

}  // namespace qk::cli
